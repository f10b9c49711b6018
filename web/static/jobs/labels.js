// Labels as they are written in forms and filters: a line `label=value` each.

/**
 * Labels from lines; empty lines are left out. A line without "=" is a label without a value.
 * @param {string[]} lines
 * @returns {{[name: string]: string}}
 */
export function labelsOf(lines) {
  return Object.fromEntries(lines.filter((line) => line.trim() !== "").map((line) => {
    const at = line.indexOf("=");
    return at < 0 ? [line.trim(), ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  }));
}

/**
 * Lines from labels.
 * @param {{[name: string]: string}} labels
 */
export function labelLines(labels) {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`);
}
