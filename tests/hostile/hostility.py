"""Hostile Jobs, and what must be true of each of them in spite of what it did."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from tests.crash.server import Breach
from tests.hostile.calm import run_of, until
from tests.hostile.lives import End, Lives
from tests.hostile.program import GRACE_S, LIMIT_BYTES, SKIP_CODE, Plan, plan
from tests.hostile.scene import Note, boot_s, note_path, razed_since

END_TIMEOUT_S = 90.0
EXCUSED_S = 1.0
"""A program that ended so shortly before the server may count as running."""


@dataclass(frozen=True, slots=True)
class Span:
    """When a hostile Job was there, on the monotonic clock."""

    seed: str
    begin: float
    end: float


@dataclass(slots=True)
class Hostility:
    """Runs hostile Jobs one after the other, and compares each with its note."""

    lives: Lives
    directory: Path
    spans: list[Span] = field(default_factory=list)
    deeds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    job_ids: list[str] = field(default_factory=list)
    longest_s: float = 0.0

    async def one(self, seed: str, attempt: int = 0) -> None:
        """One Job from its submission to the comparison with its note."""
        name = f"{seed}~{attempt}"
        planned = plan(seed)
        begin, began_at = time.monotonic(), boot_s()
        body = {"type": planned.type, "params": {"seed": seed, "name": name}}
        key = {"Idempotency-Key": f'"{name}"'}
        job_id = (await self.lives.ask("POST", "/jobs", body, 201, **key)).json()["job_id"]
        self.job_ids.append(job_id)
        if planned.cancel_after_s is not None:
            await trio.sleep(planned.cancel_after_s)
            await self.lives.ask("POST", f"/jobs/{job_id}/cancel", None, 202, 200, 409)
        statuses = ("COMPLETED", "FAILED", "SKIPPED", "CANCELLED")
        job = await until(self.lives, job_id, END_TIMEOUT_S, *statuses)
        self.spans.append(Span(seed, begin, time.monotonic()))
        self.longest_s = max(self.longest_s, time.monotonic() - begin)
        if job["started_at"] is not None:
            await self._compare(job, name, planned, began_at)
        self.deeds.update(do.__name__ for do in planned.deeds)
        self.ends[job["status"]] += 1

    async def _compare(
        self, job: dict[str, Any], name: str, planned: Plan, began_at: float
    ) -> None:
        run = await run_of(self.lives, job["job_id"])
        # The program may have removed or locked its log, or put something else in its place.
        output = await self.lives.ask("GET", f"/jobs/{job['job_id']}/log", None, 200, 409, 410)
        note = Note.read(note_path(self.directory / "notes", name))
        why = None
        if self._must_be_true(job, run, note, planned):
            why = wrong_end(run, note)
            is_whole = planned.type != "hostile_file"  # which `> /dev/stderr` truncates
            if why is None and is_whole and not note.spoils & {"output", "middle"}:
                said = note_path(self.directory / "notes", name).with_suffix(".said")
                shown = output.content if output.status_code == 200 else b""
                why = wrong_output(shown, said, note)
        if why is not None and not razed_since(self.directory / "notes", began_at):
            raise Breach(f"{job['job_id']} ({name}: {planned}): {why}\n{run}\n{note}")

    def _must_be_true(
        self, job: dict[str, Any], run: dict[str, Any], note: Note, planned: Plan
    ) -> bool:
        """Whether its program came to its own end, and that must be what is recorded."""
        if note.ended_at is None or "end" in note.spoils:
            return False
        if planned.cancel_after_s is not None and job["status"] == "CANCELLED":
            return False
        reason = (run["error"] or {}).get("code")
        if reason == "output_limit" and planned.type == "hostile_strict":
            return False
        return not (reason == "interrupted" and self._is_excused(note, planned))

    def _is_excused(self, note: Note, planned: Plan) -> bool:
        """Whether the end of a life explains an interruption."""
        assert note.ended_at is not None
        return any(explains(end, note.ended_at, planned) for end in self.lives.ends)


def explains(end: End, ended_at: float, planned: Plan) -> bool:
    """Whether it ended a program that ended then.

    A server that stops in order waits for `GRACE_S` before it ends what runs; one that is killed
    takes along what no shim leads.
    """
    if end.kind == "stop":
        return ended_at + EXCUSED_S > end.at + GRACE_S
    return planned.type == "hostile_bare" and ended_at + EXCUSED_S > end.at


def wrong_end(run: dict[str, Any], note: Note) -> str | None:
    """Why the recorded end is not the program's own, or None."""
    if note.signal is not None:
        shown = (run["signal"], (run["exit_code"] or 0) - 128)
        if run["status"] == "FAILED" and note.signal in shown:
            return None
        return f"it died of signal {note.signal}"
    expected = {0: "COMPLETED", SKIP_CODE: "SKIPPED"}.get(note.code or 0, "FAILED")
    if (run["status"], run["exit_code"]) == (expected, note.code):
        return None
    return f"it ended with {note.code}"


def wrong_output(output: bytes, said: Path, note: Note) -> str | None:
    """Why the log is not what the program wrote, or None."""
    expected = said.read_bytes() if said.exists() else b""
    if len(expected) > LIMIT_BYTES:
        return None
    if "tail" in note.spoils:
        output = output[: len(expected)]
    if output == expected:
        return None
    at = next((i for i, (a, b) in enumerate(zip(output, expected, strict=False)) if a != b), None)
    where = min(len(output), len(expected)) if at is None else at
    return (
        f"its log has {len(output)} bytes of {len(expected)}, different from byte {where}: "
        f"{output[where - 20 : where + 60]!r}, not {expected[where - 20 : where + 60]!r}"
    )


async def look_around(lives: Lives, hostility: Hostility, rng: random.Random) -> None:
    """Read what hostile Jobs have left and leave, as a page or a script would. Never returns."""
    while True:
        await trio.sleep(rng.random() * 0.3)
        if not hostility.job_ids:
            continue
        job_id = rng.choice(hostility.job_ids[-8:])
        match rng.choice(("follow", "log", "log", "times", "artifacts", "artifact", "run", "list")):
            case "follow":
                await lives.follow(f"/jobs/{job_id}/log", rng.random() * 2)
            case "log":
                path = f"/jobs/{job_id}/log?offset={rng.choice((0, 1, 10**6, 2**62))}"
                await lives.ask("GET", path)
            case "times":
                await lives.ask("GET", f"/jobs/{job_id}/log/times")
            case "artifacts":
                await lives.ask("GET", f"/jobs/{job_id}/artifacts")
            case "artifact":
                await download(lives, job_id, rng)
            case "run":
                await lives.ask("GET", f"/jobs/{job_id}/runs")
            case "list":
                await lives.ask("GET", "/jobs?limit=20")


async def download(lives: Lives, job_id: str, rng: random.Random) -> None:
    """The beginning of any artifact."""
    listed = (await lives.ask("GET", f"/jobs/{job_id}/artifacts")).json().get("artifacts", [])
    if listed:
        name = rng.choice(listed)["name"]
        quoted = "".join(f"%{byte:02x}" for byte in name.encode())
        span = {"Range": f"bytes=0-{rng.choice((0, 1000, 10**6))}"}
        await lives.ask("GET", f"/jobs/{job_id}/artifacts/{quoted}", None, **span)
