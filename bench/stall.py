"""stall: for how long one request or run blocks the event loop, and the memory that it needs.

Bodies of every size and shape, one after another, and the largest responses, in a server with a
clock in its event loop (see `turns.py`); for each, the longest time in which the loop could serve
no other, and the growth of the process. A second client requests /health a hundred times a second.
Then programs that leave as much as they can (see `left.py`).

A long turn is long every time, and the delays of a busy machine are not: so each request is sent
again when its turn exceeded the goal, and its shortest turn counts. Of memory its largest counts,
from before the request to its peak.
"""

import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench import left
from bench.body import BodyRequest, batch, generate, make
from bench.probe import Probe
from bench.result import Figure, Goal, Report, at_most, percentile
from bench.server import Program, headway, memory_bytes, reset_peak
from bench.turns import Cell
from bench.wire import Unexpected, address_of, parse_head, request_bytes

SUMMARY = "how long bodies of all sizes and shapes and hostile runs hold up the event loop"
GOAL_MS = 10
MEMORY_GOAL = 16
MIB = 1024 * 1024
BODY_BYTES_MIN = 2 * MIB
"""Smaller ones count as so much: 10,000 Jobs of 15 bytes are as many objects as longer ones."""
SIZES_BYTES = (1_000, 30_000, 200_000, MIB, 2 * MIB - 1_000, 4 * MIB, 16 * MIB - 1_000)
TRIES = 5
SEED = 14
HEALTH_PER_S = 100
HEALTH_GOAL_MS = 50
NOTED = 3
LONG_JOBS = 40
ENDED_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 120.0
RECEIVE_BYTES = 1 << 18
CONFIG = """\
[job_types.free]
command = ["/bin/true"]
input = "json"
params.any = {}
[job_types.strict]
command = ["/bin/true"]
input = "json"
params.words = { type = "array", items = { type = "string", pattern = "^w" }, uniqueItems = true }
[job_types.words]
command = ["/bin/true"]
params.words = { type = "array", items = { type = "string" }, arg = "--word" }
[job_types.result]
command = ["{python}", "-c", '''
import os
with open(os.environ["HEADWAY_REPORT"], "w") as report:
    report.write('{"result": [' + ",".join(['{"a":1}'] * 110_000) + "]}\\n")
''']
[job_types.artifacts]
command = ["{python}", "-c", '''
import os
for number in range(9_900):
    open(os.path.join(os.environ["HEADWAY_ARTIFACTS"], f"an artifact {number}"), "w").close()
''']
"""
"""The types of the requests: params of any kind, of one kind, as arguments; the last two leave a
result of 1 MB and 9,900 artifacts.
"""


HEALTH = BodyRequest(name="health", method="GET", path="/health", status=200)
SMALL = BodyRequest(
    name="a small Job",
    method="POST",
    path="/jobs",
    body=b'{"type":"true","params":{"n":1}}',
    status=201,
)


@dataclass(slots=True)
class Found:
    """The effect of one request: its longest turn, and the growth of the process at its peak."""

    request: BodyRequest
    turn_ms: float
    grown_bytes: int

    @property
    def memory_ratio(self) -> float:
        """Memory that it took, as a multiple of its body, which counts as 2 MiB at least."""
        return self.grown_bytes / max(len(self.request.body), BODY_BYTES_MIN)


def run(directory: Path, quick: bool) -> Report:
    """Rounds of generated requests, each with another seed, beside small ones; then /health."""
    rounds, count, probes = (2, 25, 150) if quick else (5, 120, 1_000)
    path = directory / "turn"
    server = headway(
        directory / "headway", more=CONFIG + left.TABLE, entry=("bench.turns", str(path))
    )
    cell = Cell(path)
    with server:
        runs = left.measure(server, cell, TRIES, GOAL_MS)
        reads = prepare(server)
        alone = _health(server, probes, [])
        stall = Stall(server, cell)
        found, small = list[list[Found]](), list[list[Found]]()
        for number in range(rounds):
            random = Random(SEED + number)
            requests = [generate(random, SIZES_BYTES) for _ in range(count)] + chosen() + reads
            small.append([stall.measure(SMALL) for _ in range(count)])
            found.append([stall.measure(one) for one in requests])
        beside = _health(server, probes, [one.request for one in found[0]])
    return _report(found, small, runs, beside, alone)


def chosen() -> list[BodyRequest]:
    """The requests that were slowest once: they are measured in every round."""
    return [
        make("ones", "params that must be words", MIB),
        make("ones", "params that must be words", 16 * MIB - 1_000),
        make("ones", "a Job of a batch", 16 * MIB - 1_000),
        make("keys with wrong values", "labels", 2 * MIB - 1_000),
        make("a long text with an emoji", "params of any kind", MIB - 1_000),
        make("line breaks", "params of any kind", 2 * MIB - 1_000),
        batch(10_000, 201, type="true", labels={"a": "b"}),
        batch(10_000, 422, type="true", priority=-1, name=5, x={}, y=[]),
        batch(10_000, 422, type="strict", params={"words": [1, 2, 3]}),
    ]


