// The frame around every view: navigation, the scheduler's state, banners (the connection is lost, the host
// lets no Job start, types are not configured), theme and language. It shows the view of the URL.
import { h, setAttribute, setText } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { listenForKeys, showHelp } from "../core/keyboard.js";
import { faultText, noticeArea } from "../core/notice.js";
import { link, route } from "../core/route.js";
import { nextTheme, theme } from "../core/theme.js";
import { moment } from "../core/time.js";
import { live } from "../events/live-events.js";
import { language, setLanguage, t } from "../i18n/text.js";
import { schedulerState } from "../scheduler/scheduler-state.js";
import { ChartsView } from "./charts-view.js";
import { JobView } from "./job-view.js";
import { NewJobView } from "./new-job-view.js";
import { QueueView } from "./queue-view.js";
import { SchedulerView } from "./scheduler-view.js";

/** @import { IconName } from "../core/icon.js" */
/** @import { View } from "../core/keyboard.js" */
/** @import { SchedulerStatus } from "../core/types.js" */

/** @type {{[view: string]: {icon: IconName, make: () => View}}} in the order of the navigation */
const VIEWS = {
  queue: { icon: "queue", make: () => new QueueView() },
  new: { icon: "plus", make: () => new NewJobView() },
  scheduler: { icon: "sliders", make: () => new SchedulerView() },
  charts: { icon: "chart", make: () => new ChartsView() },
};
/** @type {{[theme: string]: IconName}} */
const THEME_ICONS = { light: "sun", dark: "moon", auto: "auto" };
const BANNER_AFTER_MS = 1_200; // shorter interruptions are not shown

class AppShell extends HTMLElement {
  /** @type {View | null} */
  #view = null;
  #shown = "";
  #lostText = h("span");
  #retryText = h("span", { class: "dim", "aria-live": "off" });
  #retryNow = h("button", { class: "tool", onclick: () => live.retry() });
  #banner = h("div", { class: "banner connection", role: "status", hidden: true }, this.#lostText, this.#retryText, this.#retryNow);
  #hostBanner = h("div", { class: "banner", role: "status", hidden: true });
  #typeBanner = h("div", { class: "banner", role: "status", hidden: true });
  #state = h("a", { href: link("scheduler"), class: "state-pill" });
  /** @type {Map<string, HTMLAnchorElement>} */
  #links = new Map();
  #main = h("main", { id: "main", tabindex: "-1" });
  #lostTimer = 0;

