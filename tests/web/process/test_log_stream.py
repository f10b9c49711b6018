"""Lines for a standard error that takes none: nothing waits, nothing fails, all is counted."""

import fcntl
import os
import re
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from web.process.log_stream import LogStream

DEADLINE_S = 20
PIPE_BYTES = 4096
LINE = "x" * 99 + "\n"


class LogPipe:
    """As small as they come."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._open = [self.reader, self.writer]
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def close(self, *fds: int) -> None:
        for fd in fds or tuple(self._open):
            self._open.remove(fd)
            os.close(fd)


@pytest.fixture
def pipe() -> Iterator[LogPipe]:
    pipe = LogPipe()
    yield pipe
    pipe.close()


def read_until(fd: int, is_enough: Callable[[bytes], bool]) -> bytes:
    """What comes out, up to where it is enough."""
    poll, data = select.poll(), b""
    poll.register(fd, select.POLLIN)
    while not is_enough(data):
        assert poll.poll(DEADLINE_S * 1000), data
        data += os.read(fd, 65_536)
    return data


def until(is_true: Callable[[], bool]) -> None:
    """Return when it is true."""
    wait = threading.Event()
    for _ in range(DEADLINE_S * 200):
        if is_true():
            return
        wait.wait(0.005)
    raise AssertionError("it does not become true")


def test_lines_arrive_whole_and_in_order(pipe: LogPipe) -> None:
    stream = LogStream(pipe.writer)
    print("one", 1, file=stream)
    stream.write("two\nthr")
    stream.write("ee\n")
    stream.write("an end without its newline \udcff")
    stream.finish()
    assert os.read(pipe.reader, 1000) == b"one 1\ntwo\nthree\nan end without its newline \\udcff\n"
    assert stream.dropped == 0


def test_an_unread_pipe_delays_nothing_and_gets_a_count_of_lost_lines(pipe: LogPipe) -> None:
    stream = LogStream(pipe.writer, backlog_bytes_max=10_000)
    for _ in range(1000):
        stream.write(LINE)
    lost = stream.dropped
    assert 1000 - lost < 300, "more was kept than the backlog and the pipe hold"

    def reported(data: bytes) -> int:
        return sum(map(int, re.findall(rb"^headway: (\d+) log lines were lost\n", data, re.M)))

    data = read_until(pipe.reader, lambda data: data.count(LINE.encode()) + reported(data) == 1000)
    assert reported(data) == lost
    stream.write("again\n")
    assert read_until(pipe.reader, lambda data: data.endswith(b"\n")) == b"again\n"
    stream.finish()
    assert stream.dropped == lost


def test_the_end_does_not_wait_for_a_reader(pipe: LogPipe) -> None:
    stream = LogStream(pipe.writer)
    stream.write(LINE * 100)
    stream.finish(0.01)
    assert threading.active_count() > 1, "the thread waits still"
    pipe.close(pipe.reader)
    until(lambda: stream.dropped > 0)


def test_a_pipe_that_another_process_made_non_blocking_is_waited_for(
    pipe: LogPipe,
) -> None:
    os.set_blocking(pipe.writer, False)
    stream = LogStream(pipe.writer)
    stream.write(LINE * 1000)
    assert (
        read_until(pipe.reader, lambda data: len(data) == 1000 * len(LINE)) == LINE.encode() * 1000
    )
    stream.finish()
    assert stream.dropped == 0


def test_a_closed_pipe_takes_nothing(pipe: LogPipe) -> None:
    pipe.close(pipe.reader)
    stream = LogStream(pipe.writer)
    stream.write(LINE * 7)
    stream.finish()
    assert stream.dropped == 7


def test_a_line_that_never_ends_is_broken(pipe: LogPipe) -> None:
    stream = LogStream(pipe.writer)
    for _ in range(100):
        stream.write("y" * 1000)
    data = read_until(pipe.reader, lambda data: b"\n" in data)
    assert set(data) == set(b"y\n")
    pipe.close(pipe.reader)
    stream.finish()


def test_when_there_is_space_again_the_first_line_counts_what_was_lost(tmp_path: Path) -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    stream = LogStream(fd)
    stream.write(LINE * 3)
    until(lambda: stream.dropped == 3)
    stream.write(LINE)
    until(lambda: stream.dropped == 4)
    with (tmp_path / "log").open("wb") as file:
        os.dup2(file.fileno(), fd)
    stream.write("after\n")
    stream.finish()
    os.close(fd)
    assert (tmp_path / "log").read_text() == "headway: 4 log lines were lost\nafter\n"
    assert stream.dropped == 4


TORN = """
import os, resource, sys
from web.process.log_stream import LogStream

stream = LogStream(2)
resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
stream.write("a line of 20 letters\\nanother line\\n")
while stream.dropped == 0:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
stream.write("after\\n")
stream.finish()
"""


def test_a_line_that_was_torn_is_ended_before_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        subprocess.run([sys.executable, "-c", TORN], stderr=stderr, check=True, timeout=DEADLINE_S)
    assert log.read_text().splitlines() == [
        "a line of 20 letters",
        "anot",
        "headway: 1 log lines were lost",
        "after",
    ]


ESCAPES = {
    "a thread": "import threading\nt = threading.Thread(target=boom)\nt.start()\nt.join()",
    "a warning": "import warnings\nwarnings.warn('boom')",
    "a finaliser": "class A:\n    def __del__(self):\n        boom()\nA()",
    "a task": "import trio\nasync def main():\n    boom()\ntrio.run(main)",
    "a group": "raise BaseExceptionGroup('', [KeyboardInterrupt(), ValueError('boom')])",
}


@pytest.mark.parametrize("where", ESCAPES)
@pytest.mark.parametrize("target", ["pipe", "full"])
def test_everything_on_stderr_takes_the_same_way(where: str, target: str) -> None:
    lines = "".join(f"    {line}\n" for line in ESCAPES[where].splitlines())
    program = (
        "from web.process.log_stream import logging_to_stderr\n"
        "def boom():\n    raise ValueError('boom')\n"
        f"with logging_to_stderr() as stream:\n{lines}"
    )
    command = [sys.executable, "-c", program]
    options: dict[str, Any] = {"text": True, "timeout": DEADLINE_S}
    if target == "pipe":
        done = subprocess.run(command, stderr=subprocess.PIPE, **options)
        assert "boom" in done.stderr
    else:
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(command, stderr=full, **options)
    assert done.returncode == (1 if where in ("a task", "a group") else 0)
