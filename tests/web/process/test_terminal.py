"""The controlling terminal: whether there is one, is needed, and is lost."""

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from web.process import terminal
from web.process.terminal import Terminal

LOSE = """
import fcntl, os, signal, sys, termios
from web.process.terminal import Terminal
if "ignoring" in sys.argv:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
made = Terminal()
states = [made.exists, made.is_needed, made.is_lost]
fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), termios.TIOCNOTTY)
print(*states, made.is_lost)
"""


@pytest.fixture
def hangups() -> Iterator[None]:
    """SIGHUP as it was, after the test."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [([], "True True False True"), (["ignoring"], "True False False True")],
)
def test_a_terminal_that_is_detached_is_lost(arguments: list[str], printed: str) -> None:
    controller, end = pty.openpty()
    try:
        done = subprocess.run(
            ["setsid", "--ctty", sys.executable, "-c", LOSE, *arguments],
            stdin=end,
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(end)
        os.close(controller)
    assert (done.returncode, done.stdout.strip()) == (0, printed)


def test_without_a_terminal_none_is_lost(hangups: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_is_there", lambda: False)
    made = Terminal()
    assert (made.exists, made.is_needed, made.is_lost) == (False, False, False)


def test_sighup_no_longer_ends_the_process(hangups: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    Terminal()
    signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
