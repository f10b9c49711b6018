import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { Problem } from "../../../web/static/core/api.js";
import { jobPath, listedJob } from "../../../web/static/jobs/job-request.js";

afterEach(() => mock.restoreAll());

test("a path quotes every part", () => {
  assert.equal(jobPath("a/b", "artifacts", "x y/ü?.txt"), "/jobs/a%2Fb/artifacts/x%20y/%C3%BC%3F.txt");
});

test("a Job that only resembles the id is not found", async () => {
  mock.method(globalThis, "fetch", async () => new Response(JSON.stringify({ jobs: [{ job_id: "job-12" }] })));
  await assert.rejects(listedJob("job-1"), (error) => error instanceof Problem && error.status === 404);
});
