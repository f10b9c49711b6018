import assert from "node:assert/strict";
import { test } from "node:test";
import { JobRows } from "../../../web/static/jobs/job-rows.js";
import { ALL, event, job, page, positions } from "../samples.js";

function rows(filter = {}, first = page([job(5), job(4), job(3)], "more")) {
  const made = new JobRows({ ...ALL, ...filter });
  made.replace(first);
  return made;
}

test("pages follow each other until there is no cursor", () => {
  const list = rows();
  assert.deepEqual([list.cursor, list.isComplete], ["more", false]);
  list.append(page([job(2), job(1)]));
  assert.deepEqual(positions(list.jobs), [5, 4, 3, 2, 1]);
  assert.deepEqual([list.cursor, list.isComplete], ["more", true]);
});

test("a page that overlaps what is there adds no Job twice", () => {
  const list = rows();
  list.append(page([job(3), job(2)]));
  list.merge([job(6), job(5)]);
  assert.deepEqual(positions(list.jobs), [6, 5, 4, 3, 2]);
});

test("an older version never replaces a newer one", () => {
  const list = rows({}, page([job(1, { version: 3, status: "COMPLETED" })]));
  list.merge([job(1, { version: 2, status: "RUNNING" })]);
  assert.equal(list.get("job-1")?.status, "COMPLETED");
  list.merge([job(1, { version: 4, name: "renamed" })]);
  assert.equal(list.get("job-1")?.name, "renamed");
});

test("ascending order is kept too", () => {
  const list = rows({ order: "asc" }, page([job(1), job(2)]));
  list.merge([job(4), job(3)]);
  assert.deepEqual(positions(list.jobs), [1, 2, 3, 4]);
});

test("an event changes the row it is about, and no other", () => {
  const list = rows();
  const other = list.get("job-5");
  const effect = list.apply([event("run.started", 4), event("run.started", 99), event("server.started", null)]);
  assert.deepEqual(effect, { changed: true, hasNew: false, toRead: [] });
  assert.equal(list.get("job-4")?.status, "RUNNING");
  assert.equal(list.get("job-5"), other);
});

test("a row leaves a status filter, and another must be read to come in", () => {
  const list = rows({ status: ["QUEUED"] });
  assert.deepEqual(list.apply([event("run.started", 4)]), { changed: true, hasNew: false, toRead: [] });
  assert.deepEqual(positions(list.jobs), [5, 3]);
  assert.equal(list.get("job-4"), undefined);
  const running = rows({ status: ["RUNNING"] }, page([]));
  assert.deepEqual(running.apply([event("run.started", 4), event("run.finished", 3, { status: "FAILED" })]).toRead, ["job-4"]);
});

test("a new Job is announced only where the filter lets it in", () => {
  const submitted = event("job.submitted", 6, { type: "ok" });
  assert.equal(rows().apply([submitted]).hasNew, true);
  assert.equal(rows({ type: ["ok", "fail"] }).apply([submitted]).hasNew, true);
  assert.equal(rows({ type: ["fail"] }).apply([submitted]).hasNew, false);
  assert.equal(rows({ status: ["RUNNING"] }).apply([submitted]).hasNew, false);
});

test("a change of the name or labels must be read: the event does not carry them", () => {
  const data = { priority: 0, run_at: null, fields: ["name"] };
  assert.deepEqual(rows().apply([event("job.updated", 4, data)]).toRead, ["job-4"]);
  assert.deepEqual(rows().apply([event("job.updated", 4, { ...data, fields: ["priority"] })]).toRead, []);
});

test("a gap is found between the newest page and the rows", () => {
  const list = rows();
  assert.equal(list.hasGap(page([job(9), job(8)], "more")), true);
  assert.equal(list.hasGap(page([job(6), job(5)], "more")), false);
  assert.equal(list.hasGap(page([job(9), job(8)])), false, "it is the whole list");
  assert.equal(rows({}, page([])).hasGap(page([job(9)], "more")), false);
  assert.equal(rows({ order: "asc" }).hasGap(page([job(9)], "more")), false);
});

test("a Job that was read by itself is accepted as the server would list it", () => {
  const list = rows({ type: ["ok"], label: ["team=sales"], q: "NIGHT" });
  const wanted = { name: "Nightly", labels: { team: "sales" } };
  assert.equal(list.accepts(job(4, wanted)), true);
  assert.equal(list.accepts(job(4, { ...wanted, type: "fail" })), false);
  assert.equal(list.accepts(job(4, { ...wanted, labels: { team: "web" } })), false);
  assert.equal(list.accepts(job(4, { ...wanted, name: null })), false);
  assert.equal(list.accepts(job(2, wanted)), false, "it lies beyond the last page that was read");
  list.append(page([]));
  assert.equal(list.accepts(job(2, wanted)), true);
});
