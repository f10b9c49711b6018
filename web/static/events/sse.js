// Reads server-sent events from a fetch (WHATWG HTML, 9.2). EventSource would not do: it receives only the
// kinds of events that are named beforehand, gives no reason for a refusal, and decides itself when to retry.
import { responseOf } from "../core/api.js";

/** @typedef {{name: string, id: string | null, data: any}} SseEvent */

/**
 * Yield each event, its data parsed; before them {name: "open"} once the server has responded.
 * @param {string} path
 * @param {{lastId?: string | null, signal: AbortSignal}} options
 * @returns {AsyncGenerator<SseEvent, void>}
 */
export async function* serverEvents(path, { lastId = null, signal }) {
  /** @type {{[name: string]: string}} */
  const headers = { Accept: "text/event-stream" };
  if (lastId !== null) headers["Last-Event-ID"] = lastId;
  const { body } = await responseOf(path, { headers, signal, cache: "no-store" });
  yield { name: "open", id: null, data: null };
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) yield parseSse(block);
  }
}

/**
 * One block of the stream as an event.
 * @param {string} block
 * @returns {SseEvent}
 */
export function parseSse(block) {
  /** @type {SseEvent} */
  const event = { name: "comment", id: null, data: null };
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) event.name = line.slice(7);
    else if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (data) event.data = JSON.parse(data);
  return event;
}
