import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { LiveEvents } from "../../../web/static/events/live-events.js";
import "../reader.js";

/** Requests for a stream, each with its headers and a function that sends text or ends it. */
let streams = [];
/** What waits for a timer: {work, ms}. */
let waiting = [];

beforeEach(() => {
  streams = [];
  waiting = [];
  globalThis.window = new EventTarget();
  Object.assign(document, { addEventListener() {}, hidden: false });
  mock.method(globalThis, "setTimeout", (work, ms) => waiting.push({ work, ms }));
  mock.method(globalThis, "clearTimeout", (id) => delete waiting[id - 1]);
  mock.method(globalThis, "fetch", async (path, { headers, signal }) => {
    let controller;
    const body = new ReadableStream({ start: (made) => (controller = made) });
    signal.addEventListener("abort", () => controller.error(signal.reason));
    const stream = { path, headers, send: (text) => controller.enqueue(new TextEncoder().encode(text)), end: () => controller.close() };
    streams.push(stream);
    return new Response(body);
  });
});

afterEach(() => {
  mock.restoreAll();
  delete globalThis.window;
});

async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Let the timer of about this length pass. */
async function pass(least, most) {
  const index = waiting.findIndex((timer) => timer !== undefined && timer.ms >= least && timer.ms <= most);
  assert.ok(index >= 0, `a timer between ${least} and ${most} ms`);
  const { work } = waiting[index];
  delete waiting[index];
  work();
  await settle();
}

function sse(seq, kind) {
  return `id: ${seq}\nevent: ${kind}\ndata: ${JSON.stringify({ kind, job_id: `job-${seq}` })}\n\n`;
}

test("events are delivered in batches, in order", async () => {
  const live = new LiveEvents();
  const batches = [];
  let syncs = 0;
  live.onEvents((events) => batches.push(events.map((event) => event.kind)));
  live.addEventListener("sync", () => (syncs += 1));
  live.start();
  await settle();
  assert.deepEqual([live.state, syncs, streams[0].path], ["live", 1, "/events"]);
  streams[0].send(sse(1, "job.submitted") + sse(2, "run.started"));
  await settle();
  streams[0].send(sse(3, "run.finished"));
  await settle();
  assert.deepEqual(batches, []);
  await pass(120, 120);
  assert.deepEqual(batches, [["job.submitted", "run.started", "run.finished"]]);
});

test("a connection that was lost is resumed from the last event, after a pause that grows", async () => {
  const live = new LiveEvents();
  live.start();
  await settle();
  streams[0].send(sse(7, "run.started"));
  await settle();
  streams[0].end();
  await settle();
  assert.equal(live.state, "lost");
  await pass(375, 625);
  assert.equal(streams[1].headers["Last-Event-ID"], "7");
  assert.equal(live.state, "live");
  mock.method(globalThis, "fetch", async () => { throw new TypeError("no network"); });
  streams[1].end();
  await settle();
  await pass(375, 625);
  assert.equal(live.state, "lost");
  await pass(750, 1_250);
  await pass(1_500, 2_500);
});

test("a stream that went silent is given up", async () => {
  const live = new LiveEvents();
  live.start();
  await settle();
  await pass(100_000, 100_000);
  assert.equal(live.state, "lost");
});

test("a reset reads everything again, and continues from its number", async () => {
  const live = new LiveEvents();
  let syncs = 0;
  live.addEventListener("sync", () => (syncs += 1));
  live.start();
  await settle();
  streams[0].send('event: reset\ndata: {"seq": 90}\n\n');
  await settle();
  assert.equal(syncs, 2);
  streams[0].end();
  await settle();
  await pass(375, 625);
  assert.equal(streams[1].headers["Last-Event-ID"], "90");
});

test("a problem in place of a stream is kept until the next connection", async () => {
  const live = new LiveEvents();
  const works = globalThis.fetch;
  mock.method(globalThis, "fetch", async () => new Response(JSON.stringify({ code: "rate_limited", detail: "too many" }), { status: 429 }));
  live.start();
  await settle();
  assert.equal(live.problem?.code, "rate_limited");
  mock.method(globalThis, "fetch", works);
  await pass(375, 625);
  assert.deepEqual([live.state, live.problem], ["live", null]);
});
