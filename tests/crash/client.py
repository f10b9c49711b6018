"""A client of a server that is killed again and again, and a journal of the server's promises.

The journal is in this process, which is never killed. A request is recorded before it is sent, a
response as soon as it is complete; so each request is *promised*, *refused*, or *open*: an open one
may have been executed or not, but never in part.
"""

import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import trio

from bench.wire import address_of, parse_head, request_bytes
from tests.crash.program import SKIP_CODE, TYPES
from tests.crash.server import Breach

ANSWER_TIMEOUT_S = 30.0
RECEIVE_BYTES = 1 << 16
PAUSE_MAX_S = 0.012
QUEUED_MAX = 25
REFUSALS = frozenset({404, 409, 412, 422, 429, 503})


class Lost(Exception):
    """The connection ended before its response did."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Wire:
    """One keep-alive connection on Trio. Without a complete response it raises `Lost`."""

    def __init__(self, url: str) -> None:
        self._address = address_of(url)
        self._stream: trio.SocketStream | None = None

    async def ask(
        self, method: str, path: str, body: object = None, key: str | None = None
    ) -> Answer:
        """Send one request and return its response.

        Raises:
            Lost: it is unknown whether it was executed.
            Breach: no response within half a minute, or one that headway must not give.
        """
        sent = b"" if body is None else json.dumps(body).encode()
        extra = {} if key is None else {"Idempotency-Key": f'"{key}"'}
        host = f"{self._address[0]}:{self._address[1]}"
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                answer = await self._exchange(request_bytes(method, path, host, sent, extra))
        except (OSError, trio.BrokenResourceError) as error:
            await self.close()
            raise Lost(str(error)) from None
        except trio.TooSlowError:
            raise Breach(f"{method} {path} {body}: no answer in {ANSWER_TIMEOUT_S:g} s") from None
        if answer.status >= 300 and answer.status not in REFUSALS:
            raise Breach(f"{method} {path} {body}: {answer.status} {answer.body!r}")
        return answer

    async def close(self) -> None:
        """Close the connection."""
        if self._stream is not None:
            await trio.aclose_forcefully(self._stream)
            self._stream = None

    async def _exchange(self, request: bytes) -> Answer:
        if self._stream is None:
            self._stream = await trio.open_tcp_stream(*self._address)
        await self._stream.send_all(request)
        data = b""
        while (head := parse_head(data)) is None or len(data) < head[1] + head[2]:
            piece = await self._stream.receive_some(RECEIVE_BYTES)
            if not piece:
                raise OSError("the server closed the connection")
            data += piece
        if b"\r\nconnection: close" in data[: head[1]].lower():
            await self.close()
        return Answer(head[0], data[head[1] :])


@dataclass(slots=True)
class Submission:
    """One request that makes Jobs. Each of them carries its token as its name."""

    tokens: tuple[str, ...]
    path: str
    body: dict[str, Any]
    key: str | None
    refused: bool = False
    answer: bytes | None = None
    job_ids: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether its result is unknown."""
        return not self.refused and not self.job_ids


@dataclass(slots=True)
class Journal:
    """All requests to one data directory, and their responses."""

    submissions: list[Submission] = field(default_factory=list)
    cancelled: dict[str, str] = field(default_factory=dict)
    """Job ids whose cancel or delete was promised, with the status in the response."""
    cancel_asked: set[str] = field(default_factory=set)
    priorities: dict[str, int] = field(default_factory=dict)
    """The last promised priority of each Job that no open patch may have changed since."""
    patching: set[str] = field(default_factory=set)
    """Jobs with a patch under way, or one that is open for ever."""
    versions: dict[str, int] = field(default_factory=dict)
    retries: dict[str, str] = field(default_factory=dict)
    retries_asked: set[str] = field(default_factory=set)
    triggered: set[str] = field(default_factory=set)
    triggers_open: int = 0
    direct: dict[str, str] = field(default_factory=dict)
    """Run ids of completed direct runs, with their status."""
    holds: set[str] = field(default_factory=set)
    moving: bool | None = True
    """The last start or stop that was promised; None while one is open."""
    requests: int = 0

    def accepted(self) -> list[str]:
        """The ids of all Jobs that were promised."""
        made = [job_id for asked in self.submissions for job_id in asked.job_ids]
        return [*made, *self.retries, *self.triggered]


