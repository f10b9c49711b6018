import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { get, Problem, send, Unreachable, withQuery } from "../../web/static/core/api.js";
import { jobPath, listedJob } from "../../web/static/jobs/job-request.js";
import { link, parseRoute } from "../../web/static/core/route.js";
import { parseSse, serverEvents } from "../../web/static/events/sse.js";
import { curlCommand, quoted } from "../../web/static/job_types/command-line.js";
import { filterOf, queryOf } from "../../web/static/jobs/job-filter.js";
import { labelLines, labelsOf } from "../../web/static/jobs/labels.js";
import { progressOf } from "../../web/static/jobs/job-progress.js";
import { bytes } from "../../web/static/core/size.js";
import "./reader.js";

afterEach(() => mock.restoreAll());

test("a query repeats lists and leaves out what is empty", () => {
  assert.equal(withQuery("/jobs", { status: ["QUEUED", "RUNNING"], type: [], q: "", cursor: null, limit: 5 }), "/jobs?status=QUEUED&status=RUNNING&limit=5");
  assert.equal(withQuery("/jobs", {}), "/jobs");
});

test("a path quotes every part", () => {
  assert.equal(jobPath("a/b", "artifacts", "x y/ü?.txt"), "/jobs/a%2Fb/artifacts/x%20y/%C3%BC%3F.txt");
});

test("a problem keeps the server's code, sentence and faults", async () => {
  const body = { title: "Not valid", detail: "look", code: "invalid", errors: [{ pointer: "/type", message: "give one" }] };
  mock.method(globalThis, "fetch", async () => new Response(JSON.stringify(body), { status: 422 }));
  await assert.rejects(send("POST", "/jobs", {}), (error) =>
    error instanceof Problem && error.status === 422 && error.code === "invalid" && error.message === "look" && error.faults.length === 1);
  mock.method(globalThis, "fetch", async () => new Response("<html>", { status: 502 }));
  await assert.rejects(get("/jobs"), (error) => error instanceof Problem && error.message === "HTTP 502");
});

test("without a response it is unreachable, but an abort stays one", async () => {
  mock.method(globalThis, "fetch", async () => { throw new TypeError("fetch failed"); });
  await assert.rejects(get("/jobs"), Unreachable);
  mock.method(globalThis, "fetch", async () => { throw new DOMException("stopped", "AbortError"); });
  await assert.rejects(get("/jobs"), { name: "AbortError" });
});

test("a Job that only resembles the id is not found", async () => {
  mock.method(globalThis, "fetch", async () => new Response(JSON.stringify({ jobs: [{ job_id: "job-12" }] })));
  await assert.rejects(listedJob("job-1"), (error) => error instanceof Problem && error.status === 404);
});

test("events are read from pieces that end anywhere", async () => {
  const text = 'id: 1\nevent: run.started\ndata: {"a": "밤"}\n\n: still here\n\nevent: goodbye\ndata: {}\n\n';
  const raw = new TextEncoder().encode(text);
  const pieces = [raw.slice(0, 37), raw.slice(37, 38), raw.slice(38)];
  const body = new ReadableStream({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
  const sent = mock.method(globalThis, "fetch", async () => new Response(body));
  const events = [];
  for await (const event of serverEvents("/events", { lastId: "7", signal: new AbortController().signal })) events.push(event);
  assert.deepEqual(events, [
    { name: "open", id: null, data: null }, { name: "run.started", id: "1", data: { a: "밤" } },
    { name: "comment", id: null, data: null }, { name: "goodbye", id: null, data: {} },
  ]);
  assert.equal(sent.mock.calls[0].arguments[1].headers["Last-Event-ID"], "7");
});

test("data on several lines belong together", () => {
  assert.deepEqual(parseSse('data: [1,\ndata: 2]').data, [1, 2]);
});

test("a route and its link are the same", () => {
  assert.deepEqual({ ...parseRoute(link("jobs", { id: "a/b ü" })), query: "" }, { view: "jobs", id: "a/b ü", query: "" });
  assert.deepEqual([parseRoute("").view, parseRoute("#/").view, parseRoute("#/jobs/%E0%A4%A").id], ["queue", "queue", "%E0%A4%A"]);
  assert.equal(link("queue", { query: [["status", "QUEUED"], ["status", "FAILED"]] }), "#/?status=QUEUED&status=FAILED");
});

test("a filter is kept in the query, and what the server would reject is dropped", () => {
  const filter = { status: ["FAILED", "SKIPPED"], type: ["ok"], label: ["a=b"], q: "밤 x", order: "asc" };
  assert.deepEqual(filterOf(new URLSearchParams(queryOf(filter))), filter);
  assert.deepEqual(queryOf(filterOf(new URLSearchParams())), []);
  const odd = filterOf(new URLSearchParams(`status=OVER&label=none&order=up&q=${"x".repeat(300)}`));
  assert.deepEqual([odd.status, odd.label, odd.order, odd.q.length], [[], [], "desc", 200]);
});

test("labels are lines, and lines are labels", () => {
  assert.deepEqual(labelsOf([" team = web ", "", "url=a=b", "bare"]), { team: "web", url: "a=b", bare: "" });
  assert.deepEqual(labelLines({ team: "web", url: "a=b" }), ["team=web", "url=a=b"]);
});

test("words are quoted as a shell reads them back", () => {
  assert.equal(quoted("--max=1"), "--max=1");
  assert.equal(quoted("it's $HOME"), "'it'\\''s $HOME'");
  assert.equal(quoted("a'b'"), "'a'\\''b'\\'''");
  assert.equal(quoted(""), "''");
  assert.match(curlCommand("http://h", { type: "it's" }), /^curl -sS http:\/\/h\/jobs [^]*-d '\{"type":"it'\\''s"\}'$/);
});

test("progress is the program's report, or else the estimate", () => {
  assert.deepEqual(progressOf(30, 0.25, null), { share: 0.25, leftS: 90 });
  assert.deepEqual(progressOf(30, 0.01, null), { share: 0.01, leftS: null }, "too early to predict");
  assert.deepEqual(progressOf(30, 7, null), { share: 1, leftS: 0 });
  assert.deepEqual(progressOf(30, null, 10), { share: 0.75, leftS: 10 });
  assert.deepEqual(progressOf(30, null, null), { share: null, leftS: null });
});

test("sizes of files", () => {
  assert.deepEqual([0, 999, 1000, 12_345_678, 123_456, 5e15].map(bytes), ["0 B", "999 B", "1.0 kB", "12.3 MB", "123 kB", "5000 TB"]);
});
