import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { SchedulerState } from "../../../web/static/scheduler/scheduler-state.js";

afterEach(() => mock.restoreAll());

test("a status that a later response has overtaken is dropped", async () => {
  const responses = [];
  mock.method(globalThis, "fetch", (path) => new Promise((resolve) => responses.push({ path, send: (body) => resolve(new Response(JSON.stringify(body))) })));
  const state = new SchedulerState();
  const [first, second] = [state.read(), state.read()];
  responses[2].send({ queue_length: 2 });
  responses[3].send({ counts: { QUEUED: 2 } });
  await second;
  responses[0].send({ queue_length: 1 });
  responses[1].send({ counts: { QUEUED: 1 } });
  await first;
  assert.deepEqual([state.status, state.counts], [{ queue_length: 2 }, { QUEUED: 2 }]);
});

test("a status that cannot be read leaves the last one", async () => {
  mock.method(globalThis, "fetch", async (path) => new Response(JSON.stringify(path.startsWith("/jobs") ? { counts: {} } : { queue_length: 3 })));
  const state = new SchedulerState();
  await state.read();
  mock.method(globalThis, "fetch", async () => new Response("{}", { status: 503 }));
  let changes = 0;
  state.addEventListener("change", () => (changes += 1));
  await state.read();
  assert.deepEqual([state.status, changes], [{ queue_length: 3 }, 0]);
});
