"""A real `headway serve`, and the client with which tests use it.

Every response passes `Server._inspect`: in any test, a response fails it that is undocumented, is
no problem document where it should be one, or contains a secret. When a server ends, the invariants
are checked on its database, its log is searched for crashes, and no process may be left.
"""

import http.client
import os
import re
import signal
import socket
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import httpx

from storage.database import DATABASE_NAME
from tests.contract.problem import Json, check_problem, documented
from tests.event_stream import read_events
from tests.eventually import DEADLINE_S, eventually
from tests.gate import Gate
from tests.server_process import (
    ACCIDENTS,
    HEADWAY,
    ServerProcess,
    broken_invariants,
    environment,
    is_alive,
    serve_arguments,
)

GRACE_S = 3.0
SECRET = "hush-93c1f7d2-do-not-tell"
SERVER_VARIABLE = "only-the-server-may-know-this"
CONFIG = Path(__file__).with_name("config.toml").read_text()
TERMINAL = frozenset({"COMPLETED", "FAILED", "SKIPPED", "CANCELLED"})
PROTECTION = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}
"""Headers of every response, which keep pages of other sites from reading it."""


class Server:
    """One data directory, and the `headway serve` that runs on it now."""

    documented: ClassVar[list[tuple[str, re.Pattern[str], set[str]]]] = []
    # Test modules get these through the fixture.
    eventually = staticmethod(eventually)
    is_alive = staticmethod(is_alive)
    read_events = staticmethod(read_events)
    command = HEADWAY
    terminal = TERMINAL
    secret = SECRET
    grace_s = GRACE_S
    deadline_s = DEADLINE_S
    server_variable = SERVER_VARIABLE

    def __init__(self, directory: Path, config: str | None = None) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.data_dir = directory / "data"
        self.config = directory / "headway.toml"
        self.config.write_text(CONFIG if config is None else config)
        self.prefix: list[str] = []
        """Words before the command: another program that becomes the server (exec), as prlimit."""
        self.stderr = directory / "stderr"
        self.stdout = directory / "stdout"
        self.process: ServerProcess | None = None
        self.client = httpx.Client(verify=False)
        self.url = ""
        self.threads = ThreadPoolExecutor(max_workers=16)

    # ---- the process -------------------------------------------------------------------------

    def spawn(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        """Start the process, and return at once."""
        own = {
            "SERVER_VARIABLE": SERVER_VARIABLE,
            "PASSED_ON": "passed on",
            # Independent of the free space of the machine.
            "HEADWAY_SCHEDULER__FREE_SPACE_BYTES": "0",
            **(environ or {}),
        }
        self.process = ServerProcess.execute(
            [*self.prefix, HEADWAY, *serve_arguments(self.data_dir, self.config, *arguments)],
            self.stderr,
            directory=self.directory,
            environ=environment(**own),
            stdout=self.stdout,
        )

    def start(self, *arguments: str, environ: dict[str, str] | None = None) -> "Server":
        """Start it, and return when it is ready."""
        self.spawn(*arguments, environ=environ)
        return self.await_ready()

    def await_ready(self) -> "Server":
        """Return when it listens."""
        self._await_url()
        assert self.process is not None
        self.url = self.process.url
        self.client = self.process.client(
            timeout=DEADLINE_S, event_hooks={"response": [self._inspect]}
        )
        if not Server.documented:
            Server.documented = documented(self.client.get("/openapi.json").json())
        return self

    def _await_url(self) -> None:
        assert self.process is not None
        self.process.await_ready(DEADLINE_S)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send(number)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """Wait for its end; returns the exit status."""
        assert self.process is not None
        status = self.process.wait(timeout_s)
        self.process = None
        self.client.close()
        return status

    def kill(self) -> None:
        """Kill it, as the kernel does when memory is exhausted."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """Stop it, and check its exit status."""
        self.signal(signal.SIGTERM)
        assert self.wait() == 0, self.log()

    def restart(self, *arguments: str) -> None:
        self.stop()
        self.start(*arguments)

    def log(self) -> str:
        """The standard error of all its processes."""
        return self.stderr.read_text(errors="replace")

    def processes(self) -> list[int]:
        """Living processes of runs of this data directory, found in /proc."""
        mark = f"HEADWAY_ARTIFACTS={self.data_dir}/".encode()
        found = []
        for entry in os.listdir("/proc"):
            with suppress(OSError):
                if entry.isdigit() and mark in Path(f"/proc/{entry}/environ").read_bytes():
                    found.append(int(entry))
        return [pid for pid in found if is_alive(pid)]

    def close(self, *, check: bool = True) -> None:
        """End everything that was started here, and check what it leaves."""
        try:
            if self.process is not None and check:
                self.settle()
                self.client.close()
                self.stop()
                assert not self.processes(), "the server left processes behind"
        finally:
            if self.process is not None:
                self.kill()
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.threads.shutdown()
        if check and self.stderr.exists():
            self.check()

    def check(self) -> None:
        """Check the invariants of the database, and a log without crashes and secrets."""
        assert not self.breaches()
        assert self.is_sound(), self.log()
        assert SECRET not in self.log() + self.stdout.read_text()

    def is_sound(self) -> bool:
        """Whether the log is free of accidents."""
        log = self.log()
        return not any(word in log for word in ACCIDENTS)

    def breaches(self) -> list[str]:
        """What `headway verify` reports."""
        return broken_invariants(self.data_dir)

    # ---- the client --------------------------------------------------------------------------

    def _inspect(self, response: httpx.Response) -> None:
        """Check what the contract requires of every response."""
        assert PROTECTION.items() <= dict(response.headers).items()
        is_file = response.is_success and re.match(r"/(static/.*)?$", response.request.url.path)
        assert response.headers["cache-control"] == ("no-cache" if is_file else "no-store")
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            return
        body = response.read()
        assert SECRET.encode() not in body, "a secret in an answer"
        request = response.request
        if response.status_code >= 400:
            check_problem(response)
        path = request.url.raw_path.partition(b"?")[0].decode()
        for method, pattern, statuses in Server.documented:
            if method == request.method and pattern.fullmatch(path):
                assert str(response.status_code) in statuses, (
                    f"{method} {path}: {response.status_code} is not in the OpenAPI document"
                )
                return

    def get(self, path: str, **params: Any) -> Json:
        answer = self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        value = answer.json()
        assert isinstance(value, dict)
        return value

    def post(self, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Json:
        if body is None:
            answer = self.client.post(path, headers=headers)
        else:
            answer = self.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        value = answer.json()
        assert isinstance(value, dict)
        return value

    def submit(self, type: str, params: Json | None = None, **fields: Any) -> Json:
        """Submit a Job."""
        return self.post("/jobs", {"type": type, "params": params or {}, **fields}, status=201)

    def run(self, type: str, params: Json | None = None, **fields: Any) -> Json:
        """Submit a Job, and return it when it has ended."""
        body = {"type": type, "params": params or {}, **fields}
        answer = self.client.post("/jobs", json=body, headers={"Prefer": "wait=14"})
        assert answer.status_code == 201, answer.text
        job = answer.json()
        assert job["status"] in TERMINAL, job
        assert isinstance(job, dict)
        return job

    def job(self, job_id: str) -> Json:
        return self.get(f"/jobs/{job_id}")

    def run_of(self, job_id: str) -> Json:
        """The one run of a Job."""
        found = self.get(f"/jobs/{job_id}/runs")
        assert found["total"] == 1
        (run,) = found["runs"]
        assert isinstance(run, dict)
        return run

    def output(self, job_id: str) -> bytes:
        return self.client.get(f"/jobs/{job_id}/log").content

    def status(self) -> Json:
        return self.get("/scheduler/status")

    def until(self, job_id: str, *statuses: str) -> Json:
        """The Job when it is in one of these statuses (none given: when it has ended)."""
        wanted = statuses or TERMINAL

        def look() -> Json | None:
            job = self.job(job_id)
            assert job["status"] in wanted or job["status"] not in TERMINAL, job
            return job if job["status"] in wanted else None

        job = eventually(look, f"{job_id} becomes {' or '.join(sorted(wanted))}")
        assert isinstance(job, dict)
        return job

    def until_printed(self, job_id: str, text: bytes) -> bytes:
        """The output, once it contains `text`."""
        output = eventually(
            lambda: (out := self.output(job_id)).find(text) >= 0 and out, f"prints {text!r}"
        )
        assert isinstance(output, bytes)
        return output

    def hold(self, gate: Gate, **fields: Any) -> Json:
        """A Job that runs until the gate is opened."""
        job = self.submit("gate", {"path": gate.path}, **fields)
        self.until_printed(job["job_id"], b"opened")
        return job

    def events(self, until: Callable[[Json], bool], after: int = 0) -> list[Json]:
        """The events after `after` up to the first that satisfies `until`."""
        seen: list[Json] = []
        with self.client.stream("GET", "/events", params={"after": after}) as stream:
            for _, _, event in read_events(stream.iter_lines()):
                seen.append(event)
                if until(event):
                    return seen
        raise AssertionError(f"the stream ended before its time; last: {seen[-1:]}")

    def start_order(self, count: int, after: int) -> list[str]:
        """The Jobs (or, where there is none, the runs) of the next `count` starts."""
        found: list[str] = []

        def is_last(event: Json) -> bool:
            if event["kind"] == "run.started":
                found.append(event["job_id"] or event["run_id"])
            return len(found) == count

        self.events(is_last, after)
        return found

    def last_seq(self) -> int:
        """The number of the newest event in the database."""
        (seq,) = self.rows("SELECT coalesce(max(seq), 0) FROM events")[0]
        assert isinstance(seq, int)
        return seq

    def rows(self, sql: str) -> list[Any]:
        """Read the database itself, without the server."""
        connection = sqlite3.connect(f"file:{self.data_dir / DATABASE_NAME}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def background(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        """Call it on another thread."""
        return self.threads.submit(call, *arguments, **named)

    def connect(self) -> socket.socket:
        """A bare connection, for requests that no HTTP library would send."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        connection = socket.create_connection((host, int(port)), timeout=DEADLINE_S)
        connection.settimeout(DEADLINE_S)
        return connection

    def speak(self, request: bytes) -> tuple[int, bytes]:
        """Send these bytes on a connection of their own; (status, body) of the response."""
        with self.connect() as connection:
            connection.sendall(request)
            return self.hear(connection)

    def hear(self, connection: socket.socket) -> tuple[int, bytes]:
        """The next response on a bare connection."""
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
            return answer.status, answer.read()
        finally:
            answer.close()

    def settle(self) -> None:
        """Stop the scheduler and cancel what runs; queued Jobs stay."""
        sql = "SELECT 1 FROM job_runs WHERE status = 'RUNNING'"
        if self.rows(sql):
            self.post("/scheduler/stop")
            for (job_id,) in self.rows("SELECT job_id FROM jobs WHERE status = 'RUNNING'"):
                self.client.post(f"/jobs/{job_id}/cancel")
            eventually(lambda: not self.rows(sql), "every run has ended")

    def reset(self) -> None:
        """Cancel all Jobs, restore the configured limits, start the scheduler."""
        if self.rows(CLEAN) == [(1,)]:
            return
        self.post("/scheduler/stop")
        self.client.delete("/scheduler/reservations")
        for (job_id,) in self.rows("SELECT job_id FROM jobs WHERE status IN ('QUEUED', 'RUNNING')"):
            self.client.post(f"/jobs/{job_id}/cancel")
        types = dict.fromkeys(name for (name,) in self.rows("SELECT type FROM type_limits"))
        self.client.patch("/scheduler/config", json={"concurrency": None, "types": types})
        sql = "SELECT 1 FROM job_runs WHERE status = 'RUNNING'"
        eventually(lambda: not self.rows(sql), "every run has ended")
        self.post("/scheduler/start")


CLEAN = """
SELECT running AND concurrency IS NULL
    AND NOT EXISTS (SELECT 1 FROM type_limits)
    AND NOT EXISTS (SELECT 1 FROM jobs WHERE status IN ('QUEUED', 'RUNNING'))
    AND NOT EXISTS (SELECT 1 FROM job_runs WHERE status = 'RUNNING')
    AND NOT EXISTS (SELECT 1 FROM reservations WHERE state <> 'ENDED')
FROM scheduler
"""
