// All settings with all that was measured: any column sorts, missing values last, and words narrow it down.
function columnsOf(dataset) {
  const text = (title, of) => ({ title, of, show: (v) => v === null ? NONE : v, number: false });
  const number = (title, of, show) => ({ title, of, show: (v) => v === null ? NONE : show(v), number: true });
  const quality = (title, key, digits) => number(title, (p) => qualityOf(p, dataset, key), (v) => fixed(v, digits));
  const speed = (title, key, show) => number(title, (p) => num((p.speed || {})[key]), show);
  const yes = (v) => v === null || v === undefined ? null : v ? "yes" : "no";
  return [
    text("Setting", (p) => p.name ?? null), number("Scale", (p) => num(p.scale), timesName),
    number("File, MB", (p) => num(p.bytes), (v) => fixed(v / 1e6, 2)),
    quality("PSNR-Y, dB", "psnr_y", 2), speed("HR MP/s", "hr_mp_s", three),
    speed("Times the first's speed", "ratio", (v) => fixed(v, 2)),
    ...[["at least", "ratio_low", (v) => fixed(v, 2)], ["at most", "ratio_high", (v) => fixed(v, 2)]].map((about) =>
      ({ ...speed(...about), screen: true })),
    number("Multiply-adds per output pixel, k", (p) => num(p.multiply_adds), (v) => three(v / 1e3)),
    quality("SSIM", "ssim", 4), quality("MS-SSIM", "ms_ssim", 4), quality("LPIPS", "lpips", 4),
    quality("PSNR to the uncompressed, dB", "fidelity", 1),
    speed("Seconds, median", "seconds", three),
    ...[["lowest", "low", three], ["highest", "high", three], ["Rounds", "rounds", (v) => fixed(v, 0)],
      ["LR MP/s", "lr_mp_s", three]].map((about) => ({ ...speed(...about), screen: true })),
    { ...number("Start, s", (p) => num(p.start_seconds), three), screen: true },
    number("Peak memory, MB", (p) => num(p.peak_bytes), (v) => fixed(v / 1e6, 0)),
    text("Data-free", (p) => yes(p.data_free)), text("Peer", (p) => yes(p.peer)), text("Note", (p) => p.note ?? null),
    ...["Model", "Recipe", "Method", "Engine", "Precision", "Device"].map((title) =>
      ({ ...text(title, (p) => p[title.toLowerCase()] ?? null), screen: true })),
  ];
}

// Paper can't be scrolled: what the name says already and the details of the timing are left out on it.
const classOf = (column) => [column.number && "number", column.screen && "screen"].filter(Boolean).join(" ") || null;

function compareCells(a, b, numeric) {
  // two infinite values are equal, but their difference is no number
  if (a === b) return 0;
  return numeric ? a - b : a.localeCompare(b, "en", { numeric: true, sensitivity: "base" });
}

function table(points, sorting, words) {
  // sorting: {column, down} and words: {text}, both kept by the caller while the data set changes
  let columns = [];
  let rows = [];
  const head = el("tr");
  const body = el("tbody");
  const count = el("span", { class: "quiet", role: "status" });
  const filter = el("input", { type: "search", placeholder: "e.g. int8 W4", oninput: () => { words.text = filter.value; show(); } });
  filter.value = words.text;

  function fillFor(dataset) {
    columns = columnsOf(dataset);
    rows = points.map((p, key) => {
      const cells = columns.map((c) => c.of(p));
      const shown = columns.map((c, i) => String(c.show(cells[i])));
      const node = el("tr", { "data-point": key, onpointerenter: () => hot(key), onpointerleave: () => hot(null) },
        shown.map((t, i) => el(i ? "td" : "th", { scope: i ? null : "row", class: classOf(columns[i]) }, t)));
      return { cells, text: shown.join(" ").toLowerCase(), node };
    });
    head.replaceChildren(...columns.map((c, i) => el("th", { scope: "col", class: classOf(c) },
      el("button", { type: "button", onclick: () => sortBy(i) }, c.title))));
    show();
  }

  function sortBy(column) {
    sorting.down = sorting.column === column ? !sorting.down : false;
    sorting.column = column;
    show();
  }

  function show() {
    const { column, down } = sorting;
    [...head.children].forEach((th, i) => {
      if (i === column) th.setAttribute("aria-sort", down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    });
    const wanted = words.text.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = rows.filter((row) => wanted.every((word) => row.text.includes(word)));
    if (column !== null) {
      shown.sort((a, b) => {
        const [one, other] = [a.cells[column], b.cells[column]];
        if (one === null || other === null) return (one === null) - (other === null);
        return (down ? -1 : 1) * compareCells(one, other, columns[column].number);
      });
    }
    body.replaceChildren(...shown.map((row) => row.node));
    count.textContent = wanted.length ? `${shown.length} of ${rows.length}` : `${rows.length} settings`;
  }

  const node = el("div", {},
    el("div", { class: "above" }, el("label", {}, el("span", {}, "Only rows with"), filter), count),
    el("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": "All settings, scrolls sideways" },
      el("table", {}, el("thead", {}, head), body)));
  return { node, fillFor };
}
