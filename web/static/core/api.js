// Requests to the server. A request that the server rejects raises a `Problem` with the server's own code,
// sentence and the place of each fault; without a response, `Unreachable`.
import { noteServerTime } from "./time.js";

/** @import { ProblemFault } from "./types.js" */

/** @typedef {{headers?: {[name: string]: string}, signal?: AbortSignal}} RequestOptions */

/** A problem document of the server (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {{title?: string, detail?: string, code?: string, errors?: ProblemFault[]}} body
   */
  constructor(status, body) {
    super(body.detail ?? body.title ?? `HTTP ${status}`);
    this.status = status;
    this.code = body.code ?? "";
    this.faults = body.errors ?? [];
  }
}

/** The server did not respond. */
export class Unreachable extends Error {}

/**
 * Send a request; return its response unless it is a problem.
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions & {body?: unknown}} [options]
 */
export async function request(method, path, { body, headers = {}, signal } = {}) {
  /** @type {RequestInit & {headers: {[name: string]: string}}} */
  const options = { method, headers: { Accept: "application/json", ...headers }, signal };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  return responseOf(path, options);
}

/**
 * Fetch; return the response unless it is a problem.
 * @param {string} path
 * @param {RequestInit} options
 */
export async function responseOf(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Unreachable(error instanceof Error ? error.message : String(error));
  }
  noteServerTime(response.headers.get("Date"));
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
  return response;
}

/**
 * Whether a request ended because its signal was aborted.
 * @param {unknown} error
 */
export function isAbort(error) {
  return error instanceof Error && error.name === "AbortError";
}

/**
 * The JSON of a GET.
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<any>}
 */
export async function get(path, options) {
  return (await request("GET", path, options)).json();
}

/**
 * The JSON of the response to a POST, PATCH or DELETE.
 * @param {string} method
 * @param {string} path
 * @param {unknown} [body]
 * @param {RequestOptions} [options]
 * @returns {Promise<any>}
 */
export async function send(method, path, body, options) {
  return (await request(method, path, { ...options, body })).json();
}

/**
 * A path with a query: lists repeat their name, empty values are left out.
 * @param {string} path
 * @param {{[name: string]: string | number | null | undefined | string[]}} query
 */
export function withQuery(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== "") search.append(name, String(one));
    }
  }
  const text = search.toString();
  return text ? `${path}?${text}` : path;
}
