import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import {
  ago, clock, countdown, duration, fromMicroseconds, moment, noteServerTime, now, secondsBetween, ticking,
} from "../../../web/static/core/time.js";
import { readIn } from "../reader.js";

const NOW = Date.parse("2026-01-01T12:00:00Z");

beforeEach(() => mock.method(Date, "now", () => NOW));

afterEach(() => {
  noteServerTime(new Date(NOW).toUTCString());
  mock.restoreAll();
  readIn("en");
});

function after(seconds) {
  return new Date(NOW + seconds * 1000).toISOString();
}

test("durations have the precision that their size deserves", () => {
  for (const [seconds, text] of [
    [0, "0 s"], [0.004, "0 s"], [0.042, "0.04 s"], [0.1, "0.1 s"], [9.94, "9.9 s"], [12.7, "12 s"], [245, "4 m 05 s"],
    [3_600, "1 h 00 m"], [7_380, "2 h 03 m"], [273_600, "3 d 4 h"], [-5, "0 s"], [null, "–"], [undefined, "–"], [NaN, "–"],
  ]) assert.equal(duration(seconds), text, String(seconds));
  readIn("ko");
  assert.equal(duration(245), "4분 05초");
});

test("a duration that ticks has whole seconds", () => {
  assert.deepEqual([9.9, 0.2, -1, 61].map(ticking), ["9 s", "0 s", "0 s", "1 m 01 s"]);
});

test("a countdown reaches now, and a far time is a date", () => {
  assert.equal(countdown(after(200)), "in 3 m 20 s");
  assert.equal(countdown(after(0)), "now");
  assert.equal(countdown(after(-5)), "now");
  assert.match(countdown("2099-01-01T12:00:00Z"), /^Jan 1, 2099/);
});

test("a time in the past counts in its largest unit", () => {
  assert.deepEqual([2, 59, 60, 3_599, 7_200, 200_000].map((s) => ago(after(-s))),
    ["just now", "59 s ago", "1 m ago", "59 m ago", "2 h ago", "2 d ago"]);
  assert.equal(ago(after(60)), "just now", "the clocks of two machines differ");
});

test("times of the server count by its clock, small differences are those of whole seconds", () => {
  noteServerTime(new Date(NOW + 1_000).toUTCString());
  assert.equal(now(), NOW);
  noteServerTime(new Date(NOW + 60_000).toUTCString());
  assert.equal(now(), NOW + 60_000);
  assert.equal(secondsBetween(after(0)), 60);
  noteServerTime(null);
  assert.equal(now(), NOW + 60_000, "a response without a date changes nothing");
});

test("moments and clocks", () => {
  assert.equal(moment(null), "–");
  assert.match(moment(after(0)), /2026/);
  assert.match(clock(NOW), /^\d\d:\d\d$/);
  assert.match(clock(NOW, { seconds: true, date: true }), /Jan 1.*\d\d:00:00/);
  assert.equal(secondsBetween("2026-01-01T00:00:00Z", "2026-01-01T00:01:00+00:00"), 60);
});

test("microseconds become the API's form", () => {
  assert.equal(fromMicroseconds(1_767_225_600_123_456), "2026-01-01T00:00:00.123Z");
  assert.equal(fromMicroseconds(null), null);
});
