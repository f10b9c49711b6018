// The files that a program left: texts and pictures are shown, all can be downloaded. A text is shown as
// text whatever its name is; a picture is shown by <img>, where no script in it runs.
import { request } from "../core/api.js";
import { h, setText, textBlock } from "../core/dom.js";
import { faultText } from "../core/notice.js";
import { bytes } from "../core/size.js";
import { t } from "../i18n/text.js";
import { jobPath } from "../jobs/job-request.js";

const TEXT_BYTES_MAX = 512 * 1024;
const TEXTS = /\.(md|txt|log|json|jsonl|csv|tsv|toml|yaml|yml|xml|html|ini|srt|vtt)$/i;
const PROSE = /\.(md|txt)$/i;
const PICTURES = /\.(png|jpe?g|webp)$/i;
const OPENED_MAX = 2; // so many texts are open from the beginning

/** @import { Artifact, Collection } from "../core/types.js" */

export class ArtifactList extends HTMLElement {
  #jobId;
  #shown = "";
  #note = h("p", { class: "artifact-note dim" });

  /** @param {string} jobId */
  constructor(jobId) {
    super();
    this.#jobId = jobId;
  }

  /**
   * Show these files. The same ones again change nothing, though their checksums may have come since.
   * @param {Artifact[]} artifacts
   * @param {Collection | undefined} collection
   */
  show(artifacts, collection) {
    const note = noteOf(artifacts, collection);
    const key = JSON.stringify(artifacts.map(({ name, size_bytes, kept }) => [name, size_bytes, kept]));
    if (key !== this.#shown) {
      this.#shown = key;
      const order = [...artifacts].sort((a, b) => Number(b.kept) - Number(a.kept) || rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
      this.replaceChildren(
        h("h2", {}, t("artifact.title")),
        this.#note,
        h("ul", { class: "artifacts" }, order.map((one, index) => (one.kept ? this.#item(one, index < OPENED_MAX) : lost(one)))));
    }
    this.hidden = artifacts.length === 0 && note === "";
    setText(this.#note, note);
    this.#note.hidden = note === "";
  }

  /**
   * @param {Artifact} artifact
   * @param {boolean} isOpen
   */
  #item(artifact, isOpen) {
    const { name, size_bytes: size } = artifact;
    const path = jobPath(this.#jobId, "artifacts", name);
    const download = h("a", { class: "tool", href: path, download: name.split("/").at(-1) ?? name, "aria-label": t("artifact.downloadName", { name }) }, t("artifact.download"));
    const about = [h("span", { class: "artifact-name", dir: "auto" }, name), h("span", { class: "dim" }, bytes(size))];
    if (PICTURES.test(name)) {
      return h("li", {}, h("div", { class: "artifact-head" }, about, download), h("img", { src: path, alt: name, loading: "lazy", class: "picture" }));
    }
    if (!TEXTS.test(name)) return h("li", {}, h("div", { class: "artifact-head" }, about, download));
    const text = textBlock(PROSE.test(name) ? "artifact-text prose" : "artifact-text", name);
    const details = h("details", {}, h("summary", {}, about), text);
    details.addEventListener("toggle", () => details.open && read(path, size, text), { once: true });
    details.open = isOpen;
    return h("li", { class: "with-text" }, details, download);
  }
}

/**
 * A file beyond the limits of its type.
 * @param {Artifact} artifact
 */
function lost({ name, size_bytes: size }) {
  return h("li", { class: "not-kept" }, h("div", { class: "artifact-head" },
    h("span", { class: "artifact-name", dir: "auto" }, name), h("span", { class: "dim" }, `${bytes(size)}, ${t("artifact.notKept")}`)));
}

/**
 * What is still to come, or why it will not.
 * @param {Artifact[]} artifacts
 * @param {Collection | undefined} collection
 */
function noteOf(artifacts, collection) {
  if (collection === undefined || collection.complete) return "";
  if (collection.reason !== null) return t("artifact.incomplete", { reason: collection.reason });
  return t(artifacts.length > 0 ? "artifact.pending" : "artifact.collecting");
}

/**
 * @param {string} path
 * @param {number} size
 * @param {HTMLElement} target
 */
async function read(path, size, target) {
  try {
    /** @type {{[name: string]: string}} */
    const headers = { Accept: "*/*" };
    if (size > TEXT_BYTES_MAX) headers.Range = `bytes=0-${TEXT_BYTES_MAX - 1}`;
    const raw = new Uint8Array(await (await request("GET", path, { headers })).arrayBuffer());
    target.textContent = new TextDecoder().decode(raw);
    if (size > TEXT_BYTES_MAX) target.append("\n", h("em", {}, t("artifact.cut", { size: bytes(TEXT_BYTES_MAX) })));
  } catch (error) {
    target.textContent = faultText(error);
  }
}

/**
 * Files that people read come before those that machines read.
 * @param {string} name
 */
function rank(name) {
  if (PROSE.test(name)) return 0;
  return PICTURES.test(name) ? 1 : TEXTS.test(name) ? 2 : 3;
}

customElements.define("artifact-list", ArtifactList);
