import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { parseSse, serverEvents } from "../../../web/static/events/sse.js";

afterEach(() => mock.restoreAll());

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
