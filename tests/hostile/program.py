"""The programs that the servers run: hostile ones, and the well-behaved ones beside them.

`python -m tests.hostile.program SEED NAME` does what its seed says, in a run directory. `NAME` is
that of its note, since a seed may be played more than once.
"""

import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.hostile import link, output, process, report, shape
from tests.hostile.scene import Scene, boot_s

HEAVY = 0.02
"""How likely one of the costly deeds is done at its most expensive size."""
SKIP_CODE = 77
SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT)
TIMEOUT_S = 15.0
LIMIT_BYTES = 8 << 20
GRACE_S = 5.0

Do = Callable[[Scene], None]

FIRST: dict[Do, float] = {
    shape.depth: 4,
    shape.count: 4,
    shape.bushy: 2,
    shape.names: 4,
    shape.modes: 4,
    shape.locked_places: 2,
    shape.sparse: 4,
    shape.bulk: 2,
    shape.preallocated: 1,
    shape.extended: 1,
    shape.leased: 2,
    link.symlinks: 5,
    link.hard_links: 4,
    link.special: 5,
    report.odd_lines: 5,
    report.many_lines: 2,
    report.endless_line: 2,
    report.sparse_report: 2,
    report.restless: 2,
    report.storm: 2,
    report.changing: 3,
    report.meddling: 4,
    output.plain: 3,
    output.reopened: 4,
    output.shell_reopened: 3,
    output.cut: 2,
    output.long_line: 2,
    output.binary: 2,
    output.drop_by_drop: 1,
    output.without_blocking: 2,
    output.from_children: 2,
    output.read_back: 1,
    process.forks: 2,
    process.signalled_group: 1,
    process.pause: 8,
}
"""Deeds in any order, each with its weight."""

LAST: dict[Do, float] = {
    shape.locked: 3,
    link.replaced: 12,
    link.swapped: 4,
    link.vast_log_link: 3,
    report.sparse_standard: 3,
    output.closed: 3,
    output.log_at_its_end: 2,
    output.flood: 2,
    process.left: 5,
    process.changing_on: 3,
    process.end_record: 6,
    process.own_directory: 6,
    process.places_gone: 3,
    process.all_runs: 0.4,
    process.leader_killed: 1,
    process.slow: 0.5,
}
"""After one of these it writes no more: it could write through a link of its own making."""

COSTLY = frozenset(
    (shape.count, shape.bushy, shape.bulk, report.many_lines, report.endless_line, output.flood)
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed stands for."""

    deeds: tuple[Do, ...]
    type: str
    heavy: bool
    cancel_after_s: float | None
    linger_s: float = 0.0
    """How long it goes on after its deeds: so its files are looked at while it runs."""
    code: int = 0
    signal: int = 0

    def __str__(self) -> str:
        end = f"signal {self.signal}" if self.signal else f"exit {self.code}"
        does = ", ".join(do.__name__ for do in self.deeds)
        return f"{self.type}{' heavy' if self.heavy else ''}: {does}; {end}"


def plan(seed: str) -> Plan:
    """From a seed. A deed's name in place of a number (`…/depth`) is that deed alone."""
    rng = random.Random(seed)
    named = {do.__name__: do for do in (*FIRST, *LAST)}
    if alone := named.get(seed.rpartition("/")[2]):
        return Plan((alone,), "hostile", False, None, rng.choice((0, 0.3)))
    deeds = rng.choices([*FIRST], [*FIRST.values()], k=rng.choice((1, 1, 2, 2, 3)))
    if rng.random() < 0.5:
        deeds += rng.choices([*LAST], [*LAST.values()])
    kind = rng.choices([*TYPES], (70, 10, 10, 10))[0]
    heavy = bool(COSTLY.intersection(deeds)) and rng.random() < HEAVY * 4
    cancel_after_s = rng.uniform(0, 1) if rng.random() < 0.06 else None
    code = rng.choices((0, SKIP_CODE, rng.randint(1, 76)), (70, 5, 15))[0]
    number = rng.choice(SIGNALS) if rng.random() < 0.08 else 0
    linger_s = rng.choice((0, rng.uniform(0, 0.6)))
    return Plan(tuple(deeds), kind, heavy, cancel_after_s, linger_s, code, int(number))


def main() -> None:
    """The hostile program."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    seed, name = sys.argv[-2:]
    planned = plan(seed)
    root = Path(os.environ["HEADWAY_ARTIFACTS"]).parent
    victims, notes = Path(os.environ["HOSTILE_VICTIMS"]), Path(os.environ["HOSTILE_NOTES"])
    rng = random.Random(f"{seed} deeds")
    scene = Scene(name, rng, root, victims, notes, planned.heavy)
    scene.tell(root=str(root))
    for do in planned.deeds:
        scene.tell(deed=do.__name__)
        # What an earlier deed did may make a later one impossible.
        with suppress(OSError, RecursionError):
            do(scene)
        os.chdir("/")
    time.sleep(planned.linger_s)
    end(scene, planned)


def end(scene: Scene, planned: Plan) -> None:
    """As planned."""
    if planned.signal:
        scene.tell(signal=planned.signal, at=boot_s())
        if planned.signal != signal.SIGKILL:
            signal.signal(planned.signal, signal.SIG_DFL)
        os.kill(os.getpid(), planned.signal)
    scene.tell(code=planned.code, at=boot_s())
    os._exit(planned.code)


CALM = """\
import hashlib, json, os, sys, time
def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)
began = now()
seed, seconds = sys.argv[2], float(sys.argv[3])
def piece(name, n):
    return hashlib.shake_128(f"{seed} {name}".encode()).digest(n)
