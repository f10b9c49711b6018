// Requests to the server, and its refusals. A refusal is a `Problem` with the server's own code,
// sentence and the place of each fault; a server that does not answer is `Unreachable`.
import { noteServerTime } from "./time.js";

/** What the server refused (RFC 9457). `faults`: [{pointer, message}]. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? "";
    this.faults = body.errors ?? [];
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

/** The server's answer, if it is no refusal. */
export async function ask(method, path, { body, headers = {}, signal } = {}) {
  const options = { method, headers: { Accept: "application/json", ...headers }, signal };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable(error.message);
  }
  noteServerTime(response.headers.get("Date"));
  if (!response.ok && response.status !== 206) {
    throw new Problem(response.status, await response.json().catch(() => ({})));
  }
  return response;
}

/** The JSON of a GET. */
export async function get(path, options) {
  return (await ask("GET", path, options)).json();
}

/** The JSON that a POST, PATCH or DELETE answers. */
export async function send(method, path, body, options) {
  return (await ask(method, path, { ...options, body })).json();
}

/** A path with a query; lists repeat their name, what is empty is left out. */
export function withQuery(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== "") search.append(name, one);
    }
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}

/** The path of a Job, or of something that belongs to it: `jobPath(id, "artifacts", "a/b.txt")`. */
export function jobPath(jobId, ...rest) {
  const steps = rest.flatMap((step) => step.split("/"));
  return `/jobs/${[jobId, ...steps].map(encodeURIComponent).join("/")}`;
}

/** The Job as a list has it: without long params. */
export async function listed(jobId, options) {
  const { jobs } = await get(withQuery("/jobs", { q: jobId, limit: 1 }), options);
  if (jobs[0]?.job_id !== jobId) throw new Problem(404, {});
  return jobs[0];
}
