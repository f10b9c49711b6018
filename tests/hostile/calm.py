"""Well-behaved Jobs: whatever runs beside them, they end as if they were alone.

What such a Job writes follows from its seed, so that each byte can be compared. It measures its own
duration; the one that is recorded may be longer only by what a start and an end cost.
"""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.crash.server import Breach
from tests.hostile.lives import Lives
from tests.hostile.scene import boot_s, razed_since

LATE_FACTOR = 1.5
LATE_S = 2.0
COLLECTED_TIMEOUT_S = 60.0
POLL_S = 0.03
END_TIMEOUT_S = 60.0
CANCELLED = 0.05
"""How many of them run for long, and are cancelled."""


@dataclass(slots=True)
class Seen:
    """What they came to."""

    jobs: int = 0
    cancelled: int = 0
    late_s: float = 0.0
    """The most by which a recorded duration exceeded a program's own."""
    collected_s: float = 0.0
    """The longest wait for artifacts and checksums after the end of the Job."""
    cancel_s: float = 0.0
    ended: list[tuple[str, str, float]] = field(default_factory=list)
    """Job ids, seeds and beginnings, to be looked at once more in the end."""


def piece(seed: str, name: str, size: int) -> bytes:
    """Bytes that follow from a seed. The same stands in the program."""
    return hashlib.shake_128(f"{seed} {name}".encode()).digest(size)


def number(seed: str, name: str, below: int) -> int:
    """A number that follows from a seed."""
    return int.from_bytes(piece(seed, name, 4), "big") % below


def output_of(seed: str) -> bytes:
    """All that it prints."""
    lines = [
        b"%d %s\n" % (i, piece(seed, f"line {i}", 20).hex().encode())
        for i in range(number(seed, "lines", 40))
    ]
    data = piece(seed, "bytes", number(seed, "length", 100_000))
    return b"".join(lines) + data + b"end without a newline"


def artifacts_of(seed: str) -> dict[str, bytes]:
    """All that it leaves."""
    return {
        f"d{i}/deeper/a{i}": piece(seed, f"file {i}", number(seed, f"size {i}", 200_000))
        for i in range(number(seed, "files", 4))
    }


