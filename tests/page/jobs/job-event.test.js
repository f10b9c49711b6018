import assert from "node:assert/strict";
import { test } from "node:test";
import { applyEvent, statusAfter } from "../../../web/static/jobs/job-event.js";
import { event, job } from "../samples.js";

test("a run that starts and ends moves its Job", () => {
  const queued = job(1);
  const running = applyEvent(queued, event("run.started", 1, {}, "2026-01-01T00:00:05Z"));
  assert.equal(running.status, "RUNNING");
  assert.equal(running.started_at, "2026-01-01T00:00:05Z");
  assert.equal(queued.status, "QUEUED", "the Job before is not changed");
  const data = { status: "FAILED", finished_at: 1_767_225_607_000_000, duration_s: 1.5 };
  const failed = applyEvent(running, event("run.finished", 1, data));
  assert.deepEqual([failed.status, failed.finished_at, failed.duration_s], ["FAILED", "2026-01-01T00:00:07.000Z", 1.5]);
});

test("without a time of its own an end takes that of the event", () => {
  const ended = applyEvent(job(1), event("run.finished", 1, { status: "COMPLETED", finished_at: null, duration_s: null }, "2026-01-01T00:01:00Z"));
  assert.equal(ended.finished_at, "2026-01-01T00:01:00Z");
});

test("progress, priority and reasons are taken over", () => {
  assert.deepEqual(applyEvent(job(1), event("job.progress", 1, { fraction: 0.5, message: "half" })).progress, { fraction: 0.5, message: "half" });
  const updated = applyEvent(job(1), event("job.updated", 1, { priority: 9, run_at: 1_767_225_600_000_000 }));
  assert.deepEqual([updated.priority, updated.run_at], [9, "2026-01-01T00:00:00.000Z"]);
  const skipped = applyEvent(job(1), event("job.skipped", 1, { reason: "it expired" }));
  assert.deepEqual([skipped.status, skipped.reason], ["SKIPPED", "it expired"]);
});

test("an event of an unknown kind leaves the same object", () => {
  const before = job(1);
  assert.equal(applyEvent(before, event("job.painted", 1)), before);
  assert.equal(statusAfter(event("job.painted", 1)), null);
  assert.equal(statusAfter(event("job.progress", 1, { fraction: 1 })), null);
  assert.equal(statusAfter(event("job.cancelled", 1)), "CANCELLED");
});
