import assert from "node:assert/strict";
import { test } from "node:test";
import { writtenBy } from "../../../web/static/logs/log-times.js";

test("a byte was written by the last sample at or before it", () => {
  const samples = [{ offset: 10, ms: 1 }, { offset: 20, ms: 2 }, { offset: 20, ms: 3 }];
  assert.deepEqual([0, 9, 10, 19, 20, 99].map((offset) => writtenBy(samples, offset)), [0, 0, 1, 1, 3, 3]);
  assert.equal(writtenBy([], 5), 0);
});
