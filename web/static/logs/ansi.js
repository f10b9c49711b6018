// Colours of terminal output (ECMA-48, SGR): bytes of a program become spans with classes, never markup.
// Other control sequences are dropped; a carriage return begins the line again, as a progress bar means it.
import { h } from "../core/dom.js";

const SEQUENCE = /\x1b\[([0-9;:]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_=>c78]/g;
const PLAIN = Object.freeze({ fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false });
const SWITCHES = {
  1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true },
  22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false }, 27: { inverse: false },
  39: { fg: null }, 49: { bg: null },
};

export class AnsiReader {
  #style = PLAIN;

  /** One that goes on from here. */
  copy() {
    const made = new AnsiReader();
    made.#style = this.#style;
    return made;
  }

  /** The pieces of one line; the style goes on into the next one. */
  line(text) {
    let pieces = [];
    let at = 0;
    const add = (part) => {
      const shown = part.slice(part.lastIndexOf("\r") + 1);
      if (part.includes("\r")) pieces = [];
      if (shown) pieces.push(piece(shown.replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "\ufffd"), this.#style));
    };
    const whole = text.replace(/\r+$/, "");
    for (const found of whole.matchAll(SEQUENCE)) {
      add(whole.slice(at, found.index));
      at = found.index + found[0].length;
      if (found[2] === "m") this.#style = styled(this.#style, found[1]);
    }
    add(whole.slice(at));
    return pieces;
  }
}

function piece(text, style) {
  if (style === PLAIN) return text;
  const { bold, dim, italic, underline, inverse } = style;
  const [fg, bg] = inverse ? [style.bg ?? "back", style.fg ?? "text"] : [style.fg, style.bg];
  const names = Object.entries({ bold, dim, italic, underline }).filter(([, on]) => on).map(([name]) => `ansi-${name}`);
  if (typeof fg === "string") names.push(`ansi-fg-${fg}`);
  if (typeof bg === "string") names.push(`ansi-bg-${bg}`);
  const span = h("span", { class: names.join(" ") || null }, text);
  if (Array.isArray(fg)) span.style.color = `rgb(${fg.join(" ")})`;
  if (Array.isArray(bg)) span.style.backgroundColor = `rgb(${bg.join(" ")})`;
  return span;
}

function styled(style, parameters) {
  const codes = (parameters || "0").split(/[;:]/).map(Number);
  let made = style;
  while (codes.length > 0) {
    const code = codes.shift();
    if (code === 0) made = PLAIN;
    else if (code in SWITCHES) made = { ...made, ...SWITCHES[code] };
    else if (code === 38 || code === 48) made = { ...made, [code === 38 ? "fg" : "bg"]: extended(codes) };
    else if (code >= 30 && code <= 37) made = { ...made, fg: String(code - 30) };
    else if (code >= 90 && code <= 97) made = { ...made, fg: String(code - 82) };
    else if (code >= 40 && code <= 47) made = { ...made, bg: String(code - 40) };
    else if (code >= 100 && code <= 107) made = { ...made, bg: String(code - 92) };
  }
  return Object.entries(made).every(([name, value]) => PLAIN[name] === value) ? PLAIN : made;
}

// 38;5;N of 256 colours, or 38;2;R;G;B. The first sixteen are the theme's.
function extended(codes) {
  const kind = codes.shift();
  if (kind === 2) return codes.splice(0, 3).map(byte);
  if (kind !== 5) return null;
  const n = byte(codes.shift());
  if (n < 16) return String(n);
  if (n >= 232) return Array(3).fill(8 + (n - 232) * 10);
  const level = (step) => (step === 0 ? 0 : 55 + step * 40);
  return [Math.floor((n - 16) / 36), Math.floor((n - 16) / 6) % 6, (n - 16) % 6].map(level);
}

function byte(value) {
  return Math.min(255, Math.max(0, value || 0));
}
