// The progress of a running Job as a bar with a message and times: one element, painted again and again.
import { h, setAttribute, setText } from "../core/dom.js";
import { secondsBetween, ticking } from "../core/time.js";
import { t } from "../i18n/text.js";
import { JobEnding } from "./job-ending.js";

/** @import { Job } from "../core/types.js" */

const TRUSTED_FRACTION = 0.05; // before, a program's report predicts its end badly

export class JobProgress {
  #ending;
  #message = h("span", { class: "strip-message", dir: "auto" });
  #time = h("span", { class: "strip-time" });
  #fill = h("span", { class: "bar-fill" });
  #bar = h("span", {
    class: "bar", role: "progressbar", "aria-label": t("running.progress"), "aria-valuemin": "0", "aria-valuemax": "100",
  }, this.#fill);

  /**
   * @param {string} jobId
   * @param {Node | null} [title] - stands before the message
   */
  constructor(jobId, title = null) {
    this.#ending = new JobEnding(jobId);
    this.element = h("div", { class: "strip" }, title, this.#message, this.#time, this.#bar);
  }

  /**
   * Show where the Job is now; without a message of the program, `message`.
   * @param {Job} job
   * @param {string} message
   */
  paint(job, message) {
    const spentS = job.started_at === null ? 0 : secondsBetween(job.started_at);
    const fraction = job.progress?.fraction ?? null;
    const { share, leftS } = progressOf(spentS, fraction, fraction === null ? this.#ending.leftS() : null);
    setText(this.#message, job.progress?.message ?? message);
    const spent = ticking(spentS);
    setText(this.#time, leftS === null ? spent : t("running.left", { spent, left: ticking(leftS) }));
    this.#bar.classList.toggle("unknown", share === null);
    setAttribute(this.#bar, "aria-valuenow", share === null ? null : Math.round(share * 100));
    this.#fill.style.width = share === null ? "" : `${share * 100}%`;
  }
}

/**
 * The share that is done (null: unknown), and the seconds that are probably left (null: unknown): by the
 * program's own report or else by the server's estimate.
 * @param {number} spentS
 * @param {number | null} fraction - reported by the program
 * @param {number | null} estimatedS - estimated to be left
 */
export function progressOf(spentS, fraction, estimatedS) {
  if (fraction !== null) {
    const share = Math.min(1, Math.max(0, fraction));
    return { share, leftS: share >= TRUSTED_FRACTION ? (spentS / share) * (1 - share) : null };
  }
  return { share: estimatedS === null ? null : spentS / (spentS + estimatedS), leftS: estimatedS };
}
