// Two pictures of one size on top of each other and a divider between them: by mouse, touch or arrow keys.
function slider({ before, after, names, fit }) {
  // before, after: <img> elements; names: what the sides are called; fit: start with the whole picture in view
  let place = 50;
  let zoom = fit ? 0 : null;
  before.alt = names[0];
  after.alt = names[1];
  before.draggable = after.draggable = false;
  after.className = "base";
  before.className = "top";

  const tags = names.map((name, side) => el("span", { class: `tag ${side ? "right" : "left"}` }, name));
  const handle = el("button", {
    type: "button", class: "handle", role: "slider", "aria-orientation": "horizontal",
    "aria-label": `Divider between ${names[0]} and ${names[1]}`,
    "aria-valuemin": 0, "aria-valuemax": 100, onkeydown: keys,
  });
  const stage = el("div", { class: "stage" }, after, before, handle);
  const pan = el("div", { class: "pan" }, stage);
  const frame = el("div", { class: "frame" }, pan, tags);

  const move = (to) => {
    place = Math.min(100, Math.max(0, to));
    stage.style.setProperty("--place", `${place}%`);
    handle.setAttribute("aria-valuenow", Math.round(place));
    handle.setAttribute("aria-valuetext", `${Math.round(place)} % ${names[0]}`);
  };
  const moveTo = (clientX) => {
    const box = stage.getBoundingClientRect();
    move(100 * (clientX - box.left) / box.width);
  };

  function keys(event) {
    const step = event.shiftKey ? 10 : 1;
    const steps = {
      ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -10, PageUp: 10,
      Home: -100, End: 100,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    move(Math.round(place) + steps[event.key]);
  }

  // A finger moves the divider by its handle or by a tap; anywhere else it scrolls the page and pans a large picture.
  let dragging = false;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || (event.pointerType === "touch" && event.target !== handle)) return;
    dragging = true;
    stage.setPointerCapture(event.pointerId);
    if (event.target !== handle) moveTo(event.clientX);
    handle.focus({ preventScroll: true });
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => { if (dragging) moveTo(event.clientX); });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { dragging = false; });
  stage.addEventListener("click", (event) => { if (event.target !== handle) moveTo(event.clientX); });

  const choices = [[0, "Fit"], [1, "1:1"], [3, "3x"]];
  const buttons = choices.map(([value, text]) =>
    el("button", { type: "button", onclick: () => { zoom = value; show(); } }, text));
  const flip = el("button", { type: "button", onclick: () => move(place > 50 ? 0 : 100) }, "Flip");
  flip.title = "One picture, then the other: small differences show best this way";

  function show() {
    const width = after.naturalWidth;
    if (!width) return;
    if (zoom === null) zoom = 3 * width <= frame.clientWidth ? 3 : width <= frame.clientWidth ? 1 : 0;
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(choices[i][0] === zoom)));
    // two more pixels: the border
    const whole = `${(zoom || 1) * width + 2}px`;
    stage.style.width = zoom ? `${zoom * width}px` : "100%";
    frame.style.width = zoom ? `min(100%, ${whole})` : `min(100%, ${whole}, ${80 * width / after.naturalHeight}vh)`;
    stage.classList.toggle("pixels", zoom > 0);
    pan.scrollLeft = (pan.scrollWidth - pan.clientWidth) / 2;
    pan.scrollTop = (pan.scrollHeight - pan.clientHeight) / 2;
  }
  after.addEventListener("load", show);
  move(50);
  requestAnimationFrame(show);
  return el("div", { class: "slider" }, el("div", { class: "zooms", role: "group", "aria-label": "Size" }, buttons, flip),
    frame);
}
