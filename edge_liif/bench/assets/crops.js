// Crops of real pictures: two of the original, bicubic and the settings, side against side.
const isPicture = (uri) => typeof uri === "string" && /^data:image\/(png|jpeg|webp);base64,/.test(uri);

function crops(section, box, list, points) {
  const nameOf = (id) => {
    const point = points.find((p) => p.id === id);
    const note = point && point.note ? ` (${point.note})` : "";
    return point ? (point.name || id) + note : id === "original" ? "original" : id === "bicubic" ? "bicubic" : id;
  };
  const usable = (list || []).map((c) => ({ ...c, sides: Object.entries(c.images || {}).filter(([, uri]) => isPicture(uri)) }))
    .filter((c) => c.sides.length > 1);
  section.hidden = !usable.length;
  if (!usable.length) return;

  let picture = usable[0];
  let wanted = ["bicubic", null];
  const viewer = el("div");
  const choice = el("div", { class: "above" });

  function sides() {
    const ids = picture.sides.map(([id]) => id);
    const left = ids.includes(wanted[0]) ? wanted[0] : ids[0];
    const settings = ids.filter((id) => id !== left && id !== "original" && id !== "bicubic");
    const right = ids.includes(wanted[1]) ? wanted[1] : settings[0] || ids.find((id) => id !== left);
    return [left, right];
  }

  function show() {
    wanted = sides();
    const options = picture.sides.map(([id]) => [id, nameOf(id)]);
    refill(choice,
      select("Picture", usable.map((c) => [c, `${c.name}${c.scale ? ` ${timesName(c.scale)}` : ""}`]), picture, (c) => { picture = c; show(); }),
      select("Left", options, wanted[0], (id) => { wanted[0] = id; show(); }),
      select("Right", options, wanted[1], (id) => { wanted[1] = id; show(); }));
    const [before, after] = wanted.map((id) => {
      const image = el("img");
      image.src = picture.sides.find(([one]) => one === id)[1];
      return image;
    });
    viewer.replaceChildren(slider({ before, after, names: wanted.map(nameOf), fit: false }));
  }
  box.append(choice, viewer);
  show();
}
