// Builds elements. A value always becomes a text node or an attribute, so nothing that a Job
// carries can become markup. There is no way to give HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `h("p", {class: "x", onclick: f}, "text", child)`. Null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

/** A text in its own lines that can be scrolled, and so must be reachable by keyboard and named. */
export function textBlock(kind, label, text = "") {
  return h("pre", { class: kind, tabindex: "0", role: "group", "aria-label": label, dir: "auto" }, text);
}

/** Writes a text only where it differs: a write costs a layout, a look does not. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute only where it differs; null takes it away. */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Calls `work` at most once in `ms`, the last time after the last call. */
export function throttle(work, ms) {
  let timer = 0;
  let last = -Infinity;
  return () => {
    if (timer) return;
    timer = setTimeout(() => {
      timer = 0;
      last = performance.now();
      work();
    }, Math.max(0, last + ms - performance.now()));
  };
}

/** Calls `work` when nobody has called for `ms`. */
export function debounce(work, ms) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), ms);
  };
}

let counter = 0;

/** An id that no other element of the page has. */
export function freshId(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}
