"""A real `headway serve` for each test module, and what a client needs to ask it.

Every answer passes `Server._inspect`: whatever a test is about, an answer that is undocumented, is
no problem document where it should be one, or shows a secret, fails it. When a server ends, the
invariants are checked on its database, its log is searched for crashes, and no process may be left.
"""

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from storage.database import DATABASE_NAME, open_reader
from storage.verify.invariants import verify
from web.process.ready_line import ready_url

HEADWAY = Path(sys.executable).with_name("headway")
DEADLINE_S = 30.0
"""No single wait of a test takes longer, on the slowest machine that runs them."""
TEST_DEADLINE_S = 60
POLL_S = 0.005
GRACE_S = 3.0
SECRET = "hush-93c1f7d2-do-not-tell"
SERVER_VARIABLE = "only-the-server-may-know-this"

TERMINAL = frozenset({"COMPLETED", "FAILED", "SKIPPED", "CANCELLED"})
CODES = {
    "malformed_request": 400,
    "malformed_json": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "bad_origin": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "wrong_state": 409,
    "gone": 410,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "bad_host": 421,
    "invalid": 422,
    "unknown_type": 422,
    "idempotency_mismatch": 422,
    "queue_full": 429,
    "rate_limited": 429,
    "shutting_down": 503,
    "unavailable": 503,
    "storage_full": 507,
}
ACCIDENTS = ("actor crashed", "request failed", "Traceback", "told in vain")
PROTECTION = {"x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"}
"""What every answer carries, so that no page of another site gets at it."""
RETRY_AFTER = {"queue_full", "rate_limited", "shutting_down", "unavailable"}

