// Each layer's share of the loss that the method predicts, a bar for each.
const BARS_SHOWN = 12;

function layers(section, box, sensitivity) {
  const models = Object.entries(sensitivity || {}).filter(([, list]) => list && list.length);
  section.hidden = !models.length;
  let byLoss = true;
  let all = false;

  function show() {
    const most = Math.max(...models.flatMap(([, list]) => list.map((l) => num(l.share) || 0)), 1e-9);
    const hidden = models.some(([, list]) => list.length > BARS_SHOWN);
    refill(box,
      el("div", { class: "above controls-row" },
        select("Order", [[true, "by loss"], [false, "as in the network"]], byLoss, (v) => { byLoss = v; show(); }),
        hidden && el("button", { type: "button", "aria-pressed": String(all), onclick: () => { all = !all; show(); } }, "All layers")),
      ...models.map(([model, list]) => bars(model, list, most)));
  }

  function bars(model, list, most) {
    const loss = (l) => num(l.share);
    const worst = [...list].sort((a, b) => (loss(b) ?? -Infinity) - (loss(a) ?? -Infinity));
    const kept = all ? worst : worst.slice(0, BARS_SHOWN);
    const shown = byLoss ? kept : list.filter((l) => kept.includes(l));
    const rest = list.length - shown.length;
    return el("div", { class: "card model-bars" }, el("h3", {}, model),
      el("div", { class: "bars", role: "list" }, shown.map((l) => {
        const bar = el("i");
        bar.style.width = `${(100 * Math.max(0, loss(l) ?? 0) / most).toFixed(2)}%`;
        return el("div", { role: "listitem", class: "row" }, el("span", { class: "layer" }, l.layer),
          el("span", { class: "bar" }, bar),
          el("span", { class: "number" }, loss(l) === null ? NONE : `${fixed(100 * loss(l), 1)} %`));
      })),
      rest > 0 && el("p", { class: "quiet note" }, `${rest} more, each below what is shown.`));
  }
  if (models.length) show();
}
