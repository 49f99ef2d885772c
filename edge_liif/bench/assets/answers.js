// The questions people come with, answered in words: what is lost at a quarter of the size, what is fastest, what fits.
function answers(section, data, model, scale, onmodel) {
  const all = data.recommendations.filter((r) => r.scale === scale);
  const found = all.find((r) => r.model === model) || all[0];
  const parts = [];
  if (all.length > 1) {
    parts.push(el("p", {}, select("Model", all.map((r) => [r.model, r.model]), found.model, onmodel)));
  }
  if (found && found.reference) {
    parts.push(verdict(found), losses(found), el("div", { class: "picks" },
      pick(`Smallest that loses at most ${found.loss_db} dB`, found.smallest),
      pick(`Fastest that loses at most ${found.loss_db} dB`, found.fastest),
      fits(data.report.points || [], found)));
  } else {
    parts.push(el("p", {}, "Nothing is recommended here: the uncompressed network in fp32, which all others are " +
      "compared with, was not measured at this scale."));
  }
  const asked = (data.report.answers || []).filter((a) => a.answer);
  if (asked.length) {
    parts.push(el("dl", { class: "asked" }, asked.map((a) => [el("dt", {}, a.question), el("dd", {}, a.answer)])));
  }
  refill(section, el("div", { class: "card" }, parts));
}

function verdict(found) {
  const { reference: base, fastest, shares } = found;
  const quarter = shares.find((s) => s.share === 4).pick;
  const said = [`${timesName(found.scale)}, ${found.model}: `];
  if (quarter) said.push("at a quarter of the size you lose ", el("strong", {}, lossText(quarter.loss_db)), ". ");
  else said.push("no setting measured is a quarter of the size. ");
  if (fastest && fastest.point !== base.point) {
    said.push(`The fastest setting within ${found.loss_db} dB is `, el("strong", {}, fastest.name));
    said.push(fastest.speed_ratio ? `, ${fixed(fastest.speed_ratio, 1)} times as fast as fp32. ` : ". ");
  } else if (fastest) {
    said.push("No setting within ", `${found.loss_db} dB is faster than fp32. `);
  }
  said.push(el("span", { class: "quiet basis" },
    `Compared with ${base.name}: ${decibels(base.psnr_y)}, ${megabytes(base.bytes)}. Only what is made without data.`));
  return el("p", { class: "verdict" }, said);
}

function losses(found) {
  return el("dl", { class: "losses", "aria-label": "What you lose" }, found.shares.map(({ share, pick: best }) =>
    el("div", {}, el("dt", {}, `You lose at 1/${share} of the size`),
      el("dd", { class: "big" }, best ? lossText(best.loss_db) : "not measured"),
      best && el("dd", { class: "quiet" }, `${best.name}, ${megabytes(best.bytes)}`))));
}

function chosen(best) {
  const about = [
    best.bytes && `${megabytes(best.bytes)}, ${shareText(best.size_ratio)}`,
    best.loss_db === null ? null : `${decibels(best.psnr_y)}, loses ${lossText(best.loss_db)}`,
    best.hr_mp_s && `${three(best.hr_mp_s)} HR megapixels/s` +
      (best.speed_ratio ? `, ${fixed(best.speed_ratio, 1)} times fp32` : ""),
  ].filter(Boolean);
  return [el("p", { class: "name" }, best.name), el("p", { class: "quiet" }, about.join("; ")),
    ["compress", "run"].map((verb) => best.commands && best.commands[verb] && copyable(best.commands[verb]))];
}

function pick(title, best) {
  return el("div", { class: "card" }, el("h3", {}, title),
    best ? chosen(best) : el("p", {}, "None of those measured."));
}

function fits(points, found) {
  const base = found.reference;
  const own = points.filter((p) => p.model === found.model && p.scale === found.scale && !p.peer &&
    p.data_free !== false && num(p.bytes) !== null && num(p.mean && p.mean.psnr_y) !== null);
  const result = el("div", { "aria-live": "polite" });
  const input = el("input", { type: "number", id: "fits", min: 0, step: "any", inputmode: "decimal", oninput: show });
  const quarter = base.bytes ? base.bytes / 4e6 : 1;
  input.value = quarter.toFixed(quarter < 1 ? 2 : 1);

  function show() {
    const most = parseFloat(input.value) * 1e6;
    const under = own.filter((p) => p.bytes <= most);
    const better = (a, b) => b.mean.psnr_y - a.mean.psnr_y || a.bytes - b.bytes;
    const best = under.sort(better)[0];
    if (!best) {
      const least = Math.min(...own.map((p) => p.bytes));
      result.replaceChildren(el("p", {}, Number.isNaN(most) ? "Give a number of megabytes."
        : own.length ? `Nothing measured is that small; the smallest is ${megabytes(least)}.` : "No sizes were measured."));
      return;
    }
    const speed = num(best.speed && best.speed.hr_mp_s);
    result.replaceChildren(...chosen({
      name: best.name, bytes: best.bytes, psnr_y: best.mean.psnr_y, loss_db: base.psnr_y - best.mean.psnr_y,
      size_ratio: base.bytes ? best.bytes / base.bytes : null, hr_mp_s: speed,
      speed_ratio: speed && base.hr_mp_s ? speed / base.hr_mp_s : null, commands: best.commands,
    }).flat().filter(Boolean));
  }
  show();
  return el("div", { class: "card" },
    el("h3", {}, el("label", { for: "fits" }, "Best that fits ", input, " MB")), result);
}