CONFIG = r"""
[server]
shutdown_grace_s = 3
max_body_bytes = 2_097_152
log_format = "json"

[job_types.ok]
command = ["true"]
params.text = { type = "string", arg = "--text" }

[job_types.exit]
command = ["/bin/sh", "-c", 'exit "$2"', "exit"]
params.code = { type = "integer", positional = true }
required = ["code"]

[job_types.skips]
command = ["/bin/sh", "-c", 'exit "$2"', "skips"]
skip_exit_codes = [3, 4]
params.code = { type = "integer", positional = true }

[job_types.signal]
command = ["/bin/sh", "-c", 'kill -"$2" $$', "signal"]
params.number = { type = "integer", positional = true }

# Goes on when the named pipe is opened for writing, and prints what is written into it.
[job_types.gate]
command = ["/bin/sh", "-c", 'echo opened; cat "$2"; echo closed; exit "$3"', "gate"]
kill_grace_s = 0.3
params.path = { type = "string", positional = true }
params.code = { type = "integer", default = 0, positional = true }
required = ["path"]

[job_types.single]
command = ["/bin/sh", "-c", 'cat "$2"', "single"]
concurrency = 1
kill_grace_s = 0.3
params.path = { type = "string", positional = true }

[job_types.echo]
command = ["{python}", "-ISc", "import json, sys; print(json.dumps(sys.argv[1:]))"]
params.name = { type = "string", arg = "--name" }
params.count = { type = "integer", minimum = 1, maximum = 100, default = 1, arg = "--count" }
params.flag = { type = "boolean", arg = "--flag" }
params.tags = { type = "array", items = { type = "string" }, arg = "--tag" }
params.ratio = { type = "number", arg = "--ratio" }
params.text = { type = "string", positional = true }

# Ignores TERM and leaves daemons in sessions of their own; prints every process id.
[job_types.stubborn]
command = ["{python}", "-ISc", '''
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for generation in range(3):
    if os.fork() == 0:
        os.setsid()
        if generation and os.fork():
            os._exit(0)
        break
print(os.getpid(), flush=True)
time.sleep(300)
''']
kill_grace_s = 0.5

# The daemon throws its environment away, so that only a control group can hold it.
[job_types.hidden]
command = ["/bin/sh", "-c", 'env -i setsid sh -c "echo \$\$; exec sleep 300" & wait; sleep 300']
kill_grace_s = 0.2

[job_types.bytes]
command = ["{python}", "-ISc", '''
import os, sys
left, line = int(sys.argv[2]), b""
number = 0
while left:
    line = (b"%015d\n" % number)[:left]
    os.write(1 + number % 2, line)
    left -= len(line)
    number += 1
''']
params.count = { type = "integer", positional = true }

[job_types.raw]
command = ["{python}", "-ISc", "import os; os.write(1, bytes(range(256))); os.write(2, b'\\xff')"]

[job_types.dropping]
command = ["/bin/sh", "-c", 'echo begin; head -c "$2" /dev/zero | tr "\0" x; echo; echo end', "d"]
output_limit_bytes = 65_536
params.count = { type = "integer", positional = true }

[job_types.flooding]
command = ["/bin/sh", "-c", 'while :; do echo 0123456789012345678901234567890123456789; done']
output_limit_bytes = 65_536
on_output_limit = "fail"
kill_grace_s = 0.2

[job_types.report]
command = ["/bin/sh", "-c", '''
echo '{"progress": 0.25, "message": "a quarter"}' >> "$HEADWAY_REPORT"
echo opened
cat "$2"
echo 'this is no JSON' >> "$HEADWAY_REPORT"
echo '{"progress": 7, "message": "done"}' >> "$HEADWAY_REPORT"
echo '{"result": {"answer": 42, "text": "\\u00e9"}}' >> "$HEADWAY_REPORT"
''', "report"]
kill_grace_s = 0.3
params.path = { type = "string", positional = true }

[job_types.reporting]
command = ["/bin/sh", "-c", '{ cat; echo; } >> "$HEADWAY_REPORT"']
input = "json"
params.progress = { }
params.message = { }
params.result = { }

[job_types.artifacts]
command = ["/bin/sh", "-c", '''
cd "$HEADWAY_ARTIFACTS"
printf hello > plain.txt
mkdir -p deep/er
printf '{"a":1}' > "deep/er/odd name é.json"
: > empty
ln -s /etc/passwd link
ln -s /etc linked
mkfifo pipe
printf 'outside' > ../beside
''']

[job_types.shell]
command = ["/bin/sh", "-c", 'exec sh -c "$2"', "shell"]
kill_grace_s = 0.3
params.script = { type = "string", positional = true }

[job_types.around]
command = ["{python}", "-ISc", '''
import json, os, sys
print(json.dumps({
    "cwd": os.getcwd(), "files": os.listdir(), "stdin": sys.stdin.read(), "pid": os.getpid(),
    "session": os.getsid(0), "server_session": os.getsid(os.getppid()),
    "umask": os.umask(0),
    "blocked": [l for l in open("/proc/self/status") if l.startswith(("SigBlk", "SigIgn"))],
}))
''']

[job_types.environ]
command = ["/bin/cat", "/proc/self/environ"]
env.PASSED_ON = true
env.NOT_THERE = true
env.FIXED = "fixed value"

[job_types.descriptors]
command = ["/bin/ls", "-l", "/proc/self/fd"]

[job_types.stdin]
command = ["/bin/cat"]
input = "json"
params.text = { type = "string", default = "standard" }
params.number = { type = "number" }

[job_types.reopens]
command = ["/bin/sh", "-c", "echo one; echo two > /dev/stderr; echo three > /dev/stdout"]

[job_types.leaver]
command = ["/bin/sh", "-c", '''
mkfifo never
sh -c 'trap "echo bye; exit" TERM; echo ready; read -r x 2> /dev/null < never' &
while ! [ -s ../log ]; do sleep 0.002; done''']

[job_types.remover]
command = ["/bin/sh", "-c", 'echo before; cd /; rm -r "$(dirname "$OLDPWD")"; echo after; exit 3']

[job_types.secretive]
command = ["/bin/sh", "-c", "sha256sum; exit 1"]
input = "json"
params.token = { type = "string", secret = true, maxLength = 40, minLength = 3 }
params.more = { type = "object", secret = true }

[job_types.whisper]
command = ["/bin/true"]
params.token = { type = "string", secret = true, maxLength = 40, arg = "--token" }
params.code = { type = "string", secret = true, positional = true }

[job_types.hasty]
command = ["sleep", "300"]
timeout_s = 0.3
kill_grace_s = 0.2

[job_types.sleeper]
command = ["sleep"]
kill_grace_s = 0.3
params.time = { type = "number", positional = true }

[job_types.missing]
command = ["/nonexistent/program"]

[job_types.unknown]
command = ["headway-test-no-such-program"]

[job_types.directory]
command = ["/etc"]

[job_types.nobody]
command = ["/dev/null"]
"""

Json = dict[str, Any]


