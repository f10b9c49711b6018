import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf, niceTop, scaleOf, SIZE } from "../../../web/static/core/chart-scale.js";

test("the top of an axis has round quarters", () => {
  assert.deepEqual([0, 3, 5, 9, 13, 99, 101].map((n) => niceTop(n, false)), [4, 4, 8, 12, 20, 100, 120]);
  assert.deepEqual([0.3, 30, 41, 600, 4000].map((s) => niceTop(s, true)), [0.4, 40, 240, 720, 14_400]);
  for (let n = 1; n < 5_000; n += 1) {
    assert.ok(niceTop(n, false) >= n && niceTop(n, false) % 4 === 0, String(n));
    assert.ok(niceTop(n, true) >= n, String(n));
  }
});

test("a null is a gap in a line", () => {
  assert.deepEqual(linesOf([1, 2, 3, 4, 5], [null, 7, 8, null, 9]), [[[2, 7], [3, 8]], [[5, 9]]]);
  assert.deepEqual(linesOf([1], [null]), []);
});

test("stacked bars need room for their sum and for the last step", () => {
  const series = [{ name: "a", color: "", values: [3, 1] }, { name: "b", color: "", values: [4, null] }];
  const scale = scaleOf({ kind: "bars", times: [0, 1000], series, stepS: 1, isTime: false });
  assert.deepEqual([scale.top, scale.last], [8, 2000]);
  assert.deepEqual([scale.x(0), scale.x(2000)], [SIZE.left, SIZE.width - SIZE.right]);
  assert.deepEqual([scale.y(0), scale.y(8)], [SIZE.height - SIZE.bottom, SIZE.top]);
});

test("no point at all has a scale too", () => {
  const scale = scaleOf({ kind: "line", times: [], series: [], stepS: 1, isTime: true });
  assert.equal(scale.top, 4);
  assert.ok(Number.isFinite(scale.x(0)) && Number.isFinite(scale.y(0)));
});
