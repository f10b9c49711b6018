import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes } from "../../../web/static/core/size.js";

test("sizes of files", () => {
  assert.deepEqual([0, 999, 1000, 12_345_678, 123_456, 5e15].map(bytes), ["0 B", "999 B", "1.0 kB", "12.3 MB", "123 kB", "5000 TB"]);
});