def eventually(probe: Callable[[], Any], why: str, timeout_s: float = DEADLINE_S) -> Any:
    """The first true answer of `probe`, asked again and again until the time is over."""
    deadline = time.monotonic() + timeout_s
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"within {timeout_s} s: {why}"
        time.sleep(POLL_S)
    return answer


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2][:1] not in (b"Z", b"X")


def read_events(lines: Iterator[str]) -> Iterator[tuple[str, str | None, Any]]:
    """(name, id, data) of each server-sent event."""
    name, number, data = "message", None, ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("id: "):
            number = line[4:]
        elif line.startswith("data: "):
            data += line[6:]
        elif not line and data:
            yield name, number, json.loads(data)
            name, number, data = "message", None, ""


class Gate:
    """A named pipe that holds a program of the type `gate` until it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        os.mkfifo(path)

    def write(self, text: bytes) -> None:
        """Let the program print this; it stays held while the returned writer is open."""
        self._writer = getattr(self, "_writer", None) or self._open()
        os.write(self._writer, text)

    def open(self) -> None:
        """Let the program go on."""
        os.close(getattr(self, "_writer", None) or self._open())
        self._writer = None

    def _open(self) -> int:
        def attempt() -> int:
            with suppress(OSError):  # ENXIO: no program reads yet
                return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            return 0

        writer = eventually(attempt, "a program opens the gate")
        assert isinstance(writer, int)
        return writer


class Server:
    """One data directory, and the `headway serve` that lives on it now."""

    documented: ClassVar[list[tuple[str, re.Pattern[str], set[str]]]] = []
    # Test modules have fixtures only, so what they need stands here too.
    eventually = staticmethod(eventually)
    is_alive = staticmethod(is_alive)
    read_events = staticmethod(read_events)
    command = HEADWAY
    terminal = TERMINAL
    secret = SECRET
    grace_s = GRACE_S
    deadline_s = DEADLINE_S
    server_variable = SERVER_VARIABLE

    def __init__(self, directory: Path, config: str = CONFIG) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.data_dir = directory / "data"
        self.config = directory / "headway.toml"
        self.config.write_text(config)
        self.prefix: list[str] = []
        """Words before the command: another program that becomes the server (exec), as prlimit."""
        self.stderr = directory / "stderr"
        self.stdout = directory / "stdout"
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(verify=False)
        self.url = ""
        self.threads = ThreadPoolExecutor(max_workers=16)

    # ---- the process -------------------------------------------------------------------------

    def spawn(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        """Start the process, and return at once."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HEADWAY_")}
        own = {
            "SERVER_VARIABLE": SERVER_VARIABLE,
            "PASSED_ON": "passed on",
            # However full the disk is on which the tests run.
            "HEADWAY_SCHEDULER__FREE_SPACE_BYTES": "0",
            **(environ or {}),
        }
        command: list[str | Path] = [
            *self.prefix,
            *(HEADWAY, "serve"),
            *("--data-dir", self.data_dir),
            *("--config", self.config),
            *(() if "--bind" in arguments else ("--bind", "127.0.0.1:0")),
            *arguments,
        ]
        self._log_from = self.stderr.stat().st_size if self.stderr.exists() else 0
        with self.stderr.open("ab") as stderr, self.stdout.open("ab") as stdout:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=self.directory,
                env=inherited | own,
            )

    def start(self, *arguments: str, environ: dict[str, str] | None = None) -> "Server":
        """Start it, and return when it is ready."""
        self.spawn(*arguments, environ=environ)
        return self.await_ready()

    def await_ready(self) -> "Server":
        """Return when it listens."""
        self.url = eventually(self._announced, "the server says where it listens")
        self.client = httpx.Client(
            base_url=self.url,
            timeout=DEADLINE_S,
            event_hooks={"response": [self._inspect]},
            verify=False,  # loading certificates takes longer than most tests
        )
        if not Server.documented:
            Server.documented = documented(self.client.get("/openapi.json").json())
        return self

    def _announced(self) -> str | None:
        assert self.process is not None
        url = ready_url(self.log()[self._log_from :])
        assert url or self.process.poll() is None, f"it ended while starting:\n{self.log()}"
        return url

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float = DEADLINE_S) -> int:
        """The exit status of the process."""
        assert self.process is not None
        status = self.process.wait(timeout_s)
        self.process = None
        self.client.close()
        return status

    def kill(self) -> None:
        """As the kernel does when memory is out."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> None:
        """Ask it to end, and see that it does so well."""
        self.signal(signal.SIGTERM)
        assert self.wait() == 0, self.log()

    def restart(self, *arguments: str) -> None:
        self.stop()
        self.start(*arguments)

    def log(self) -> str:
        """Everything that the server has said."""
        return self.stderr.read_text(errors="replace")

    def processes(self) -> list[int]:
        """Living processes that a run of this data directory has left in /proc."""
        mark = f"HEADWAY_ARTIFACTS={self.data_dir}/".encode()
        found = []
        for entry in os.listdir("/proc"):
            with suppress(OSError):
                if entry.isdigit() and mark in Path(f"/proc/{entry}/environ").read_bytes():
                    found.append(int(entry))
        return [pid for pid in found if is_alive(pid)]

    def close(self, *, check: bool = True) -> None:
        """End everything that was started here; see that what it leaves is whole."""
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
        """The invariants of the database, and a log without crashes and secrets."""
        assert not self.breaches()
        assert self.is_sound(), self.log()
        assert SECRET not in self.log() + self.stdout.read_text()

    def is_sound(self) -> bool:
        """Whether the log tells of no accident."""
        log = self.log()
        return not any(word in log for word in ACCIDENTS)

    def breaches(self) -> list[str]:
        """What `headway verify` would complain about."""
        connection = open_reader(self.data_dir / DATABASE_NAME)
        try:
            return [f"{f.name}: {b}" for f in verify(connection) for b in f.breaches]
        finally:
            connection.close()

    # ---- the client --------------------------------------------------------------------------

    def _inspect(self, response: httpx.Response) -> None:
        """Hook of every answer: the contract's rules that hold for all of them."""
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
        """Queue a Job."""
        return self.post("/jobs", {"type": type, "params": params or {}, **fields}, status=201)

    def run(self, type: str, params: Json | None = None, **fields: Any) -> Json:
        """Queue a Job, and the Job when it has ended."""
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
        """The output when it holds `text`."""
        output = eventually(
            lambda: (out := self.output(job_id)).find(text) >= 0 and out, f"prints {text!r}"
        )
        assert isinstance(output, bytes)
        return output

    def hold(self, gate: Gate, **fields: Any) -> Json:
        """A Job that runs, and goes on running until the gate is opened."""
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
        """Read the database itself, past the server."""
        connection = sqlite3.connect(f"file:{self.data_dir / DATABASE_NAME}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def background(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        """Call it on another thread."""
        return self.threads.submit(call, *arguments, **named)

    def connect(self) -> socket.socket:
        """A bare connection, for what no HTTP library would send."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        connection = socket.create_connection((host, int(port)), timeout=DEADLINE_S)
        connection.settimeout(DEADLINE_S)
        return connection

    def speak(self, request: bytes) -> tuple[int, bytes]:
        """Send these bytes on a connection of their own; (status, body) of the answer."""
        with self.connect() as connection:
            connection.sendall(request)
            return self.hear(connection)

    def hear(self, connection: socket.socket) -> tuple[int, bytes]:
        """The next answer on a bare connection."""
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
            return answer.status, answer.read()
        finally:
            answer.close()

    def settle(self) -> None:
        """Nothing running; what is queued stays so."""
        sql = "SELECT 1 FROM job_runs WHERE status = 'RUNNING'"
        if self.rows(sql):
            self.post("/scheduler/stop")
            for (job_id,) in self.rows("SELECT job_id FROM jobs WHERE status = 'RUNNING'"):
                self.client.post(f"/jobs/{job_id}/cancel")
            eventually(lambda: not self.rows(sql), "every run has ended")

    def reset(self) -> None:
        """Nothing queued, nothing running, the limits as configured, the scheduler running."""
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


def check_problem(response: httpx.Response) -> Json:
    """An error is an RFC 9457 document with a code of the contract, and never a 500."""
    if response.request.method == "HEAD":
        return {}
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert {"type", "title", "status", "detail", "code"} <= problem.keys()
    assert CODES[problem["code"]] == response.status_code == problem["status"], problem
    assert all(isinstance(problem[key], str) for key in ("type", "title", "detail"))
    assert set(problem) <= {"type", "title", "status", "detail", "code", "errors"}
    for fault in problem.get("errors", []):
        assert set(fault) == {"pointer", "message"}
        assert fault["pointer"] == "" or fault["pointer"].startswith("/")
    if problem["code"] in RETRY_AFTER:
        assert int(response.headers["retry-after"]) > 0
    assert isinstance(problem, dict)
    return problem


def documented(document: Json) -> list[tuple[str, re.Pattern[str], set[str]]]:
    """(method, pattern of the path, statuses); literal paths before those with parameters."""
    found = []
    for path, operations in sorted(document["paths"].items(), key=lambda item: "{" in item[0]):
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
        for method, operation in operations.items():
            found.append((method.upper(), pattern, set(operation["responses"])))
    return found


# ---- fixtures ----------------------------------------------------------------------------------

living: list[Server] = []
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Print the log of every server that lives when a test fails."""
    report = yield
    if call.excinfo is not None:  # also where that was expected
        item.stash[FAILED] = True
    if report.failed:
        for server in living:
            if server.stderr.exists():
                lines = server.log().splitlines()[-12:]
                report.sections.append((f"log of {server.directory}", "\n".join(lines)))
    return report


@contextmanager
def lives(server: Server, check: Callable[[], bool]) -> Iterator[Server]:
    living.append(server)
    try:
        yield server
    finally:
        try:
            server.close(check=check())
        finally:
            living.remove(server)


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """No test takes longer than this, whatever the server does."""

    def over(*_: object) -> None:
        raise TimeoutError(f"the test took longer than {TEST_DEADLINE_S} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(TEST_DEADLINE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def _next_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    """Gives a server that is up already: while a test runs, the next one's server starts.

    A start takes a second of one processor, and a test leaves the other one idle.
    """
    spares: list[Server] = []

    def spare() -> None:
        spares.append(Server(tmp_path_factory.mktemp("server")))
        spares[-1].spawn()

    def take() -> Server:
        taken = spares.pop()
        spare()
        return taken.await_ready()

    spare()
    yield take
    for unused in spares:
        unused.await_ready().close()


class Shared:
    """The server that tests share. One that has seen a test fail is not trusted any longer."""

    def __init__(self, take: Callable[[], Server]) -> None:
        self._take = take
        self._stack = ExitStack()
        self._server: Server | None = None
        self.is_sound = True

    def get(self) -> Server:
        if self._server is None:
            self.is_sound = True
            self._server = self._stack.enter_context(lives(self._take(), lambda: self.is_sound))
        return self._server

    def close(self) -> None:
        self._server = None
        self._stack.close()


@pytest.fixture(scope="session")
def _shared(_next_server: Callable[[], Server]) -> Iterator[Shared]:
    shared = Shared(_next_server)
    yield shared
    shared.close()


@pytest.fixture
def server(_shared: Shared, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that is idle, with its scheduler running, for tests that leave it alive."""
    server = _shared.get()
    yield server
    try:
        assert not request.node.stash.get(FAILED, False)
        server.reset()
        assert server.is_sound(), server.log()
    except BaseException:
        _shared.is_sound = False
        _shared.close()
        if not request.node.stash.get(FAILED, False):
            raise


@pytest.fixture
def launch(
    tmp_path: Path, request: pytest.FixtureRequest, _next_server: Callable[[], Server]
) -> Iterator[Callable[..., Server]]:
    """Servers of the test's own: `launch()`, or with settings, tables or arguments.

    What they leave is checked, except after a test that is known to fail.
    """
    is_known = request.node.get_closest_marker("xfail") is not None
    with ExitStack() as stack:

        def make(
            settings: str = "", tables: str = "", *arguments: str, start: bool = True
        ) -> Server:
            if start and not (settings or tables or arguments):
                return stack.enter_context(lives(_next_server(), lambda: not is_known))
            config = CONFIG
            for line in settings.splitlines():
                key = re.escape(line.partition(" = ")[0])
                config = re.sub(rf"^{key} = .*\n", "", config, count=1, flags=re.M)
            config = config.replace("[server]\n", f"[server]\n{settings}\n") + tables
            made = Server(tmp_path / f"server-{len(living)}", config)
            stack.enter_context(lives(made, lambda: not is_known))
            return made.start(*arguments) if start else made

        yield make


@pytest.fixture
def new_gate(tmp_path: Path) -> Callable[[], Gate]:
    """Makes one more gate."""
    count = 0

    def make() -> Gate:
        nonlocal count
        count += 1
        return Gate(tmp_path / f"gate-{count}")

    return make


@pytest.fixture
def gate(new_gate: Callable[[], Gate]) -> Gate:
    return new_gate()
