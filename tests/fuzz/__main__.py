"""python -m tests.fuzz [--requests N] [--seed S] generated requests to a real server

Schemathesis reads the server's OpenAPI document and generates requests from it: valid ones, invalid
ones, and chains in which one response provides the ids of the next. No response may be a 5xx of a
bug, and each must be as documented: its status, media type, headers and body. Then the invariants
must hold.

Some requests set limits of one slot, or reserve a slot for a day. A direct run waits for those, so
a thread releases the slots that block it.

Exit status 1: a response was not as documented. The seed and a `curl` for each are printed.
"""

import argparse
import os
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from math import ceil
from pathlib import Path

import httpx

from tests.server_process import HEADWAY, ROOT, ServerProcess, broken_invariants, serve_arguments

BIN = Path(sys.executable).parent
FUZZ_S_MAX = 1_200
LOOK_S = 1.0
EXAMPLES = 50
EXAMPLES_MIN = 5
"""Examples of each operation in a round, which makes some 1,800 requests with their chains."""

PHASES = ("coverage,fuzzing,stateful", "fuzzing,stateful")
"""Of the first round, and of all others: the coverage phase is the same with any seed."""

CONFIG = """
[scheduler]
concurrency = 64
max_queued = 5_000
[job_types.ok]
command = ["true"]
params.count = { type = "integer", minimum = 0, maximum = 9, default = 1, arg = "--count" }
params.text = { type = "string", maxLength = 40, positional = true }
[job_types.whisper]
command = ["cat"]
input = "json"
params.token = { type = "string", maxLength = 40, secret = true }
"""
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)
"""Excluded: that a deleted resource is gone (a Job stays on record), and that every valid request
is accepted (a Job that has started cannot be changed).
"""
ENDLESS = ("--exclude-path", "/events")


@contextmanager
def server(directory: Path) -> Iterator[str]:
    """A server of its own; yields its address, and stops it in order."""
    config, log = directory / "headway.toml", directory / "log"
    config.write_text(CONFIG)
    command: list[str | Path] = [HEADWAY, *serve_arguments(directory / "data", config)]
    process = ServerProcess.execute(command, log, directory=directory)
    try:
        yield process.await_ready().url
    finally:
        status = process.stop()
    if status != 0 or process.accidents():
        raise SystemExit(f"the server ended with {status}:\n{process.stderr()[-4000:]}")


def give_back(client: httpx.Client) -> None:
    """End every hold, if a direct run waits."""
    claims = client.get("/reservations").raise_for_status().json()["reservations"]
    if any(claim["kind"] == "direct" for claim in claims):
        for hold in (claim for claim in claims if claim["kind"] == "hold"):
            client.delete(f"/reservations/{hold['reservation_id']}").raise_for_status()


@contextmanager
def operator(url: str) -> Iterator[None]:
    """Release held slots, during the block, as soon as a direct run waits for one."""
    over = threading.Event()

    def work() -> None:
        with httpx.Client(base_url=f"{url}/scheduler") as client:
            while not over.wait(LOOK_S):
                give_back(client)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def fuzz(url: str, phases: str, examples: int, seed: int) -> tuple[int, str]:
    """Run Schemathesis: (exit status, output)."""
    command: list[str | Path] = [
        BIN / "schemathesis",
        "run",
        f"{url}/openapi.json",
        *ENDLESS,
        *("--checks", ",".join(CHECKS)),
        *("--phases", phases),
        *("--max-examples", str(examples)),
        *("--seed", str(seed)),
        # Two threads fail sometimes in Python 3.11: "AST constructor recursion depth mismatch".
        *("--workers", "1"),
        *("--request-timeout", "30"),
        *("--suppress-health-check", "all"),
        *("--warnings", "off"),
        "--no-shrink",
        "--continue-on-failure",
    ]
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=elsewhere,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"},
            timeout=FUZZ_S_MAX,
        )
    return done.returncode, done.stdout + done.stderr


def rounds(url: str, requests: int, seed: int) -> tuple[int, list[str]]:
    """(requests made, outputs of rounds that failed), with `seed` and those that follow it."""
    made, wrong = 0, []
    examples, sum_of_examples = EXAMPLES, 0
    for number in count():
        if made >= requests:
            break
        status, output = fuzz(url, PHASES[number > 0], examples, seed + number)
        found = re.search(r"([\d,]+) generated", output)
        made += int(found[1].replace(",", "")) if found else 0
        sum_of_examples += examples
        # The last round only adds what is missing.
        missing = ceil((requests - made) * sum_of_examples / max(made, 1))
        examples = min(max(missing, EXAMPLES_MIN), EXAMPLES)
        if status or found is None:
            wrong.append(output)
            break
    return made, wrong


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="at least so many")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headway-fuzz-") as directory:
        root = Path(directory)
        begin = time.monotonic()
        with server(root) as url, operator(url):
            made, wrong = rounds(url, given.requests, given.seed)
        broken = broken_invariants(root / "data")
    print(*wrong, *broken, sep="\n", end="")
    print(
        f"generated requests: {made:,}, seed {given.seed}, "
        f"{'NOT all as documented' if wrong else 'as documented'}, "
        f"{len(broken)} invariants broken; {time.monotonic() - begin:.0f} s"
    )
    return 1 if wrong or broken else 0


if __name__ == "__main__":
    sys.exit(main())
