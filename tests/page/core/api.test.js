import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { get, Problem, send, Unreachable, withQuery } from "../../../web/static/core/api.js";

afterEach(() => mock.restoreAll());

test("a query repeats lists and leaves out what is empty", () => {
  assert.equal(withQuery("/jobs", { status: ["QUEUED", "RUNNING"], type: [], q: "", cursor: null, limit: 5 }), "/jobs?status=QUEUED&status=RUNNING&limit=5");
  assert.equal(withQuery("/jobs", {}), "/jobs");
});

test("a problem keeps the server's code, sentence and faults", async () => {
  const body = { title: "Not valid", detail: "look", code: "invalid", errors: [{ pointer: "/type", message: "give one" }] };
  mock.method(globalThis, "fetch", async () => new Response(JSON.stringify(body), { status: 422 }));
  await assert.rejects(send("POST", "/jobs", {}), (error) =>
    error instanceof Problem && error.status === 422 && error.code === "invalid" && error.message === "look" && error.faults.length === 1);
  mock.method(globalThis, "fetch", async () => new Response("<html>", { status: 502 }));
  await assert.rejects(get("/jobs"), (error) => error instanceof Problem && error.message === "HTTP 502");
});

test("without a response it is unreachable, but an abort stays one", async () => {
  mock.method(globalThis, "fetch", async () => { throw new TypeError("fetch failed"); });
  await assert.rejects(get("/jobs"), Unreachable);
  mock.method(globalThis, "fetch", async () => { throw new DOMException("stopped", "AbortError"); });
  await assert.rejects(get("/jobs"), { name: "AbortError" });
});
