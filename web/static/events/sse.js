// Reads server-sent events from a fetch (WHATWG HTML, 9.2). Not EventSource: it hears only kinds of
// events that are named beforehand, cannot say why it was refused, and decides itself when to try again.
import { Problem, Unreachable } from "../core/api.js";
import { noteServerTime } from "../core/time.js";

/** Each event as {name, id, data}, data parsed; and {name: "open"} once the server has answered. */
export async function* serverEvents(path, { lastId = null, signal }) {
  const headers = { Accept: "text/event-stream" };
  if (lastId !== null) headers["Last-Event-ID"] = String(lastId);
  let response;
  try {
    response = await fetch(path, { headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(error.message);
  }
  noteServerTime(response.headers.get("Date"));
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  yield { name: "open", id: null, data: null };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield parse(block);
  }
}

function parse(block) {
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
