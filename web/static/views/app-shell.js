// The frame around every view: navigation, the scheduler at a glance, the banner when the connection
// is lost, theme and language. It puts the view of the URL into its middle.
import { board } from "../scheduler/scheduler-state.js";
import { h, setAttribute, setText } from "../core/dom.js";
import { icon } from "../core/icon.js";
import { listen, showHelp } from "../core/keyboard.js";
import { live } from "../events/live-events.js";
import { faultText, noticeArea } from "../core/notice.js";
import { link, route } from "../core/route.js";
import { language, setLanguage, t } from "../i18n/text.js";
import { nextTheme, theme } from "../core/theme.js";
import { moment } from "../core/time.js";

const VIEWS = [
  ["queue", "queue", "queue-view"],
  ["new", "plus", "new-view"],
  ["scheduler", "sliders", "scheduler-view"],
  ["charts", "chart", "charts-view"],
];
const ELEMENTS = { ...Object.fromEntries(VIEWS.map(([view, , tag]) => [view, tag])), jobs: "job-view" };
const BANNER_AFTER_MS = 1_200; // a blink of the network is nobody's news

class Shell extends HTMLElement {
  #view = null;
  #shown = "";
  #banner;
  #hostBanner;
  #typeBanner;
  #state;
  #links;
  #main;
  #lostTimer = 0;

  connectedCallback() {
    this.#build();
    window.addEventListener("hashchange", () => this.#show());
    window.addEventListener("languagechosen", () => this.#build());
    live.addEventListener("state", () => this.#tellConnection());
    board.addEventListener("change", () => this.#tellScheduler());
    setInterval(() => this.#tick(), 1000);
    listen(() => this.#view);
  }

  #build() {
    this.#links = VIEWS.map(([view, sign]) =>
      h("a", { href: link(view), class: "nav-link" }, icon(sign), h("span", {}, t(`nav.${view}`))),
    );
    this.#state = h("a", { href: link("scheduler"), class: "state-pill" });
    this.#banner = h("div", { class: "banner connection", role: "status", hidden: true });
    this.#hostBanner = h("div", { class: "banner", role: "status", hidden: true });
    this.#typeBanner = h("div", { class: "banner", role: "status", hidden: true });
    this.#main = h("main", { id: "main", tabindex: "-1" });
    this.replaceChildren(
      h("a", { class: "skip-link", href: "#main", onclick: (event) => this.#skip(event) }, t("nav.skip")),
      h(
        "header",
        { class: "top" },
        h("a", { class: "brand", href: link("queue"), "aria-label": t("nav.home") }, "headway"),
        h("nav", { class: "nav", "aria-label": t("nav.label") }, this.#links),
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
    this.#tellScheduler();
    this.#tellConnection();
  }

  #languageButton() {
    const other = language() === "en" ? "ko" : "en";
    const text = other === "ko" ? "한국어" : "English";
    return h("button", { class: "tool", lang: other, onclick: () => setLanguage(other) }, text);
  }

  #themeButton() {
    const button = h("button", { class: "icon-button" });
    const tell = () => {
      const label = t(`theme.${theme()}`);
      button.replaceChildren(icon({ light: "sun", dark: "moon", auto: "auto" }[theme()]));
      setAttribute(button, "aria-label", label);
      setAttribute(button, "title", label);
    };
    button.addEventListener("click", () => {
      nextTheme();
      tell();
    });
    tell();
    return button;
  }

  #helpButton() {
    const label = t("keys.title");
    return h("button", { class: "icon-button", "aria-label": label, title: label, onclick: showHelp }, icon("help"));
  }

  #skip(event) {
    event.preventDefault();
    this.#main.focus();
  }

  #show() {
    const { view, id } = route();
    const tag = ELEMENTS[view] ?? "queue-view";
    for (const [index, [name]] of VIEWS.entries()) {
      setAttribute(this.#links[index], "aria-current", name === view ? "page" : null);
    }
    // The same view with another query looks at the URL itself.
    if (this.#shown === `${tag} ${id}`) return;
    const isFirst = this.#shown === "";
    this.#shown = `${tag} ${id}`;
    this.#view = document.createElement(tag);
    this.#main.replaceChildren(this.#view);
    this.#main.scrollTop = 0;
    this.#tellTitle();
    // Whoever hears the page must be told that it is another one.
    if (!isFirst) this.#main.focus({ preventScroll: true });
  }

  #tellTitle() {
    const { view, id } = route();
    const name = view === "jobs" ? id.slice(-8) : t(`nav.${view in ELEMENTS ? view : "queue"}`);
    const running = board.status?.running_job_ids.length ?? 0;
    document.title = `${running > 0 ? `(${running}) ` : ""}${name} · headway`;
  }

  #tellScheduler() {
    this.#tellTitle();
    const status = board.status;
    if (status === null) return;
    const { scheduler_running: isOn, host_condition: host } = status;
    setAttribute(this.#state, "data-state", isOn && host === null ? "on" : "off");
    const running = status.running_job_ids.length;
    const on = host === null ? t("state.on", { running, queued: status.queue_length }) : t("state.host");
    setText(this.#state, isOn ? on : t("state.off"));
    this.#hostBanner.hidden = host === null;
    setText(this.#hostBanner, host === null ? "" : t("banner.host", { reason: host.reason, since: moment(host.since) }));
    const waiting = Object.entries(status.unconfigured);
    const n = waiting.reduce((sum, [, count]) => sum + count, 0);
    this.#typeBanner.hidden = n === 0;
    setText(this.#typeBanner, n === 0 ? "" : t("banner.unconfigured", { n, types: waiting.map(([name]) => name).join(", ") }));
  }

  #tellConnection() {
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
    const text = left > 0 ? t("banner.retry", { s: left }) : t("banner.trying");
    if (this.#banner.firstChild === null) {
      const button = h("button", { class: "tool", onclick: () => live.retry() }, t("banner.now"));
      this.#banner.append(h("span"), h("span", { class: "dim", "aria-live": "off" }), button);
    }
    setText(this.#banner.children[0], live.refusal ? faultText(live.refusal) : t("banner.lost"));
    setText(this.#banner.children[1], text);
  }
}

customElements.define("app-shell", Shell);