def number(name, n):
    return int.from_bytes(piece(name, 4), "big") % n
for i in range(number("lines", 40)):
    os.write(1 + i % 2, b"%d %s\\n" % (i, piece(f"line {i}", 20).hex().encode()))
os.write(1, piece("bytes", number("length", 100_000)))
with open(os.environ["HEADWAY_REPORT"], "a") as report:
    print(json.dumps({"progress": 0.5, "message": seed}), file=report)
time.sleep(seconds)
os.chdir(os.environ["HEADWAY_ARTIFACTS"])
for i in range(number("files", 4)):
    os.makedirs(f"d{i}/deeper")
    with open(f"d{i}/deeper/a{i}", "wb") as file:
        file.write(piece(f"file {i}", number(f"size {i}", 200_000)))
os.write(2, b"end without a newline")
with open(os.environ["HEADWAY_REPORT"], "a") as report:
    print(json.dumps({"result": {"own_s": now() - began}}), file=report)
"""

CONFIG = """\
[server]
shutdown_grace_s = {grace_s}
log_format = "json"

[scheduler]
concurrency = 4

[job_types.calm]
command = ["{python}", "-ISc", '''{calm}''']
required = ["seed", "seconds"]
params.seed = {{ type = "string", positional = true }}
params.seconds = {{ type = "number", positional = true }}

[job_types.long]
command = ["sleep", "100"]
kill_grace_s = 0.5
"""

HOSTILE = """
[job_types.{name}]
command = ["{python}", "-S", "-m", "tests.hostile.program"]
required = ["seed", "name"]
timeout_s = {timeout_s}
kill_grace_s = 0.5
output_limit_bytes = {limit_bytes}
env.PYTHONPATH = "{root}"
env.PYTHONDONTWRITEBYTECODE = "1"
env.HOSTILE_VICTIMS = "{directory}/victims"
env.HOSTILE_NOTES = "{directory}/notes"
params.seed = {{ type = "string", positional = true }}
params.name = {{ type = "string", positional = true }}
{more}
"""


TYPES = {
    "hostile": "",
    "hostile_bare": "adopt = false",
    "hostile_file": 'output = "file"',
    "hostile_strict": """\
on_output_limit = "fail"
on_artifact_limit = "fail"
artifact_limit_files = 300
artifact_limit_bytes = 3_000_000
report_limit_bytes = 100_000
""",
}
"""Types of the hostile program, with what is different of each."""


def write_config(directory: Path, root: Path) -> None:
    """Put headway.toml, and the log of all lives, into a new directory."""
    directory.mkdir(parents=True)
    python = os.path.realpath(sys.executable)
    text = CONFIG.format(grace_s=GRACE_S, python=python, calm=CALM)
    for name, more in TYPES.items():
        text += HOSTILE.format(
            name=name,
            more=more,
            python=python,
            timeout_s=TIMEOUT_S,
            limit_bytes=LIMIT_BYTES,
            root=root,
            directory=directory,
        )
    (directory / "headway.toml").write_text(text)
    (directory / "stderr").touch()
    (directory / "notes").mkdir()


if __name__ == "__main__":
    main()
