// What a form would run: the exact command line, as the server makes it, and the curl that asks for the
// same. Words are quoted as a shell needs them, so both can be copied.
import { send } from "../core/api.js";
import { debounce, h, setText, textBlock } from "../core/dom.js";
import { copyButton } from "../core/copy-button.js";
import { t } from "../i18n/text.js";

const TYPING_MS = 250;

export class CommandPreview {
  #command = textBlock("code-block", t("preview.command"));
  #stdin = h("div", { hidden: true });
  #curl = textBlock("code-block", "curl");
  #asked = 0;
  #ask = debounce((type, params) => this.#read(type, params), TYPING_MS);

  constructor() {
    this.element = h("section", { class: "preview", "aria-label": t("preview.title") },
      h("div", { class: "preview-head" }, h("h2", {}, t("preview.command")), copyButton(() => this.#command.textContent)),
      this.#command, this.#stdin,
      h("div", { class: "preview-head" }, h("h2", {}, "curl"), copyButton(() => this.#curl.textContent)),
      this.#curl);
  }

  /** Show it for this body of `POST /jobs`; one that is not complete is not even asked for. */
  show(body, isComplete) {
    setText(this.#curl, curl(body));
    this.#ask(body.type, isComplete ? body.params : null);
  }

  async #read(type, params) {
    this.#asked += 1;
    const mine = this.#asked;
    if (params === null) return this.#showNotYet();
    try {
      const { argv, stdin } = await send("POST", `/job-types/${encodeURIComponent(type)}/preview`, { params });
      if (mine !== this.#asked) return undefined;
      setText(this.#command, argv.map(quoted).join(" "));
      this.#command.classList.remove("dim");
      this.#stdin.hidden = stdin === null;
      if (stdin !== null) {
        const shown = typeof stdin === "string" ? stdin : JSON.stringify(stdin, null, 2);
        this.#stdin.replaceChildren(h("h3", {}, t("preview.stdin")), textBlock("code-block", t("preview.stdin"), shown));
      }
    } catch {
      // Not acceptable: the fields say why when it is sent.
      if (mine === this.#asked) this.#showNotYet();
    }
    return undefined;
  }

  #showNotYet() {
    setText(this.#command, t("preview.notYet"));
    this.#command.classList.add("dim");
    this.#stdin.hidden = true;
  }
}

/** A word as a POSIX shell reads it back. */
export function quoted(word) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function curl(body) {
  return `curl -sS ${location.origin}/jobs \\\n  -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(body))}`;
}
