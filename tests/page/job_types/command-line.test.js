import assert from "node:assert/strict";
import { test } from "node:test";
import { curlCommand, quoted } from "../../../web/static/job_types/command-line.js";

test("words are quoted as a shell reads them back", () => {
  assert.equal(quoted("--max=1"), "--max=1");
  assert.equal(quoted("it's $HOME"), "'it'\\''s $HOME'");
  assert.equal(quoted("a'b'"), "'a'\\''b'\\'''");
  assert.equal(quoted(""), "''");
  assert.match(curlCommand("http://h", { type: "it's" }), /^curl -sS http:\/\/h\/jobs [^]*-d '\{"type":"it'\\''s"\}'$/);
});
