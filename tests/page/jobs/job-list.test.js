import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { JobList } from "../../../web/static/jobs/job-list.js";
import { ALL, event, job, page, positions } from "../samples.js";

/** The requests that were sent, and their responses. */
let requests = [];
let respond = () => page([]);
/** What waits for a timer. */
let waiting = [];

beforeEach(() => {
  requests = [];
  waiting = [];
  mock.method(globalThis, "setTimeout", (work) => waiting.push(work));
  mock.method(globalThis, "fetch", async (path) => {
    requests.push(new URL(path, "http://localhost"));
    const body = await respond(requests.at(-1));
    if (body instanceof Error) throw body;
    return new Response(JSON.stringify(body), { headers: { "Content-Type": "application/json" } });
  });
});

afterEach(() => {
  mock.restoreAll();
});

/** Let the pause pass, and everything happen after it. */
async function pass() {
  for (const work of waiting.splice(0)) work();
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** So many Jobs in pages, newest first, as the server lists them. */
function serve(count) {
  return ({ searchParams: query }) => {
    const limit = Number(query.get("limit"));
    const from = Number(query.get("cursor") ?? count);
    const jobs = Array.from({ length: Math.min(limit, from) }, (_, index) => job(from - index));
    return page(jobs, from > limit ? String(from - limit) : null);
  };
}

test("pages are read one after the other, each once", async () => {
  respond = serve(250);
  const list = new JobList({ ...ALL, q: "x", type: ["ok"] });
  await list.restart();
  assert.equal(list.jobs.length, 200);
  await Promise.all([list.more(), list.more()]);
  assert.deepEqual([list.jobs.length, list.isComplete], [250, true]);
  await list.more();
  assert.deepEqual(requests.map(({ searchParams: query }) => query.get("cursor")), [null, "50"]);
  assert.equal(requests[0].search, "?type=ok&q=x&order=desc&limit=200");
});

test("a response to a request before a restart is dropped", async () => {
  let finish = () => {};
  const late = new Promise((resolve) => (finish = resolve));
  respond = () => late;
  const list = new JobList(ALL);
  const first = list.restart();
  respond = () => page([job(2)]);
  await list.restart();
  finish(page([job(1)]));
  await first;
  assert.deepEqual(positions(list.jobs), [2]);
});

test("an error is kept, what was shown stays, and the next success clears it", async () => {
  respond = serve(3);
  const list = new JobList(ALL);
  await list.restart();
  respond = () => new Error("no network");
  await list.restart();
  assert.ok(list.error instanceof Error);
  assert.deepEqual([list.jobs.length, list.isLoading], [3, false]);
  respond = serve(4);
  await list.restart();
  assert.deepEqual([list.error, list.jobs.length], [null, 4]);
});

test("new Jobs are read once for many events", async () => {
  respond = serve(3);
  const list = new JobList(ALL);
  await list.restart();
  respond = serve(5);
  let changes = 0;
  list.addEventListener("change", () => (changes += 1));
  list.apply([event("job.submitted", 4, { type: "ok" })]);
  list.apply([event("job.submitted", 5, { type: "ok" })]);
  assert.equal(requests.length, 1, "not before a pause");
  await pass();
  assert.deepEqual(positions(list.jobs), [5, 4, 3, 2, 1]);
  assert.deepEqual([requests.length, changes], [2, 1]);
});

test("after a burst the pages between are read too", async () => {
  respond = serve(10);
  const list = new JobList(ALL);
  await list.restart();
  respond = serve(450);
  list.apply([event("job.submitted", 450, { type: "ok" })]);
  await pass();
  assert.deepEqual(positions(list.jobs), Array.from({ length: 450 }, (_, index) => 450 - index));
});

test("a Job that a status filter now lets in is read by itself", async () => {
  respond = () => page([]);
  const list = new JobList({ ...ALL, status: ["RUNNING"] });
  await list.restart();
  respond = ({ searchParams: query }) => (query.get("q") === "job-7" ? page([job(7, { status: "RUNNING" })]) : page([]));
  list.apply([event("run.started", 7)]);
  await pass();
  assert.deepEqual(positions(list.jobs), [7]);
});
