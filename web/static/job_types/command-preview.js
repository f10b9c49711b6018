// The preview of a form: the exact command line, as the server builds it, and the curl command that submits
// the same Job. Both can be copied into a shell.
import { send } from "../core/api.js";
import { copyButton } from "../core/copy-button.js";
import { debounce, h, setText, textBlock } from "../core/dom.js";
import { t } from "../i18n/text.js";
import { curlCommand, quoted } from "./command-line.js";

/** @import { Params, Preview } from "../core/types.js" */

const TYPING_MS = 250;

export class CommandPreview {
  #command = textBlock("code-block", t("preview.command"));
  #stdin = h("div", { hidden: true });
  #curl = textBlock("code-block", "curl");
  #sent = 0;
  #ask = debounce((/** @type {string} */ type, /** @type {Params | null} */ params) => this.#read(type, params), TYPING_MS);

  constructor() {
    this.element = h("section", { class: "preview", "aria-label": t("preview.title") },
      h("div", { class: "preview-head" }, h("h2", {}, t("preview.command")), copyButton(() => this.#command.textContent ?? "")),
      this.#command, this.#stdin,
      h("div", { class: "preview-head" }, h("h2", {}, "curl"), copyButton(() => this.#curl.textContent ?? "")),
      this.#curl);
  }

  /**
   * Show the preview of this body of `POST /jobs`; for one that is not complete the server is not asked.
   * @param {{type: string, params: Params}} body
   * @param {boolean} isComplete
   */
  show(body, isComplete) {
    setText(this.#curl, curlCommand(location.origin, body));
    this.#ask(body.type, isComplete ? body.params : null);
  }

  /**
   * @param {string} type
   * @param {Params | null} params
   */
  async #read(type, params) {
    this.#sent += 1;
    const mine = this.#sent;
    if (params === null) return this.#showNotYet();
    try {
      /** @type {Preview} */
      const { argv, stdin } = await send("POST", `/job-types/${encodeURIComponent(type)}/preview`, { params });
      if (mine !== this.#sent) return undefined;
      setText(this.#command, argv.map(quoted).join(" "));
      this.#command.classList.remove("dim");
      this.#stdin.hidden = stdin === null;
      if (stdin !== null) {
        const shown = typeof stdin === "string" ? stdin : JSON.stringify(stdin, null, 2);
        this.#stdin.replaceChildren(h("h3", {}, t("preview.stdin")), textBlock("code-block", t("preview.stdin"), shown));
      }
    } catch {
      // The server rejects the params: the fields show why when the form is sent.
      if (mine === this.#sent) this.#showNotYet();
    }
    return undefined;
  }

  #showNotYet() {
    setText(this.#command, t("preview.notYet"));
    this.#command.classList.add("dim");
    this.#stdin.hidden = true;
  }
}
