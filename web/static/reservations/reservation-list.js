// The reservations that hold or wait for a slot, and a form to make one: for maintenance, or for another program.
import { get, send } from "../core/api.js";
import { confirmed } from "../core/dialog.js";
import { freshId, h, setText, throttle } from "../core/dom.js";
import { notifyFault } from "../core/notice.js";
import { ago, countdown } from "../core/time.js";
import { live } from "../events/live-events.js";
import { t } from "../i18n/text.js";

const READ_MS = 400;

/** @import { Reservation, ReservationList as Reservations } from "../core/types.js" */

/** @typedef {{title: string, lines: string[], action: string}} Question */

export class ReservationList extends HTMLElement {
  #list = h("ul", { class: "reservations" });
  #all = h("button", { class: "tool", hidden: true, onclick: () => this.#releaseAll() }, t("reservation.releaseAll"));
  /** @type {Reservation[]} */
  #open = [];
  #life = new AbortController();

  connectedCallback() {
    const { signal } = this.#life;
    this.className = "panel";
    this.replaceChildren(h("h2", {}, t("reservation.title")), h("p", { class: "dim" }, t("reservation.help")), this.#list, this.#all, this.#form());
    const read = throttle(() => this.#read(), READ_MS);
    live.addEventListener("sync", read, { signal });
    live.onEvents((events) => events.some((event) => event.kind.startsWith("reservation.")) && read(), signal);
    const clock = setInterval(() => this.#show(), 1000);
    signal.addEventListener("abort", () => clearInterval(clock));
    this.#read();
  }

  disconnectedCallback() {
    this.#life.abort();
  }

  async #read() {
    try {
      /** @type {Reservations} */
      const { reservations } = await get("/scheduler/reservations");
      this.#open = reservations;
    } catch {
      return;
    }
    this.#list.replaceChildren();
    this.#show();
  }

  #show() {
    if (this.#list.childElementCount !== Math.max(1, this.#open.length)) {
      this.#list.replaceChildren(...(this.#open.length > 0 ? this.#open.map((one) => this.#item(one)) : [h("li", { class: "dim" }, t("reservation.none"))]));
    }
    this.#all.hidden = this.#open.filter((one) => one.kind === "hold").length < 2;
    this.#open.forEach((one, index) => {
      const when = this.#list.children[index].querySelector(".when");
      if (when !== null) setText(when, whenOf(one));
    });
  }

  /** @param {Reservation} one */
  #item(one) {
    const release = h("button", { class: "tool", onclick: () => this.#release(one) }, t("reservation.release"));
    return h("li", {}, h("span", {}, t(`slot.${one.kind}`)), h("span", { class: "dim when" }), one.kind === "hold" ? release : null);
  }

  #form() {
    const id = freshId("hold");
    const minutes = h("input", { id, type: "number", min: "1", max: "1440", value: "10", required: true });
    const form = h("form", { class: "limit" }, h("label", { for: id }, t("reservation.minutes")), minutes, h("button", { class: "tool" }, t("reservation.hold")));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        await send("POST", "/scheduler/reservations", { ttl_s: Number(minutes.value) * 60 });
      } catch (error) {
        notifyFault(error);
      }
    });
    return form;
  }

  /** @param {Reservation} one */
  async #release(one) {
    const question = { title: t("reservation.releaseTitle"), lines: [t("reservation.releaseText")], action: t("reservation.release") };
    await this.#delete(question, `/scheduler/reservations/${encodeURIComponent(one.reservation_id)}`);
  }

  async #releaseAll() {
    const lines = [t("reservation.releaseAllText")];
    const question = { title: t("reservation.releaseAllTitle"), lines, action: t("reservation.releaseAll") };
    await this.#delete(question, "/scheduler/reservations");
  }

  /**
   * @param {Question} question
   * @param {string} path
   */
  async #delete(question, path) {
    if (!(await confirmed(question))) return;
    try {
      await send("DELETE", path);
    } catch (error) {
      notifyFault(error);
    }
  }
}

/** @param {Reservation} one */
function whenOf(one) {
  if (one.state === "WAITING") return t("reservation.waiting", { ago: ago(one.created_at) });
  return one.expires_at ? t("reservation.heldUntil", { in: countdown(one.expires_at) }) : t("reservation.held");
}

customElements.define("reservation-list", ReservationList);
