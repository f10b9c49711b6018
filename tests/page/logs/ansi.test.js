import assert from "node:assert/strict";
import { test } from "node:test";
import { AnsiReader, PLAIN } from "../../../web/static/logs/ansi.js";

function read(text) {
  return new AnsiReader().line(text);
}

test("a text without sequences is one plain run", () => {
  const [run, ...others] = read("a <b>tag</b>");
  assert.equal(run.text, "a <b>tag</b>");
  assert.equal(run.style, PLAIN);
  assert.deepEqual(others, []);
  assert.deepEqual(read(""), []);
});

test("colours and switches hold until they are changed", () => {
  const runs = read("\x1b[1;32mok\x1b[22m still\x1b[0m done");
  assert.deepEqual(runs.map((run) => run.text), ["ok", " still", " done"]);
  assert.deepEqual(runs.map(({ style }) => [style.fg, style.bold]), [["2", true], ["2", false], [null, false]]);
  assert.equal(runs[2].style, PLAIN);
});

test("a style holds in the lines after, and a copy keeps its own", () => {
  const reader = new AnsiReader();
  reader.line("\x1b[31mred");
  const copy = reader.copy();
  assert.equal(reader.line("\x1b[0mplain")[0].style, PLAIN);
  assert.equal(copy.line("red")[0].style.fg, "1");
});

test("bright, 256 and true colours", () => {
  const colour = (codes) => read(`\x1b[${codes}mx`)[0].style;
  assert.equal(colour("91").fg, "9");
  assert.equal(colour("104").bg, "12");
  assert.equal(colour("38;5;12").fg, "12");
  assert.deepEqual(colour("38;5;196").fg, [255, 0, 0]);
  assert.deepEqual(colour("48;5;244").bg, [128, 128, 128]);
  assert.deepEqual(colour("38;2;1;2;999").fg, [1, 2, 255]);
  assert.equal(colour("38;2;4;4;4").underline, false, "the numbers of a colour are no codes");
  assert.equal(colour("38;9").fg, null);
  assert.equal(colour("38;5;1;4").underline, true, "the codes after a colour count");
});

test("a carriage return begins the line again", () => {
  assert.deepEqual(read("10 %\r50 %\r100 %").map((run) => run.text), ["100 %"]);
  assert.deepEqual(read("\x1b[31m10 %\x1b[0m\r100 %").map((run) => run.text), ["100 %"]);
  assert.deepEqual(read("done\r").map((run) => run.text), ["done"]);
});

test("other sequences are dropped, other control characters are shown", () => {
  assert.deepEqual(read("\x1b[2K\x1b]0;title\x07a\x1b[10;5Hb\x1b=c").map((run) => run.text).join(""), "abc");
  assert.equal(read("a\x00b\x7f")[0].text, "a\ufffdb\ufffd");
  assert.equal(read("\x1b[")[0].text, "\ufffd[", "an unfinished one stays visible");
});
