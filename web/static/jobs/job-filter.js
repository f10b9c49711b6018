// The filter of the queue as the query of the URL, and back.
import { STATUSES } from "./job-event.js";

/** @import { JobFilter } from "../core/types.js" */

const SEARCH_LENGTH_MAX = 200;

/**
 * The filter of a query: values that the server would reject are left out.
 * @param {URLSearchParams} query
 * @returns {JobFilter}
 */
export function filterOf(query) {
  return {
    status: query.getAll("status").filter((status) => STATUSES.some((one) => one === status)),
    type: query.getAll("type"),
    label: query.getAll("label").filter((label) => label.includes("=")),
    q: (query.get("q") ?? "").slice(0, SEARCH_LENGTH_MAX),
    order: query.get("order") === "asc" ? "asc" : "desc",
  };
}

/**
 * The query of a filter: what every list has by default is left out.
 * @param {JobFilter} filter
 */
export function queryOf({ status, type, label, q, order }) {
  return [
    ...status.map((value) => ["status", value]),
    ...type.map((value) => ["type", value]),
    ...label.map((value) => ["label", value]),
    ...(q ? [["q", q]] : []),
    ...(order === "asc" ? [["order", "asc"]] : []),
  ];
}
