import assert from "node:assert/strict";
import { test } from "node:test";
import { labelLines, labelsOf } from "../../../web/static/jobs/labels.js";

test("labels are lines, and lines are labels", () => {
  assert.deepEqual(labelsOf([" team = web ", "", "url=a=b", "bare"]), { team: "web", url: "a=b", bare: "" });
  assert.deepEqual(labelLines({ team: "web", url: "a=b" }), ["team=web", "url=a=b"]);
});