@dataclass(slots=True)
class Client:
    """Sends random requests of every kind, by a seed."""

    rng: random.Random
    journal: Journal
    number: int = 0

    async def drive(self, url: str) -> None:
        """Send requests until the server is gone."""
        wire = Wire(url)
        try:
            while True:
                await self._something(wire)
                await trio.sleep(self.rng.random() * PAUSE_MAX_S)
        except Lost:
            return
        finally:
            await wire.close()

    async def settle_open(self, url: str) -> None:
        """Repeat open requests that may be repeated, and some that have a response."""
        wire = Wire(url)
        keyed = [asked for asked in self.journal.submissions if asked.key and not asked.refused]
        answered = [asked for asked in keyed if asked.answer]
        again = [asked for asked in keyed if asked.is_open] + answered[-2:]
        with suppress(Lost):
            for asked in again:
                await self._send(wire, asked)
        await wire.close()

    async def resume(self, url: str) -> None:
        """Start the scheduler, if the server lives long enough."""
        wire = Wire(url)
        with suppress(Lost):
            await self._move(wire, "start")
        await wire.close()

    async def _something(self, wire: Wire) -> None:
        actions: list[tuple[int, Callable[[Wire], Awaitable[None]]]] = [
            (34, self._submit),
            (6, self._submit_batch),
            (14, self._cancel),
            (4, self._delete),
            (14, self._patch),
            (5, self._retry),
            (5, self._direct),
            (4, self._reserve),
            (3, self._trigger),
            (3, self._stop_and_start),
            (8, self._list),
        ]
        weights = [weight for weight, _ in actions]
        _, action = self.rng.choices(actions, weights)[0]
        self.journal.requests += 1
        await action(wire)

    # ---- make --------------------------------------------------------------------------------

    def _new(self) -> dict[str, Any]:
        self.number += 1
        kind = self.rng.choice(TYPES)
        seconds = 0.6 if kind == "late" else self.rng.choice([0, 0, 0, 0, 0.05, 0.2, 0.5])
        body: dict[str, Any] = {
            "type": kind,
            "name": f"token-{self.number}",
            "priority": self.rng.randrange(0, 100, 10),
            "params": {"seconds": seconds, "code": self.rng.choice([0, 0, 0, 7, SKIP_CODE])},
        }
        if kind == "late":
            body["params"]["code"] = 0
        if self.rng.random() < 0.1:
            at = datetime.now(UTC) + timedelta(seconds=self.rng.random())
            body["run_at"] = at.isoformat()
        return body

    async def _submit(self, wire: Wire) -> None:
        if await self._is_full(wire):
            return
        body = self._new()
        key = f"key-{self.number}" if self.rng.random() < 0.5 else None
        asked = Submission((body["name"],), "/jobs", body, key)
        self.journal.submissions.append(asked)
        await self._send(wire, asked)

    async def _submit_batch(self, wire: Wire) -> None:
        if await self._is_full(wire):
            return
        jobs = [self._new() for _ in range(self.rng.randint(2, 5))]
        key = f"key-{self.number}" if self.rng.random() < 0.5 else None
        tokens = tuple(job["name"] for job in jobs)
        asked = Submission(tokens, "/jobs/batch", {"jobs": jobs}, key)
        self.journal.submissions.append(asked)
        await self._send(wire, asked)

    async def _is_full(self, wire: Wire) -> bool:
        """So much waits that a moment of work serves the campaign better than more Jobs."""
        status = (await wire.ask("GET", "/scheduler/status")).json()
        return bool(status["eligible"] > QUEUED_MAX)

    async def _send(self, wire: Wire, asked: Submission) -> None:
        answer = await wire.ask("POST", asked.path, asked.body, asked.key)
        if answer.status != 201:
            if answer.status != 503:
                raise Breach(f"{asked.body}: {answer.status} {answer.body!r}")
            if asked.key is None:
                asked.refused = True
            return
        made = answer.json()
        jobs = made.get("jobs", [made])
        job_ids = tuple(job["job_id"] for job in jobs)
        if asked.job_ids and (job_ids, answer.body) != (asked.job_ids, asked.answer):
            raise Breach(f"asked again {asked.key}: {answer.body!r}, before {asked.answer!r}")
        asked.job_ids, asked.answer = job_ids, answer.body

    async def _retry(self, wire: Wire) -> None:
        if job_id := self._some_job():
            self.journal.retries_asked.add(job_id)
            answer = await wire.ask("POST", f"/jobs/{job_id}/retry", {})
            if answer.status == 201:
                self.journal.retries[answer.json()["job_id"]] = job_id

    async def _trigger(self, wire: Wire) -> None:
        self.journal.triggers_open += 1
        answer = await wire.ask("POST", "/jobs/work/trigger", {"seconds": 0.05})
        self.journal.triggers_open -= 1
        if answer.status == 202:
            self.journal.triggered.add(answer.json()["job_id"])

    async def _direct(self, wire: Wire) -> None:
        body = {"params": {"seconds": self.rng.choice([0, 0.1])}}
        answer = await wire.ask("POST", "/direct/work", body)
        if answer.status == 200:
            run = answer.json()
            self.journal.direct[run["run_id"]] = run["status"]

    async def _reserve(self, wire: Wire) -> None:
        answer = await wire.ask("POST", "/scheduler/reservations", {"ttl_s": 0.1})
        if answer.status == 201:
            self.journal.holds.add(answer.json()["reservation_id"])

    # ---- change ------------------------------------------------------------------------------

    def _some_job(self) -> str | None:
        made = [asked for asked in self.journal.submissions[-30:] if asked.job_ids]
        return self.rng.choice(self.rng.choice(made).job_ids) if made else None

    async def _cancel(self, wire: Wire) -> None:
        if job_id := self._some_job():
            await self._end(wire, job_id, "POST", f"/jobs/{job_id}/cancel")

    async def _delete(self, wire: Wire) -> None:
        if job_id := self._some_job():
            await self._end(wire, job_id, "DELETE", f"/jobs/{job_id}")

    async def _end(self, wire: Wire, job_id: str, method: str, path: str) -> None:
        self.journal.cancel_asked.add(job_id)
        answer = await wire.ask(method, path)
        if answer.status < 300:
            self.journal.cancelled[job_id] = answer.json()["status"]

    async def _patch(self, wire: Wire) -> None:
        job_id = self._some_job()
        if job_id is None or job_id in self.journal.patching:
            return
        self.journal.patching.add(job_id)
        priority = self.rng.randrange(101)
        answer = await wire.ask("PATCH", f"/jobs/{job_id}", {"priority": priority})
        self.journal.patching.remove(job_id)
        if answer.status == 200:
            self.journal.versions[job_id] = answer.json()["version"]
            self.journal.priorities[job_id] = priority

    async def _stop_and_start(self, wire: Wire) -> None:
        if self.journal.moving is not True:
            return
        await self._move(wire, "stop")
        await trio.sleep(self.rng.random() * 0.05)
        await self._move(wire, "start")

    async def _move(self, wire: Wire, verb: str) -> None:
        self.journal.moving = None
        answer = await wire.ask("POST", f"/scheduler/{verb}", {})
        if answer.status == 200:
            self.journal.moving = verb == "start"

    async def _list(self, wire: Wire) -> None:
        await wire.ask("GET", "/jobs?limit=20")
