import assert from "node:assert/strict";
import { test } from "node:test";
import { filterOf, queryOf } from "../../../web/static/jobs/job-filter.js";

test("a filter is kept in the query, and what the server would reject is dropped", () => {
  const filter = { status: ["FAILED", "SKIPPED"], type: ["ok"], label: ["a=b"], q: "밤 x", order: "asc" };
  assert.deepEqual(filterOf(new URLSearchParams(queryOf(filter))), filter);
  assert.deepEqual(queryOf(filterOf(new URLSearchParams())), []);
  const odd = filterOf(new URLSearchParams(`status=OVER&label=none&order=up&q=${"x".repeat(300)}`));
  assert.deepEqual([odd.status, odd.label, odd.order, odd.q.length], [[], [], "desc", 200]);
});