  connectedCallback() {
    this.#build();
    window.addEventListener("hashchange", () => this.#show());
    window.addEventListener("languagechosen", () => this.#build());
    live.addEventListener("state", () => this.#showConnection());
    schedulerState.addEventListener("change", () => this.#showStatus());
    setInterval(() => this.#tick(), 1000);
    listenForKeys(() => this.#view);
  }

  #build() {
    this.#links = new Map(Object.entries(VIEWS).map(([view, { icon: name }]) =>
      [view, h("a", { href: link(view), class: "nav-link" }, icon(name), h("span", {}, t(`nav.${view}`)))]));
    setText(this.#retryNow, t("banner.now"));
    this.replaceChildren(
      h("a", { class: "skip-link", href: "#main", onclick: (/** @type {Event} */ event) => this.#skip(event) }, t("nav.skip")),
      h(
        "header",
        { class: "top" },
        h("a", { class: "brand", href: link("queue"), "aria-label": t("nav.home") }, "headway"),
        h("nav", { class: "nav", "aria-label": t("nav.label") }, [...this.#links.values()]),
        this.#state,
        h("div", { class: "tools" }, this.#languageButton(), this.#themeButton(), this.#helpButton()),
      ),
      this.#banner,
      this.#hostBanner,
      this.#typeBanner,
      this.#main,
      noticeArea(),
    );
    this.#shown = "";
    this.#show();
    this.#showStatus();
    this.#showConnection();
  }

  #languageButton() {
    const other = language() === "en" ? "ko" : "en";
    const text = other === "ko" ? "한국어" : "English";
    return h("button", { class: "tool", lang: other, onclick: () => setLanguage(other) }, text);
  }

  #themeButton() {
    const button = h("button", { class: "icon-button" });
    const show = () => {
      const label = t(`theme.${theme()}`);
      button.replaceChildren(icon(THEME_ICONS[theme()]));
      setAttribute(button, "aria-label", label);
      setAttribute(button, "title", label);
    };
    button.addEventListener("click", () => {
      nextTheme();
      show();
    });
    show();
    return button;
  }

  #helpButton() {
    const label = t("keys.title");
    return h("button", { class: "icon-button", "aria-label": label, title: label, onclick: showHelp }, icon("help"));
  }

  /** @param {Event} event */
  #skip(event) {
    event.preventDefault();
    this.#main.focus();
  }

  #show() {
    const { view, id } = route();
    const name = view === "jobs" || view in VIEWS ? view : "queue";
    for (const [one, element] of this.#links) setAttribute(element, "aria-current", one === name ? "page" : null);
    // The same view with another query reads the URL itself.
    if (this.#shown === `${name} ${id}`) return;
    const isFirst = this.#shown === "";
    this.#shown = `${name} ${id}`;
    this.#view = name === "jobs" ? new JobView(id) : VIEWS[name].make();
    this.#main.replaceChildren(this.#view);
    this.#main.scrollTop = 0;
    this.#showTitle();
    // A screen reader announces the new view when it gets the focus.
    if (!isFirst) this.#main.focus({ preventScroll: true });
  }

  #showTitle() {
    const { view, id } = route();
    const name = view === "jobs" ? id.slice(-8) : t(`nav.${view in VIEWS ? view : "queue"}`);
    const running = schedulerState.status?.running_job_ids.length ?? 0;
    document.title = `${running > 0 ? `(${running}) ` : ""}${name} · headway`;
  }

  #showStatus() {
    this.#showTitle();
    const { status } = schedulerState;
    if (status === null) return;
    this.#showPill(status);
    const { host_condition: host, unconfigured } = status;
    this.#hostBanner.hidden = host === null;
    setText(this.#hostBanner, host === null ? "" : t("banner.host", { reason: host.reason, since: moment(host.since) }));
    const n = Object.values(unconfigured).reduce((sum, count) => sum + count, 0);
    this.#typeBanner.hidden = n === 0;
    setText(this.#typeBanner, n === 0 ? "" : t("banner.unconfigured", { n, types: Object.keys(unconfigured).join(", ") }));
  }

  /** @param {SchedulerStatus} status */
  #showPill({ scheduler_running: isOn, host_condition: host, running_job_ids: running, queue_length: queued }) {
    setAttribute(this.#state, "data-state", isOn && host === null ? "on" : "off");
    const on = host === null ? t("state.on", { running: running.length, queued }) : t("state.host");
    setText(this.#state, isOn ? on : t("state.off"));
  }

  #showConnection() {
    this.dataset.connection = live.state;
    if (live.state === "lost") {
      this.#lostTimer ||= setTimeout(() => {
        this.#banner.hidden = live.state === "live";
        this.#tick();
      }, BANNER_AFTER_MS);
      this.#tick();
    } else if (live.state === "live") {
      clearTimeout(this.#lostTimer);
      this.#lostTimer = 0;
      this.#banner.hidden = true;
    }
  }

  #tick() {
    if (this.#banner.hidden) return;
    const left = Math.ceil((live.retryAt - Date.now()) / 1000);
    setText(this.#lostText, live.problem ? faultText(live.problem) : t("banner.lost"));
    setText(this.#retryText, left > 0 ? t("banner.retry", { s: left }) : t("banner.trying"));
  }
}

customElements.define("app-shell", AppShell);
