// The lines of a log that is being followed, made of pieces that end anywhere. Each line has the byte at
// which it begins, as the server counts, and when the stream said that it was written.
//
// Invariant: the last line stays open until its newline has come; a later piece makes it longer.

/** @typedef {{text: string, offset: number, ms: number}} LogLine `ms`: written by then, or 0 */
/** @typedef {{text: string, offset: number, end: number, at: string | null}} Piece `end`: the byte after it */

const encoder = new TextEncoder();

export class LogModel {
  /** @type {number | null} the byte before which the log was not read; null: earlier lines cannot be read */
  from = 0;
  /** @type {LogLine | null} the last line, while its newline is missing */
  #open = null;
  #end = 0;
  /** @type {LogLine[]} */
  #ready = [];
  #continues = false;

  /** Whether the last line still lacks its newline. */
  get isOpen() {
    return this.#open !== null;
  }

  /**
   * Begin again at this byte.
   * @param {number} from
   */
  begin(from) {
    this.from = this.#end = from;
    this.#open = null;
    this.#ready = [];
    this.#continues = false;
  }

  /**
   * Append a piece. One that begins before the end of the last: the program has made its output shorter,
   * and the bytes before what was read are not there any more.
   * @param {Piece} piece
   */
  append({ text, offset, end, at }) {
    if (offset < this.#end) this.from = null;
    this.#end = end;
    const parts = text.split("\n");
    const offsets = offsetsOf(parts, offset, end);
    const ms = Date.parse(at ?? "") || 0;
    parts.forEach((part, index) => {
      const isLast = index === parts.length - 1;
      if (index === 0 && this.#open !== null) this.#continue(this.#open, part);
      else if (!isLast || part !== "") this.#ready.push((this.#open = { text: part, offset: offsets[index], ms }));
      if (!isLast) this.#open = null;
    });
  }

  /** Take the lines that came since the last call. `continues`: the first of them replaces the last one taken. */
  take() {
    const taken = { continues: this.#continues, lines: this.#ready.map((line) => ({ ...line })) };
    this.#ready = [];
    this.#continues = false;
    return taken;
  }

  /**
   * The range of bytes that comes before what was read; null: there is none, or it cannot be read.
   * @param {number} length - at most so many bytes
   */
  earlier(length) {
    if (this.from === null || this.from === 0) return null;
    return { from: Math.max(0, this.from - length), to: this.from };
  }

  /**
   * The lines of an earlier range, which now counts as read. `rest`: the beginning of the line that was the
   * first until now; null if that one was whole.
   * @param {string} text
   * @param {{from: number, to: number}} range
   */
  prepend(text, { from, to }) {
    this.from = from;
    const parts = text.split("\n");
    const offsets = offsetsOf(parts, from, to);
    const lines = parts.map((part, index) => ({ text: part, offset: offsets[index], ms: 0 }));
    const rest = /** @type {LogLine} */ (lines.pop());
    return { lines, rest: rest.text === "" ? null : rest };
  }

  /** The first lines were dropped: what comes before the others is no longer known. */
  forgetFirst() {
    this.from = null;
  }

  /**
   * @param {LogLine} open
   * @param {string} part
   */
  #continue(open, part) {
    open.text += part;
    if (this.#ready.includes(open)) return;
    this.#ready.unshift(open);
    this.#continues = true;
  }
}

/**
 * The byte at which each part begins. A byte that was no UTF-8 is shown by a character of three bytes: the
 * parts after it in the same piece seem to begin later, at most at `end`.
 * @param {string[]} parts
 * @param {number} offset
 * @param {number} end
 */
export function offsetsOf(parts, offset, end) {
  const isAscii = parts.reduce((sum, part) => sum + part.length + 1, -1) === end - offset;
  let at = offset;
  return parts.map((part) => {
    const begin = Math.min(at, end);
    at += 1 + (isAscii ? part.length : encoder.encode(part).length);
    return begin;
  });
}
