// Where the reader is, in the part of the URL behind #, so that the back button and a bookmark work
// and no path of the API is taken. "#/jobs/job-1", "#/?status=QUEUED&q=night".

/** The queue as it was seen last, with its filters: where "back" leads from a Job. */
export const last = { queue: "#/" };

/** {view, id, query} of the URL now. */
export function route() {
  const [path, search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", id = ""] = path.split("/");
  return { view: view || "queue", id: decode(id), query: new URLSearchParams(search) };
}

/** The link to a view. */
export function link(view, { id = "", query = null } = {}) {
  const path = [view === "queue" ? "" : view, id && encodeURIComponent(id)].filter(Boolean).join("/");
  const search = query ? new URLSearchParams(query).toString() : "";
  return `#/${path}${search ? `?${search}` : ""}`;
}

/** Go to a link; `replace` leaves no step behind for the back button. */
export function go(target, { replace = false } = {}) {
  if (target === (location.hash || "#/")) return;
  if (!replace) {
    location.hash = target;
    return;
  }
  history.replaceState(null, "", target);
  window.dispatchEvent(new Event("hashchange"));
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