class Calm:
    """Runs one such Job after the other."""

    def __init__(self, lives: Lives, rng: random.Random, seen: Seen) -> None:
        self._lives = lives
        self._rng = rng
        self._seen = seen
        self._notes = lives.server.directory / "notes"

    async def run(self, name: str, until: trio.Event) -> None:
        """Until the event."""
        count = 0
        while not until.is_set():
            count += 1
            if self._rng.random() < CANCELLED:
                await self._cancel_one(f"{name}/{count}")
            else:
                await self.one(f"{name}/{count}", self._rng.choice((0, 0.02, 0.2, 1.5)))

    async def one(self, seed: str, seconds: float) -> None:
        """One Job from its submission to the comparison of all that is left of it."""
        begin = boot_s()
        job_id = await self._submit("calm", seed, {"seed": seed, "seconds": seconds})
        job = await self._until_ended(job_id)
        if job["status"] != "COMPLETED":
            run = await self.run_of(job_id)
            if not self._is_excused(begin, run):
                raise Breach(f"{job_id} (calm {seed}) is {job['status']}: {run}")
        await self.compare(job_id, seed, begin)
        self._seen.jobs += 1
        self._seen.ended.append((job_id, seed, begin))

    def _is_excused(self, begin: float, run: dict[str, Any]) -> bool:
        """Whether its directory was removed: then it could not write into it.

        And where its server ended as well, no one knows how it ended.
        """
        ended = any(end.at >= begin for end in self._lives.ends)
        code = (run["error"] or {}).get("code")
        can_be = code == "exit_status" or (ended and code == "interrupted")
        return can_be and razed_since(self._notes, begin)

    async def compare(self, job_id: str, seed: str, begin: float) -> None:
        """Its run, output and artifacts with what they must be, unless they were removed."""
        if razed_since(self._notes, begin):
            return
        run = await self._collected(job_id)
        if razed_since(self._notes, begin):
            return
        self._compare_duration(run)
        if run["exit_code"] != 0 or run["status"] != "COMPLETED":
            raise Breach(f"{job_id} ended {run}")
        try:
            await self._compare_files(job_id, seed, run)
        except Breach:
            if not razed_since(self._notes, begin):
                raise

    async def _compare_files(self, job_id: str, seed: str, run: dict[str, Any]) -> None:
        output = (await self._lives.ask("GET", f"/jobs/{job_id}/log", None, 200)).content
        if output != output_of(seed):
            raise Breach(f"{job_id}: its output is {output!r:.2000}")
        expected = artifacts_of(seed)
        listed = {one["name"]: (one["size_bytes"], one["sha256"]) for one in run["artifacts"]}
        right = {
            name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in expected.items()
        }
        if listed != right:
            raise Breach(f"{job_id}: its artifacts are {listed}, not {right}")
        for name, data in expected.items():
            path = f"/jobs/{job_id}/artifacts/{name.replace('/', '%2F')}"
            if (await self._lives.ask("GET", path, None, 200)).content != data:
                raise Breach(f"{job_id}: its artifact {name} is different")

    def _compare_duration(self, run: dict[str, Any]) -> None:
        own_s, recorded_s = run["result"]["own_s"], run["duration_s"]
        self._seen.late_s = max(self._seen.late_s, recorded_s - own_s)
        if not own_s <= recorded_s <= own_s * LATE_FACTOR + LATE_S:
            raise Breach(f"{run['job_id']} took {own_s} s, and {recorded_s} s is recorded")

    async def _collected(self, job_id: str) -> dict[str, Any]:
        begin = trio.current_time()
        while True:
            run = await self.run_of(job_id)
            took_s = trio.current_time() - begin
            if run["collection"]["complete"] or run["collection"]["reason"]:
                self._seen.collected_s = max(self._seen.collected_s, took_s)
                return run
            if took_s > COLLECTED_TIMEOUT_S:
                raise Breach(f"{job_id} is not collected after {took_s:g} s: {run}")
            await trio.sleep(POLL_S)

    async def _cancel_one(self, seed: str) -> None:
        job_id = await self._submit("long", seed, {})
        await self._until(job_id, "RUNNING", "FAILED")
        await trio.sleep(self._rng.random() * 0.3)
        begin = trio.current_time()
        # A server that ends in order interrupts what runs for longer than its grace.
        await self._lives.ask("POST", f"/jobs/{job_id}/cancel", None, 202, 409)
        job = await self._until_ended(job_id)
        was_stopped = any(end.kind == "stop" for end in self._lives.ends)
        if job["status"] != "CANCELLED" and not was_stopped:
            raise Breach(f"{job_id} was cancelled, and is {job['status']}")
        self._seen.cancel_s = max(self._seen.cancel_s, trio.current_time() - begin)
        self._seen.cancelled += 1

    async def _submit(self, type: str, seed: str, params: dict[str, Any]) -> str:
        body = {"type": type, "params": params, "priority": 90}
        key = {"Idempotency-Key": f'"{seed}"'}
        job = (await self._lives.ask("POST", "/jobs", body, 201, **key)).json()
        return str(job["job_id"])

    async def _until_ended(self, job_id: str) -> dict[str, Any]:
        return await self._until(job_id, "COMPLETED", "FAILED", "SKIPPED", "CANCELLED")

    async def _until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        return await until(self._lives, job_id, END_TIMEOUT_S, *statuses)

    async def run_of(self, job_id: str) -> dict[str, Any]:
        """Its run."""
        return await run_of(self._lives, job_id)


async def run_of(lives: Lives, job_id: str) -> dict[str, Any]:
    """The one run of a Job that has started."""
    found: list[dict[str, Any]] = (await lives.ask("GET", f"/jobs/{job_id}/runs")).json()["runs"]
    if len(found) != 1:
        raise Breach(f"{job_id} has {len(found)} runs")
    return found[0]


async def until(lives: Lives, job_id: str, timeout_s: float, *statuses: str) -> dict[str, Any]:
    """The Job when it has one of these statuses.

    Raises:
        Breach: it has ended otherwise, or takes too long.
    """
    deadline = trio.current_time() + timeout_s
    pause_s = POLL_S
    while True:
        job: dict[str, Any] = (await lives.ask("GET", f"/jobs/{job_id}")).json()
        if job["status"] in statuses:
            return job
        if job["finished_at"] is not None:
            raise Breach(f"{job_id} is {job['status']}, not {' or '.join(statuses)}")
        if trio.current_time() > deadline:
            raise Breach(f"{job_id} is still {job['status']} after {timeout_s:g} s")
        await trio.sleep(pause_s)
        pause_s = min(0.2, pause_s * 1.2)
