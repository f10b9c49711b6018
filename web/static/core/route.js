// The view that the URL names, in its part behind #, so that the back button and a bookmark work
// and no path of the API is taken. "#/jobs/job-1", "#/?status=QUEUED&q=night".

/** The queue as it was shown last, with its filters: where "back" leads from a Job. */
export const last = { queue: "#/" };

/** The view, id and query of the URL now. */
export function route() {
  return parseRoute(location.hash);
}

/**
 * The view, id and query of a hash; without a view, that of the queue.
 * @param {string} hash
 */
export function parseRoute(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split("?");
  const [view = "", id = ""] = path.split("/");
  return { view: view || "queue", id: decode(id), query: new URLSearchParams(search) };
}

/**
 * The link to a view.
 * @param {string} view
 * @param {{id?: string, query?: string[][] | {[name: string]: string} | null}} [options]
 */
export function link(view, { id = "", query = null } = {}) {
  const path = [view === "queue" ? "" : view, id && encodeURIComponent(id)].filter(Boolean).join("/");
  const search = query ? new URLSearchParams(query).toString() : "";
  return `#/${path}${search ? `?${search}` : ""}`;
}

/**
 * Go to a link; with `replace`, without a step for the back button.
 * @param {string} target
 */
export function go(target, { replace = false } = {}) {
  if (target === (location.hash || "#/")) return;
  if (!replace) {
    location.hash = target;
    return;
  }
  history.replaceState(null, "", target);
  window.dispatchEvent(new Event("hashchange"));
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
