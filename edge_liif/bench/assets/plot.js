// Quality against a cost: one mark for each setting, the Pareto front as a line, bicubic as a dashed one.
const COSTS = [
  { title: "File size", unit: "MB, smaller to the left", of: (p) => num(p.bytes), scale: 1e6, less: true,
    text: megabytes },
  { title: "Speed", unit: "HR megapixels/s, faster to the right", of: (p) => num(p.speed && p.speed.hr_mp_s), scale: 1,
    less: false, text: (v) => `${three(v)} HR MP/s` },
  { title: "Work", unit: "thousand multiply-adds per output pixel", of: (p) => num(p.multiply_adds),
    scale: 1e3, less: true, text: (v) => `${three(v / 1e3)} k multiply-adds` },
];
const KINDS = {
  own: { text: "ours, made without data", open: false, path: (r) => circle(r) },
  real: { text: "ours, made with real pictures", open: true, path: (r) => polygon([[0, -r * 1.3], [r * 1.3, 0], [0, r * 1.3], [-r * 1.3, 0]]) },
  peer: { text: "others' tools or networks", open: true, path: (r) => polygon([[-r, -r], [r, -r], [r, r], [-r, r]]) },
  quantized: { text: "this network by others' quantizers, with real pictures, not data-free", open: true,
    path: (r) => polygon([[0, -r * 1.2], [r * 1.2, r], [-r * 1.2, r]]) },
  perceptual: { text: "others' perceptual networks: trained to look sharp, which PSNR does not reward", open: true,
    path: (r) => polygon([[-r * 1.2, 0], [-r * 0.6, -r], [r * 0.6, -r], [r * 1.2, 0], [r * 0.6, r], [-r * 0.6, r]]) },
};
// Most differences that people choose by are hundredths of a dB, and bicubic is whole dB away: on a square root of the
// loss both are seen.
const RANGES = [["roots", "small losses stretched"], ["linear", "linear, from bicubic up"], ["all", "linear, everything"]];
const LOSSES = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50];
const COLOURS = 5;

const circle = (r) => `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0z`;
const polygon = (corners) => `M${corners.map((c) => c.join(" ")).join("L")}z`;
const kindOfPeer = (p) => p.note === "perceptual" ? "perceptual" : p.data_free === false ? "quantized" : "peer";
const kindOf = (p) => p.peer ? kindOfPeer(p) : p.data_free === false ? "real" : "own";
const qualityOf = (p, dataset, key = "psnr_y") => {
  const values = dataset === null ? p.mean : (p.quality || {})[dataset];
  return num(values && values[key]);
};

function hot(key) {
  for (const node of document.querySelectorAll("[data-point]")) {
    node.classList.toggle("hot", key !== null && node.dataset.point === String(key));
  }
}

function front(marks, less) {
  const sorted = [...marks].sort((a, b) => (less ? a.cost - b.cost : b.cost - a.cost) || b.value - a.value);
  let best = -Infinity;
  return sorted.filter((m) => m.value > best && ((best = m.value), true));
}

function bounds(values, bicubic, range) {
  // The lowest dB that is drawn in its place. A collapse to 14 dB must not squash the 0.1 dB that people choose by.
  const top = Math.max(...values);
  const least = Math.min(...values, ...(bicubic === null ? [] : [bicubic]));
  const reach = bicubic === null ? 3 : Math.max(0.5, 1.3 * (top - bicubic));
  const low = range === "all" ? least : Math.max(least, top - reach);
  const pad = Math.max(0.02, 0.06 * (top - low));
  return [low - pad, Math.max(top, bicubic ?? top) + (range === "roots" ? 0 : pad)];
}

function legend(box, points, models) {
  const sample = (kind, m) => svg("svg", { width: 18, height: 18, viewBox: "-9 -9 18 18", "aria-hidden": "true" },
    svg("g", { class: `mark m${m} ${KINDS[kind].open ? "open" : ""}` }, svg("path", { class: "shape", d: KINDS[kind].path(5.5) })));
  const kinds = Object.keys(KINDS).filter((kind) => points.some((p) => kindOf(p) === kind));
  const stroke = (name) => svg("svg", { width: 30, height: 12, viewBox: "0 0 30 12", "aria-hidden": "true" },
    svg("line", { class: name, x1: 1, x2: 29, y1: 6, y2: 6 }));
  box.replaceChildren(
    ...kinds.map((kind) => el("span", {}, sample(kind, 0), KINDS[kind].text)),
    ...(models.length > 1 ? models.map((name, m) => el("span", {}, svg("svg",
      { width: 14, height: 14, viewBox: "0 0 14 14", class: `m${m % COLOURS}`, "aria-hidden": "true" },
      svg("rect", { width: 14, height: 14, rx: 3, fill: "var(--c)" })), name)) : []),
    el("span", {}, stroke("front"), "Pareto front"), el("span", {}, stroke("bicubic"), "bicubic"));
}

