import assert from "node:assert/strict";
import { test } from "node:test";
import { progressOf } from "../../../web/static/jobs/job-progress.js";

test("progress is the program's report, or else the estimate", () => {
  assert.deepEqual(progressOf(30, 0.25, null), { share: 0.25, leftS: 90 });
  assert.deepEqual(progressOf(30, 0.01, null), { share: 0.01, leftS: null }, "too early to predict");
  assert.deepEqual(progressOf(30, 7, null), { share: 1, leftS: 0 });
  assert.deepEqual(progressOf(30, null, 10), { share: 0.75, leftS: 10 });
  assert.deepEqual(progressOf(30, null, null), { share: null, leftS: null });
});
