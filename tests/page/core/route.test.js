import assert from "node:assert/strict";
import { test } from "node:test";
import { link, parseRoute } from "../../../web/static/core/route.js";

test("a route and its link are the same", () => {
  assert.deepEqual({ ...parseRoute(link("jobs", { id: "a/b ü" })), query: "" }, { view: "jobs", id: "a/b ü", query: "" });
  assert.deepEqual([parseRoute("").view, parseRoute("#/").view, parseRoute("#/jobs/%E0%A4%A").id], ["queue", "queue", "%E0%A4%A"]);
  assert.equal(link("queue", { query: [["status", "QUEUED"], ["status", "FAILED"]] }), "#/?status=QUEUED&status=FAILED");
});