function plot(cost, points, view) {
  // view: {dataset, range, bicubic (dB or null), models, shown (text)}
  const figure = el("figure", { class: "plot card" });
  const marks = points.map((p, i) => ({ p, key: view.keys[i], cost: cost.of(p), value: qualityOf(p, view.dataset) }))
    .filter((m) => m.cost !== null && m.cost > 0 && m.value !== null);
  const caption = el("figcaption", {}, `PSNR-Y against ${cost.title.toLowerCase()} `, el("small", {}, view.shown));
  if (!marks.length) {
    figure.append(caption, el("p", { class: "note quiet" }, "Not measured."));
    return figure;
  }
  marks.sort((a, b) => a.cost - b.cost || a.value - b.value);
  const [low, high] = bounds(marks.map((m) => m.value), view.bicubic, view.range);
  const tip = el("div", { class: "tip", hidden: true });
  const holder = el("div", {});
  figure.append(caption, holder, tip, ...notes(cost, marks, points.length, low, view));

  let current = 0;
  let width = 0;
  function draw() {
    const now = Math.round(holder.clientWidth);
    if (!now || now === width) return;
    width = now;
    const focused = holder.contains(document.activeElement);
    holder.replaceChildren(chart(cost, marks, view, low, high, width));
    const groups = [...holder.querySelectorAll(".mark")];
    marks.forEach((m, i) => { m.node = groups.find((g) => g.dataset.point === String(m.key)); m.order = i; });
    listen(holder.firstChild);
    enter(current, focused);
  }

  function enter(i, focus) {
    marks[current].node.setAttribute("tabindex", -1);
    current = i;
    marks[i].node.setAttribute("tabindex", 0);
    if (focus) marks[i].node.focus({ preventScroll: false });
  }

  function show(m) {
    hot(m.key);
    tip.replaceChildren(el("b", {}, m.p.name || NONE), `${decibels(m.value)}, ${cost.text(m.cost)}`,
      el("br"), KINDS[kindOf(m.p)].text);
    tip.hidden = false;
    const scale = holder.clientWidth / width;
    const x = holder.offsetLeft + m.x * scale;
    const y = holder.offsetTop + m.y * scale;
    const left = Math.min(Math.max(4, x - tip.offsetWidth / 2), figure.clientWidth - tip.offsetWidth - 4);
    const above = y - tip.offsetHeight - 14;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 0 ? y + 14 : above}px`;
  }
  const hide = () => { tip.hidden = true; hot(null); };

  function listen(chartNode) {
    const point = (event) => {
      const box = chartNode.getBoundingClientRect();
      const scale = width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      const distance = (m) => Math.hypot(m.x - x, m.y - y);
      const near = marks.reduce((a, b) => distance(b) < distance(a) ? b : a);
      if (distance(near) < 28) show(near);
      else hide();
    };
    chartNode.addEventListener("pointermove", point);
    chartNode.addEventListener("pointerdown", point);
    chartNode.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hide(); });
    chartNode.addEventListener("focusin", (event) => {
      const m = marks.find((one) => one.node === event.target.closest(".mark"));
      if (m) { enter(m.order, false); show(m); }
    });
    chartNode.addEventListener("focusout", hide);
    chartNode.addEventListener("keydown", (event) => {
      const last = marks.length - 1;
      const to = { ArrowRight: current + 1, ArrowUp: current + 1, ArrowLeft: current - 1, ArrowDown: current - 1, Home: 0, End: last };
      if (event.key === "Escape") hide();
      if (!(event.key in to)) return;
      event.preventDefault();
      enter(Math.min(last, Math.max(0, to[event.key])), true);
    });
  }
  // In the next frame: drawing changes the height of what is observed.
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(holder);
  return figure;
}

function notes(cost, marks, count, low, view) {
  const clipped = marks.filter((m) => m.value < low).length;
  const absent = count - marks.length;
  const settings = (n) => `${n} setting${n === 1 ? "" : "s"}`;
  const said = [
    clipped && `${settings(clipped)} below ${decibels(low)} ${clipped === 1 ? "is" : "are"} drawn at the border, as ${clipped === 1 ? "a triangle" : "triangles"} with the value.`,
    absent && `${settings(absent)} without this measurement ${absent === 1 ? "is" : "are"} not drawn.`,
  ].filter(Boolean);
  return said.length ? [el("p", { class: "note quiet" }, said.join(" "))] : [];
}

function chart(cost, marks, view, low, high, width) {
  const height = Math.round(Math.min(400, Math.max(270, width * 0.5)));
  const roots = view.range === "roots";
  const [left, right, top, bottom] = [46, roots ? 42 : 14, 26, 44];
  let [least, most] = [Math.min(...marks.map((m) => m.cost)), Math.max(...marks.map((m) => m.cost))];
  const spread = Math.max(1.12, (most / least) ** 0.07);
  [least, most] = [least / spread, most * spread];
  const x = (v) => left + (width - left - right) * Math.log(v / least) / Math.log(most / least);
  const share = (v) => (high - v) / (high - low);
  const y = (v) => top + (height - top - bottom) * (roots ? Math.sqrt(share(v)) : share(v));
  const floor = height - bottom;

  const node = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `PSNR-Y in dB against ${cost.title.toLowerCase()}, ${marks.length} settings` });
  const line = (v, text, other) => node.append(
    svg("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
    svg("text", { class: "axis", x: left - 6, y: y(v) + 4, "text-anchor": "end" }, text),
    svg("text", { class: "axis", x: width - right + 6, y: y(v) + 4 }, other));
  if (roots) {
    let above = -Infinity;
    for (const loss of LOSSES.filter((l) => high - l >= low)) {
      if (y(high - loss) - above < 19) continue;
      above = y(high - loss);
      line(high - loss, loss ? `\u2212${loss}` : "best", fixed(high - loss, 2));
    }
  } else {
    const { ticks, digits } = niceTicks(low, high, height / 60);
    for (const t of ticks) line(t, fixed(t, digits), "");
  }
  let taken = -Infinity;
  for (const t of logTicks(least / cost.scale, most / cost.scale)) {
    const at = x(t * cost.scale);
    if (at - taken < 38 || at > width - right - 4) continue;
    taken = at;
    node.append(svg("line", { class: "grid", x1: at, x2: at, y1: floor, y2: floor + 5 }),
      svg("text", { class: "axis", x: at, y: floor + 18, "text-anchor": "middle" }, three(t)));
  }
  node.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: floor, y2: floor }),
    svg("text", { class: "axis", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, cost.unit),
    svg("text", { class: "axis", x: 2, y: 10 }, roots ? "dB lost" : "dB"),
    svg("text", { class: "axis", x: width - 4, y: 10, "text-anchor": "end" }, roots ? "dB" : ""));
  if (view.bicubic !== null && view.bicubic >= low) {
    const at = y(view.bicubic);
    node.append(svg("line", { class: "bicubic", x1: left, x2: width - right, y1: at, y2: at }),
      svg("text", { class: "value", x: width - right, y: at - 5, "text-anchor": "end" }, `bicubic ${decibels(view.bicubic)}`));
  }
  for (const m of marks) {
    m.x = x(m.cost);
    m.y = m.value < low ? floor - 7 : y(m.value);
  }
  const best = front(marks, cost.less);
  node.append(svg("polyline", { class: "front", points: best.map((m) => `${m.x},${m.y}`).join(" ") }));

  const ends = [];
  // Those on the front last, so that nothing lies over them.
  for (const m of [...marks.filter((one) => !best.includes(one)), ...best]) {
    const kind = KINDS[kindOf(m.p)];
    const below = m.value < low;
    const shape = below ? polygon([[-6, -6], [6, -6], [0, 6]]) : kind.path(5.5);
    const colour = Math.max(0, view.models.indexOf(m.p.model)) % COLOURS;
    node.append(svg("g", { class: `mark m${colour} ${kind.open ? "open" : ""} ${below ? "below" : ""}`, tabindex: -1, role: "img",
      transform: `translate(${m.x.toFixed(1)} ${m.y.toFixed(1)})`, "data-point": m.key,
      "aria-label": `${m.p.name || NONE}: ${decibels(m.value)}, ${cost.text(m.cost)}, ${kind.text}` },
    svg("circle", { class: "halo", r: 11 }), svg("path", { class: "shape", d: shape })));
  }
  // Values of clipped marks, each in the lowest row where it has room.
  for (const m of marks.filter((one) => one.value < low)) {
    let row = 0;
    while (ends[row] !== undefined && m.x - 15 < ends[row]) row++;
    ends[row] = m.x + 15;
    node.append(svg("text", { class: "value", x: Math.min(m.x, width - right - 14), y: m.y - 11 - 13 * row, "text-anchor": "middle" },
      fixed(m.value, 1)));
  }
  return node;
}
