"""Leftovers of programs, and for how long each blocks the event loop of `bench stall`."""

import time

from bench.server import Program
from bench.turns import Cell

TABLE = """\
[job_types.leaves]
command = ["{python}", "-Sc", "import os; {params.script}"]
params.script = { type = "string", pattern = "." }
required = ["script"]
"""
_IN_ARTIFACTS = 'os.chdir(os.environ["HEADWAY_ARTIFACTS"]); '
_REPORT = 'open(os.environ["HEADWAY_REPORT"], "w").write'
LEFT = {
    "100,000 artifacts": _IN_ARTIFACTS + '[open(f"f{i}", "w").close() for i in range(100_000)]',
    "20,000 artifacts": _IN_ARTIFACTS + '[open(f"f{i}", "w").close() for i in range(20_000)]',
    "9,000 artifacts with long names": (
        _IN_ARTIFACTS + '[open(f"{i:06}" + "x" * 240, "w").close() for i in range(9_000)]'
    ),
    "10,000 directories": _IN_ARTIFACTS + '[os.mkdir(f"d{i}") for i in range(10_000)]',
    "1,500 directories deep": (
        _IN_ARTIFACTS + '[(os.mkdir("d"), os.chdir("d")) for _ in range(1_500)]'
    ),
    "a sparse file of 1 TB": _IN_ARTIFACTS + 'os.truncate(open("x", "w").fileno(), 1 << 40)',
    "100,000 files in the working directory": (
        '[open(f"f{i}", "w").close() for i in range(100_000)]'
    ),
    "300,000 lines of progress": _REPORT + "('{\"progress\": 0.5}\\n' * 300_000)",
    "a result of 900 kB": _REPORT + "('{\"result\": [' + '1,' * 450_000 + '1]}\\n')",
    "200 MB of output": 'piece = b"x" * 1_000_000; [os.write(1, piece) for _ in range(200)]',
}
"""A program for each kind of leftover that was once the slowest."""
ENDED_TIMEOUT_S = 120.0


def measure(server: Program, cell: Cell, tries: int, goal_ms: float) -> list[tuple[str, float]]:
    """The longest turn (ms) until each is collected: the shortest of at most `tries`."""
    found = []
    for name, script in LEFT.items():
        turn_ms = float("inf")
        for _ in range(tries):
            turn_ms = min(turn_ms, _longest_turn_s(server, cell, script) * 1e3)
            if turn_ms <= goal_ms:
                break
        found.append((name, turn_ms))
    return found


def _longest_turn_s(server: Program, cell: Cell, script: str) -> float:
    with server.connect() as connection:
        cell.write(0.0)
        job = {"type": "leaves", "params": {"script": script}}
        path = f"/jobs/{connection.json('POST', '/jobs', job, status=201)['job_id']}/runs"
        deadline = time.monotonic() + ENDED_TIMEOUT_S
        while not _is_collected(connection.json("GET", path)["runs"]):
            if time.monotonic() > deadline:
                raise TimeoutError("what a program left was not collected")
            time.sleep(0.02)
        return cell.read()


def _is_collected(runs: list[dict[str, object]]) -> bool:
    for run in runs:
        collection = run["collection"]
        assert isinstance(collection, dict)
        if run["finished_at"] is None or not (collection["complete"] or collection["reason"]):
            return False
    return bool(runs)
