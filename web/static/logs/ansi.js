// Colours of terminal output (ECMA-48, SGR): a line becomes runs of text, each with its style.
// Other control sequences are dropped; a carriage return begins the line again, as progress bars use it.

/** @typedef {string | number[]} Color a number of the theme's 16 colours, or [red, green, blue] */
/**
 * @typedef {object} Style
 * @property {Color | null} fg
 * @property {Color | null} bg
 * @property {boolean} bold
 * @property {boolean} dim
 * @property {boolean} italic
 * @property {boolean} underline
 * @property {boolean} inverse
 */
/** @typedef {{text: string, style: Style}} Run */

const SEQUENCE = /\x1b\[([0-9;:]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_=>c78]/g;
/** @type {Style} */
export const PLAIN = Object.freeze({ fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false });
/** @type {{[code: number]: Partial<Style>}} */
const SWITCHES = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true },
  22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false }, 27: { inverse: false },
  39: { fg: null }, 49: { bg: null },
};

/** Reads lines one after the other; a style holds until it is changed, also in the lines after. */
export class AnsiReader {
  #style = PLAIN;

  /** A reader that continues from here. */
  copy() {
    const made = new AnsiReader();
    made.#style = this.#style;
    return made;
  }

  /**
   * The runs of one line.
   * @param {string} text
   * @returns {Run[]}
   */
  line(text) {
    /** @type {Run[]} */
    let runs = [];
    let at = 0;
    const add = (/** @type {string} */ part) => {
      const shown = part.slice(part.lastIndexOf("\r") + 1);
      if (part.includes("\r")) runs = [];
      if (shown) runs.push({ text: shown.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "\ufffd"), style: this.#style });
    };
    const whole = text.replace(/\r+$/, "");
    for (const found of whole.matchAll(SEQUENCE)) {
      add(whole.slice(at, found.index));
      at = found.index + found[0].length;
      if (found[2] === "m") this.#style = changed(this.#style, found[1]);
    }
    add(whole.slice(at));
    return runs;
  }
}

/**
 * @param {Style} style
 * @param {string} parameters
 * @returns {Style}
 */
function changed(style, parameters) {
  const codes = (parameters || "0").split(/[;:]/).map(Number);
  let made = style;
  for (let code = codes.shift(); code !== undefined; code = codes.shift()) {
    if (code === 0) made = PLAIN;
    else if (code in SWITCHES) made = { ...made, ...SWITCHES[code] };
    else if (code === 38 || code === 48) made = { ...made, [code === 38 ? "fg" : "bg"]: extended(codes) };
    else if (code >= 30 && code <= 37) made = { ...made, fg: String(code - 30) };
    else if (code >= 90 && code <= 97) made = { ...made, fg: String(code - 82) };
    else if (code >= 40 && code <= 47) made = { ...made, bg: String(code - 40) };
    else if (code >= 100 && code <= 107) made = { ...made, bg: String(code - 92) };
  }
  return JSON.stringify(made) === JSON.stringify(PLAIN) ? PLAIN : made;
}

/**
 * 38;5;N of 256 colours, or 38;2;R;G;B. The first sixteen are the theme's. Takes its codes from the list.
 * @param {number[]} codes
 * @returns {Color | null}
 */
function extended(codes) {
  const kind = codes.shift();
  if (kind === 2) return codes.splice(0, 3).map(byte);
  if (kind !== 5) return null;
  const n = byte(codes.shift());
  if (n < 16) return String(n);
  if (n >= 232) return Array(3).fill(8 + (n - 232) * 10);
  const level = (/** @type {number} */ step) => (step === 0 ? 0 : 55 + step * 40);
  return [Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6].map(level);
}

/** @param {number | undefined} value */
function byte(value) {
  return Math.min(255, Math.max(0, value || 0));
}
