import assert from "node:assert/strict";
import { test } from "node:test";
import { LogModel, offsetsOf } from "../../../web/static/logs/log-model.js";

const AT = "2026-01-01T00:00:00Z";
const MS = Date.parse(AT);

/** Append a text at its offset, as the stream counts it. */
function append(model, text, offset, at = AT) {
  const end = offset + Buffer.byteLength(text);
  model.append({ text, offset, end, at });
  return end;
}

function texts(taken) {
  return taken.lines.map((line) => line.text);
}

test("pieces become lines, wherever they end", () => {
  const model = new LogModel();
  model.begin(0);
  let end = append(model, "one\ntw", 0);
  end = append(model, "o\n\nthr", end);
  append(model, "ee\n", end);
  const taken = model.take();
  assert.deepEqual(texts(taken), ["one", "two", "", "three"]);
  assert.deepEqual(taken.lines.map((line) => line.offset), [0, 4, 8, 9]);
  assert.deepEqual([taken.continues, model.isOpen], [false, false]);
});

test("a line that was taken before its newline came is replaced by the longer one", () => {
  const model = new LogModel();
  model.begin(0);
  let end = append(model, "half a ", 0, "2025-01-01T00:00:00Z");
  assert.deepEqual(texts(model.take()), ["half a "]);
  assert.equal(model.isOpen, true);
  end = append(model, "line\nnext", end);
  const taken = model.take();
  assert.deepEqual([taken.continues, texts(taken)], [true, ["half a line", "next"]]);
  assert.equal(taken.lines[0].ms, Date.parse("2025-01-01T00:00:00Z"), "its beginning was written then");
  append(model, "\n", end);
  assert.deepEqual(model.take().continues, true);
  assert.deepEqual([model.isOpen, model.take().lines], [false, []]);
});

test("what was taken does not change when the line becomes longer", () => {
  const model = new LogModel();
  const end = append(model, "a", 0);
  const { lines } = model.take();
  append(model, "b", end);
  assert.equal(lines[0].text, "a");
});

test("offsets count bytes, not characters", () => {
  const model = new LogModel();
  append(model, "바다\n밤\n", 100);
  assert.deepEqual(model.take().lines.map((line) => line.offset), [100, 107]);
  assert.deepEqual(offsetsOf(["ab", "c"], 10, 14), [10, 13]);
});

test("bytes that are no UTF-8 push no line beyond the end of its piece", () => {
  // One byte, shown as U+FFFD, which would be three.
  assert.deepEqual(offsetsOf(["\ufffd밤", "x"], 0, 6), [0, 6]);
});

test("a middle that was cut leaves its marker between the lines, and offsets go on behind it", () => {
  const model = new LogModel();
  model.begin(0);
  append(model, "first\n", 0);
  const marker = "\n[headway: 900 bytes dropped here]\n";
  model.append({ text: `${marker}last\n`, offset: 6, end: 911, at: AT });
  append(model, "new\n", 911);
  const taken = model.take();
  assert.deepEqual(texts(taken), ["first", "", "[headway: 900 bytes dropped here]", "last", "new"]);
  assert.equal(taken.lines.at(-1)?.offset, 911);
  assert.equal(model.from, 0, "nothing before the beginning was lost");
});

test("after the output became shorter nothing earlier can be read", () => {
  const model = new LogModel();
  model.begin(5_000);
  append(model, "old\n", 5_000);
  assert.deepEqual(model.earlier(1_000), { from: 4_000, to: 5_000 });
  append(model, "[headway: the program has truncated its output]\n", 0);
  assert.equal(model.earlier(1_000), null);
  model.append({ text: "anew\n", offset: 0, end: 5, at: AT });
  assert.deepEqual(texts(model.take()).at(-1), "anew");
});

test("earlier ranges end where the log begins", () => {
  const model = new LogModel();
  model.begin(10);
  const range = model.earlier(256);
  assert.deepEqual(range, { from: 0, to: 10 });
  const { lines, rest } = model.prepend("aaa\nbbb\ncc", range);
  assert.deepEqual(lines, [{ text: "aaa", offset: 0, ms: 0 }, { text: "bbb", offset: 4, ms: 0 }]);
  assert.deepEqual(rest, { text: "cc", offset: 8, ms: 0 });
  assert.equal(model.earlier(256), null);
});

test("a range that ends with a newline leaves the first line whole", () => {
  const model = new LogModel();
  model.begin(4);
  assert.equal(model.prepend("aaa\n", { from: 0, to: 4 }).rest, null);
});

test("lines that were dropped from the page cannot be continued backwards", () => {
  const model = new LogModel();
  model.begin(10);
  model.forgetFirst();
  assert.equal(model.earlier(1), null);
});

test("beginning again drops what was there", () => {
  const model = new LogModel();
  append(model, "open", 0);
  model.begin(50);
  append(model, "x\n", 50);
  assert.deepEqual(model.take(), { continues: false, lines: [{ text: "x", offset: 50, ms: MS }] });
});
