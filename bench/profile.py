"""`python -m bench profile NAME`: where the servers of a bench spend their time.

py-spy samples every headway that the bench starts, a hundred times a second, from outside: the
server runs as always, a little slower. The table shows the most frequent frames, with their thread:
`self` on top of the stack, `all` anywhere in it. A thread that waits for work is left out; one that
waits for the interpreter's lock is not.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.machine import ROOT
from bench.result import Report
from bench.server import Program

RATE_HZ = 100
SHOWN = 40
END_TIMEOUT_S = 30.0

WAITING = ("ThreadRunner._loop (", "EpollIOManager.get_events (")
"""Frames on top of the stack of a waiting thread that py-spy takes for a working one."""
TRUNK = ("threading.py", "runpy", "cyclopts", "(headway/__main__.py)")
"""Frames in which threads start, which carry no information."""

Recording = tuple["subprocess.Popen[bytes]", Path]


def profile(run: Callable[[Path, bool], Report], svg: Path | None = None) -> str:
    """Run a bench in its quick form under py-spy; a table, or which flame graphs were written.

    Raises:
        FileNotFoundError: py-spy is not installed (it comes with the extra `bench`).
    """
    with tempfile.TemporaryDirectory(prefix="profile-") as directory:
        bench = Path(directory) / "bench"
        bench.mkdir()
        with _recorded(Path(directory), "raw" if svg is None else "flamegraph") as recordings:
            run(bench, True)
        for recorder, _ in recordings:
            recorder.wait(END_TIMEOUT_S)
        files = [file for _, file in recordings if file.exists()]
        if svg is None:
            return table([line for file in files for line in file.read_text().splitlines()])
        written = [svg.with_stem(f"{svg.stem}-{n}") for n in range(1, len(files) + 1)]
        for file, target in zip(files, written, strict=True):
            shutil.copy(file, target)
        return "\n".join(map(str, written))


@contextmanager
def _recorded(directory: Path, style: str) -> Iterator[list[Recording]]:
    """Attach a recorder to every headway that starts within the block; it ends with it."""
    recordings: list[Recording] = []
    beside_python = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if (spy := shutil.which("py-spy", path=beside_python)) is None:
        raise FileNotFoundError("py-spy is not installed: pip install -e '.[bench]'")
    start = Program.start

    def start_recorded(program: Program) -> float:
        elapsed = start(program)
        if program.is_headway:
            file = directory / f"{len(recordings)}.{style}"
            command = [spy, "record", "--threads", "--rate", str(RATE_HZ), "--format", style]
            command += ["--output", str(file), "--pid", str(program.pid)]
            recorder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
            recordings.append((recorder, file))
        return elapsed

    Program.start = start_recorded  # type: ignore[method-assign,assignment]
    try:
        yield recordings
    finally:
        Program.start = start  # type: ignore[method-assign]


def table(stacks: Sequence[str]) -> str:
    """The most frequent frames, of stacks as py-spy writes them: `thread;outer;inner COUNT`."""
    on_top, anywhere = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    total = 0
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        thread, *frames = (re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";"))
        if not frames or frames[-1].startswith(WAITING):
            continue
        thread = thread.partition(": ")[2] or thread
        total += int(count)
        on_top[thread, frames[-1]] += int(count)
        for frame in {frame for frame in frames if not any(part in frame for part in TRUNK)}:
            anywhere[thread, frame] += int(count)
    lines = [f"{total} samples at {RATE_HZ} a second", "   self     all  thread      frame"]
    # Half by each order, so that neither hot leaves nor wide frames are missing.
    first = [place for place, _ in on_top.most_common(SHOWN // 2)]
    then = [place for place, _ in anywhere.most_common() if place not in first]
    for place in [*first, *then[: SHOWN - len(first)]]:
        share, whole = on_top[place] / total * 100, anywhere[place] / total * 100
        lines.append(f"{share:6.1f}% {whole:6.1f}%  {place[0]:10}  {place[1]}")
    return "\n".join(lines)
