// The one stream of events that the whole page listens to. It comes back by itself: with a growing
// pause, from the last number it has seen, so that no event is missed; whoever shows something reads
// it again at `sync`. A hidden tab lets go of its connection, of which a browser has six per server.
import { Problem } from "../core/api.js";
import { serverEvents } from "./sse.js";

const PAUSE_MS = { first: 500, most: 15_000 };
const SILENCE_MS = 100_000; // the server says something every 45 seconds
const GATHER_MS = 120;
const HIDDEN_MS = 10_000;

class Live extends EventTarget {
  state = "connecting"; // "live", "lost", "asleep"
  retryAt = 0;
  refusal = null; // what the server said instead of a stream
  #lastId = null;
  #pauseMs = PAUSE_MS.first;
  #abort = null;
  #events = [];
  #timers = {};

  /** Connect, for as long as the page is there. */
  start() {
    document.addEventListener("visibilitychange", () => this.#seen());
    window.addEventListener("online", () => this.retry());
    this.#connect();
    this.#seen();
  }

  /** Try now instead of later. */
  retry() {
    if (this.state !== "lost") return;
    clearTimeout(this.#timers.retry);
    this.#connect();
  }

  #seen() {
    clearTimeout(this.#timers.hidden);
    if (document.hidden) {
      this.#timers.hidden = setTimeout(() => {
        clearTimeout(this.#timers.retry);
        this.#set("asleep");
        this.#abort?.abort();
      }, HIDDEN_MS);
    } else if (this.state === "asleep") {
      this.#connect();
    } else {
      this.retry();
    }
  }

  #set(state) {
    if (this.state === state && state !== "lost") return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  async #connect() {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      this.#listenForSilence(abort);
      for await (const event of serverEvents("/events", { lastId: this.#lastId, signal: abort.signal })) {
        this.#listenForSilence(abort);
        if (event.name === "goodbye") break;
        this.#take(event);
      }
    } catch (error) {
      // Whatever it was, the answer is the same: try again.
      this.refusal = error instanceof Problem ? error : null;
    }
    clearTimeout(this.#timers.silence);
    if (this.state !== "asleep") this.#later();
  }

  #later() {
    const pauseMs = this.#pauseMs * (0.75 + Math.random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS.most);
    this.retryAt = Date.now() + pauseMs;
    this.#set("lost");
    this.#timers.retry = setTimeout(() => this.#connect(), pauseMs);
  }

  #listenForSilence(abort) {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => abort.abort(), SILENCE_MS);
  }

  #take(event) {
    if (event.name === "open") {
      this.#pauseMs = PAUSE_MS.first;
      this.refusal = null;
      this.#set("live");
      this.dispatchEvent(new Event("sync"));
    } else if (event.name === "reset") {
      this.#lastId = event.data?.seq ?? null;
      this.dispatchEvent(new Event("sync"));
    } else if (event.data !== null) {
      if (event.id !== null) this.#lastId = event.id;
      this.#events.push(event.data);
      this.#timers.gather ??= setTimeout(() => this.#deliver(), GATHER_MS);
    }
  }

  #deliver() {
    this.#timers.gather = undefined;
    const events = this.#events.splice(0);
    this.dispatchEvent(new CustomEvent("events", { detail: events }));
  }
}

export const live = new Live();
