// One line of a log as an element: the bytes of a program become spans with classes, never markup.
import { h } from "../core/dom.js";
import { PLAIN } from "./ansi.js";

/** @import { Run } from "./ansi.js" */

/**
 * Make the element of a line.
 * @param {Run[]} runs
 */
export function logLine(runs) {
  return h("div", { class: "log-line", dir: "auto" }, runs.length > 0 ? runNodes(runs) : "\u200b");
}

/**
 * The nodes of runs: plain ones are texts, the others spans.
 * @param {Run[]} runs
 */
export function runNodes(runs) {
  return runs.map((run) => (run.style === PLAIN ? run.text : span(run)));
}

/** @param {Run} run */
function span({ text, style }) {
  const { bold, dim, italic, underline, inverse } = style;
  const [fg, bg] = inverse ? [style.bg ?? "back", style.fg ?? "text"] : [style.fg, style.bg];
  const names = Object.entries({ bold, dim, italic, underline }).filter(([, isOn]) => isOn).map(([name]) => `ansi-${name}`);
  if (typeof fg === "string") names.push(`ansi-fg-${fg}`);
  if (typeof bg === "string") names.push(`ansi-bg-${bg}`);
  const element = h("span", { class: names.join(" ") || null }, text);
  if (Array.isArray(fg)) element.style.color = `rgb(${fg.join(" ")})`;
  if (Array.isArray(bg)) element.style.backgroundColor = `rgb(${bg.join(" ")})`;
  return element;
}
