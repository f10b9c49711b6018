// The one stream of events of the whole page. It reconnects by itself, with a growing pause, from the last
// number it received, so that no event is missed; at `sync` everything that is shown is read again.
// A hidden tab closes its connection, of which a browser has six per server.
import { Problem } from "../core/api.js";
import { serverEvents } from "./sse.js";

/** @import { ServerEvent } from "../core/types.js" */
/** @import { SseEvent } from "./sse.js" */

const PAUSE_MS = { first: 500, most: 15_000 };
const SILENCE_MS = 100_000; // the server sends a comment every 45 seconds
const GATHER_MS = 120;
const HIDDEN_MS = 10_000;

export class LiveEvents extends EventTarget {
  /** @type {"connecting" | "live" | "lost" | "asleep"} */
  state = "connecting";
  retryAt = 0;
  /** @type {Problem | null} the server's response in place of a stream */
  problem = null;
  /** @type {string | null} */
  #lastId = null;
  #pauseMs = PAUSE_MS.first;
  #connection = new AbortController();
  /** @type {ServerEvent[]} */
  #gathered = [];
  #timers = { retry: 0, hidden: 0, silence: 0, gather: 0 };

  /** Connect, for as long as the page is open. */
  start() {
    document.addEventListener("visibilitychange", () => this.#visibilityChanged());
    window.addEventListener("online", () => this.retry());
    this.#connect();
    this.#visibilityChanged();
  }

  /** Try now instead of later. */
  retry() {
    if (this.state !== "lost") return;
    clearTimeout(this.#timers.retry);
    this.#connect();
  }

  /**
   * Call `listener` with each batch of events, until the signal.
   * @param {(events: ServerEvent[]) => void} listener
   * @param {AbortSignal} [signal]
   */
  onEvents(listener, signal) {
    const options = signal === undefined ? {} : { signal };
    this.addEventListener("events", (event) => event instanceof CustomEvent && listener(event.detail), options);
  }

  #visibilityChanged() {
    clearTimeout(this.#timers.hidden);
    if (document.hidden) {
      this.#timers.hidden = setTimeout(() => {
        clearTimeout(this.#timers.retry);
        this.#set("asleep");
        this.#connection.abort();
      }, HIDDEN_MS);
    } else if (this.state === "asleep") {
      this.#connect();
    } else {
      this.retry();
    }
  }

  /** @param {typeof this.state} state */
  #set(state) {
    if (this.state === state && state !== "lost") return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  async #connect() {
    const connection = new AbortController();
    this.#connection = connection;
    try {
      this.#abortOnSilence(connection);
      for await (const event of serverEvents("/events", { lastId: this.#lastId, signal: connection.signal })) {
        this.#abortOnSilence(connection);
        if (event.name === "goodbye") break;
        this.#receive(event);
      }
    } catch (error) {
      // Every kind of error has the same remedy: try again.
      this.problem = error instanceof Problem ? error : null;
    }
    clearTimeout(this.#timers.silence);
    if (this.state !== "asleep") this.#retryLater();
  }

  #retryLater() {
    const pauseMs = this.#pauseMs * (0.75 + Math.random() / 2);
    this.#pauseMs = Math.min(this.#pauseMs * 2, PAUSE_MS.most);
    this.retryAt = Date.now() + pauseMs;
    this.#set("lost");
    this.#timers.retry = setTimeout(() => this.#connect(), pauseMs);
  }

  /** @param {AbortController} connection */
  #abortOnSilence(connection) {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => connection.abort(), SILENCE_MS);
  }

  /** @param {SseEvent} event */
  #receive(event) {
    if (event.name === "open") {
      this.#pauseMs = PAUSE_MS.first;
      this.problem = null;
      this.#set("live");
      this.dispatchEvent(new Event("sync"));
    } else if (event.name === "reset") {
      this.#lastId = event.data?.seq === undefined ? null : String(event.data.seq);
      this.dispatchEvent(new Event("sync"));
    } else if (event.data !== null) {
      if (event.id !== null) this.#lastId = event.id;
      this.#gathered.push(event.data);
      this.#timers.gather ||= setTimeout(() => this.#deliver(), GATHER_MS);
    }
  }

  #deliver() {
    this.#timers.gather = 0;
    this.dispatchEvent(new CustomEvent("events", { detail: this.#gathered.splice(0) }));
  }
}

export const live = new LiveEvents();
