// The page: what is shown (scale, data set, range of the axis), and its parts in order.
const data = embedded();
const report = data.report;
const points = report.points || [];
const known = (values) => [...new Set(values.filter((v) => v !== null && v !== undefined))];
const models = known(points.filter((p) => !p.peer).map((p) => p.model).concat(points.map((p) => p.model)));
const scales = known([...(report.scales || []), ...points.map((p) => p.scale)]);
const datasets = report.datasets || [];
const view = { scale: scales[0] ?? null, dataset: null, range: "roots", model: models[0] ?? null };
const datasetText = (d) => `${d.name}${d.n ? ` (${d.n})` : ""}`;
const rows = table(points, { column: null, down: false }, { text: "" });

function bicubicOf() {
  const line = (report.bicubic || []).find((b) => b.scale === view.scale);
  return line ? qualityOf(line, view.dataset) : null;
}

function controls() {
  const pictures = datasets.reduce((n, d) => n + (d.n || 0), 0);
  const parts = [
    scales.length > 1 && select("Scale", scales.map((s) => [s, timesName(s)]), view.scale, (s) => change({ scale: s })),
    datasets.length > 1 && select("Data set", [[null, `mean of all${pictures ? ` (${pictures})` : ""}`],
      ...datasets.map((d) => [d.name, datasetText(d)])], view.dataset, (d) => change({ dataset: d })),
    select("Charts", RANGES, view.range, (r) => change({ range: r })),
  ];
  byId("controls").replaceChildren(...parts.filter(Boolean));
  byId("controls").hidden = false;
}

function change(to) {
  const quality = "dataset" in to;
  Object.assign(view, to);
  show(quality);
}

function show(quality) {
  answers(byId("answers"), data, view.model, view.scale, (m) => change({ model: m }));
  const shown = points.map((p, key) => [p, key]).filter(([p]) => p.scale === view.scale);
  const set = view.dataset ?? (datasets.length === 1 ? datasetText(datasets[0]) : "mean of all pictures");
  const seen = {
    ...view, models, keys: shown.map(([, key]) => key), bicubic: bicubicOf(),
    shown: `${view.scale === null ? "" : `${timesName(view.scale)}, `}${set}`,
  };
  legend(byId("legend"), shown.map(([p]) => p), models.filter((m) => shown.some(([p]) => p.model === m)).length > 1 ? models : []);
  byId("plots").replaceChildren(...COSTS.map((cost) => plot(cost, shown.map(([p]) => p), seen)));
  if (quality) rows.fillFor(view.dataset);
}

function method(box) {
  if (report.protocol) box.append(el("p", {}, report.protocol));
  if (report.command) box.append(copyable(report.command));
  const list = el("dl", { class: "facts" });
  const about = [["date", report.created], ["commit", report.commit], ...Object.entries(report.environment || {})];
  facts(list, about.filter(([, text]) => text !== null && text !== undefined));
  box.append(list);
}

const told = [report.created, `${points.length} settings`, datasets.map(datasetText).join(", "),
  scales.map(timesName).join(", ")];
byId("made").textContent = told.filter(Boolean).join(" · ");
controls();
byId("table").append(rows.node);
show(true);
crops(byId("crops"), byId("viewer"), report.crops, points);
layers(byId("layers"), byId("bars"), report.sensitivity);
const missing = report.missing || [];
byId("missing").hidden = !missing.length;
facts(byId("reasons"), missing.map((m) => [m.name, m.reason ?? "no reason given"]));
method(byId("method"));
