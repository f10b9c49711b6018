// Builds elements. A value always becomes a text node or an attribute, so nothing that a Job
// carries can become markup. No function takes HTML.

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | number | null | undefined | false} Leaf Null, undefined and false are left out. */
/** @typedef {Leaf | Leaf[] | (Leaf | Leaf[])[]} Child */
/** @typedef {{[name: string]: string | number | boolean | null | undefined | ((event: any) => unknown)}} Attributes */

/**
 * Make an element: `h("p", {class: "x", onclick: f}, "text", child)`. Attributes that are null, undefined
 * or false are left out.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * Make an element of SVG, in the same way.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  const flat = /** @type {Leaf[]} */ (children.flat(3));
  element.append(...flat.filter((child) => child !== null && child !== undefined && child !== false).map(nodeOf));
  return element;
}

/** @param {Node | string | number} child */
function nodeOf(child) {
  return typeof child === "number" ? String(child) : child;
}

/**
 * Make a text with its own lines that can be scrolled, and so must be reachable by keyboard and have a name.
 * @param {string} kind - its class
 * @param {string} label
 */
export function textBlock(kind, label, text = "") {
  return h("pre", { class: kind, tabindex: "0", role: "group", "aria-label": label, dir: "auto" }, text);
}

/**
 * Write a text only where it differs: a write costs a layout, a comparison does not.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Set an attribute only where it differs; null removes it.
 * @param {Element} node
 * @param {string} name
 * @param {string | number | boolean | null} value
 */
export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/**
 * Return a function that calls `work` at most once in `ms`; the last call is never lost.
 * @param {() => unknown} work
 * @param {number} ms
 */
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

/**
 * Return a function that calls `work` once no further call has come for `ms`.
 * @template {any[]} A
 * @param {(...values: A) => unknown} work
 * @param {number} ms
 * @returns {(...values: A) => void}
 */
export function debounce(work, ms) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), ms);
  };
}

let counter = 0;

/**
 * Return an id that no other element of the page has.
 * @param {string} prefix
 */
export function freshId(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}
