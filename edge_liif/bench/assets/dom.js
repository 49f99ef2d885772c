// Elements made from text, never from HTML: whatever a name holds, it is shown as it is.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}

const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);
const embedded = () => JSON.parse(byId("data").textContent);

function refill(node, ...children) {
  // new content in which the same control, by its place, has the keyboard as before
  const controls = () => [...node.querySelectorAll("select, button, input")];
  const focused = controls().indexOf(document.activeElement);
  node.replaceChildren(...children.filter(Boolean));
  if (focused >= 0 && controls()[focused]) controls()[focused].focus({ preventScroll: true });
}

function select(label, options, value, onchange) {
  // options: [value, text]; the values may be anything, so they are known by their place
  const chosen = Math.max(0, options.findIndex(([v]) => v === value));
  const box = el("select", { onchange: () => onchange(options[box.selectedIndex][0]) },
    options.map(([, text], i) => el("option", { value: i, selected: i === chosen }, text)));
  box.selectedIndex = chosen;
  return el("label", {}, el("span", {}, label), box);
}

function copyable(text, label = "Copy") {
  const code = el("code", {}, text);
  const button = el("button", { type: "button", class: "copy", onclick: copy }, label);
  async function copy() {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      // Pages from a disk may not be given the clipboard; selecting the text leaves Ctrl-C, if this fails too.
      const range = document.createRange();
      range.selectNodeContents(code);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = done ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = label; }, 1500);
  }
  return el("div", { class: "command" }, el("pre", { tabindex: 0, "aria-label": "Command" }, code), button);
}

function facts(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, String(text))]));
}