def prepare(server: Program) -> list[BodyRequest]:
    """Make the largest Jobs, and the requests that read them. Nothing starts afterwards."""
    wanted = [
        {"type": "free", "params": {"any": "\U0001f600" + "\n" * 500_000}},
        {"type": "free", "params": {"any": [{"a": 1}] * 9_000}},
        {"type": "words", "params": {"words": [f"w{number:06}" for number in range(19_000)]}},
        {"type": "result"},
        {"type": "artifacts"},
    ]
    with server.connect() as connection:
        names = [connection.json("POST", "/jobs", job, status=201)["job_id"] for job in wanted]
        deadline = time.monotonic() + ENDED_TIMEOUT_S
        while any(connection.json("GET", f"/jobs/{name}")["finished_at"] is None for name in names):
            if time.monotonic() > deadline:
                raise TimeoutError("the Jobs to read did not end")
            time.sleep(0.05)
        connection.json("POST", "/scheduler/stop", {})
        long = {"type": "free", "params": {"any": "x" * 900_000}}
        for _ in range(LONG_JOBS):
            connection.json("POST", "/jobs", long, status=201)
    paths = [f"/jobs/{name}{rest}" for name in names for rest in ("", "/runs", "/artifacts")]
    paths += ["/jobs?limit=500", f"/jobs/{names[-1]}/log/times", "/openapi.json", "/metrics"]
    paths.append("/jobs?" + "&".join(f"label=a={number}" for number in range(50)))
    paths.append("/events?" + "&".join(["kind=run."] * 3_000))
    return [BodyRequest(name=f"GET {path[:60]}", method="GET", path=path) for path in paths]


class Stall:
    """The server under the fuzz."""

    def __init__(self, server: Program, cell: Cell) -> None:
        self._server = server
        self._cell = cell

    def measure(self, request: BodyRequest) -> Found:
        """Send it until its turn is within the goal, at most `TRIES` times."""
        turn_ms, grown_bytes = float("inf"), 0
        for _ in range(TRIES):
            self._cell.write(0.0)
            reset_peak(self._server.pid)
            before = memory_bytes(self._server.pid, "VmRSS")
            ask(self._server, request)
            ask(
                self._server, HEALTH
            )  # the turn that sent the response has ended before the next one
            turn_ms = min(turn_ms, self._cell.read() * 1e3)
            peak = memory_bytes(self._server.pid, "VmHWM")
            grown_bytes = max(grown_bytes, peak - before)
            if turn_ms <= GOAL_MS:
                break
        return Found(request, turn_ms, grown_bytes)


def ask(server: Program, request: BodyRequest) -> None:
    """Send it and read the answer, which may come before all is sent.

    Raises:
        Unexpected: the answer is one of a bug, or has another status than it must.
    """
    host, port = address_of(server.url)
    sent = request_bytes(
        request.method, request.path, f"{host}:{port}", request.body, dict(request.headers)
    )
    answer = b""
    with socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(sent)
        with suppress(ConnectionResetError):
            while (head := parse_head(answer)) is None or len(answer) < head[1] + head[2]:
                if not (piece := connection.recv(RECEIVE_BYTES)):
                    break
                answer += piece
    status = int(answer[9:12] or b"0")
    if status == 500 or (request.status not in (None, status)):
        raise Unexpected(f"{request.name}: {answer[:2000]!r}")


def _health(server: Program, probes: int, requests: list[BodyRequest]) -> tuple[float, ...]:
    """p99 (ms) of /health, while these requests are sent over and over."""
    probe = Probe(server.url, "GET", "/health", status=200, per_s=HEALTH_PER_S, count=probes)
    while requests and probe.is_asking:
        for request in requests:
            if probe.is_asking:
                ask(server, request)
    return (percentile(probe.times(), 99) * 1e3,)


def _report(
    found: list[list[Found]],
    small: list[list[Found]],
    runs: list[tuple[str, float]],
    beside: tuple[float, ...],
    alone: tuple[float, ...],
) -> Report:
    def longest(name: str, rounds: list[list[Found]], goal: Goal | None = None) -> Figure:
        values = (max(one.turn_ms for one in each) for each in rounds)
        return Figure(f"loop held up, {name}", "ms", tuple(values), goal)

    all_found = [one for each in found for one in each]
    memory = Figure(
        "memory / body", "ratio", (max(f.memory_ratio for f in all_found),), at_most(MEMORY_GOAL)
    )
    turns = longest("any body", found, at_most(GOAL_MS))
    ordinary = longest("a small Job", small)
    slowest = sorted(all_found, key=lambda one: -one.turn_ms)[:NOTED]
    worst = sorted(runs, key=lambda one: -one[1])
    largest = sorted(all_found, key=lambda one: -one.memory_ratio)[:NOTED]
    return Report(
        (
            turns,
            memory,
            Figure(
                f"loop held up / {GOAL_MS} ms",
                "ratio",
                tuple(turn_ms / GOAL_MS for turn_ms in turns.values),
                at_most(1),
            ),
            ordinary,
            Figure(
                "loop held up, what programs leave",
                "ms",
                tuple(turn_ms for _, turn_ms in runs),
                at_most(GOAL_MS),
            ),
            Figure("GET /health beside them: p99", "ms", beside, at_most(HEALTH_GOAL_MS)),
            Figure("GET /health alone: p99", "ms", alone),
        ),
        (
            *(f"{one.turn_ms:.1f} ms: {one.request.name}" for one in slowest),
            *(f"{turn_ms:.1f} ms: {name}" for name, turn_ms in worst[:NOTED]),
            *(f"{one.memory_ratio:.1f} × its size: {one.request.name}" for one in largest),
        ),
    )
