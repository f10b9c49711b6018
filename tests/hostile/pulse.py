"""Asks a server for `/health` without a pause, and writes down how long each answer took.

    python -m tests.hostile.pulse DIRECTORY

It is a process of its own, so that no work of the campaign delays it. `DIRECTORY/life` names the
server (`URL PID`) while one should answer. Each line of `DIRECTORY/pulse` is one request: its start
on the monotonic clock, how long the answer took, how much of that the machine had no processor for
the asker or the server, all in seconds, 0 where there was no answer, and of a slow one in which
state the event loop was seen, and in which function of the kernel it slept (proc_pid_wchan(5)).

The machine's share is the kernel's own account of it: the time that threads were ready to run and
did not (/proc/PID/task/TID/schedstat, the second number, in nanoseconds). What the event loop ran
is never the machine's share, however long the machine took for it.
"""

import os
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.wire import address_of, parse_head, request_bytes

EVERY_S = 0.02
TIMEOUT_S = 60.0
LOOK_S = 0.025
STARTING = "kernel_clone"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request."""

    at: float
    took_s: float
    machine_s: float
    answered: int = 1
    seen: str = ""

    @property
    def own_s(self) -> float:
        """What is not the machine's share."""
        return max(0.0, self.took_s - self.machine_s)


def read_samples(directory: Path) -> Iterator[Sample]:
    """All requests so far."""
    with suppress(FileNotFoundError):
        for line in (directory / "pulse").read_bytes().split(b"\n")[:-1]:
            at, took, machine, answered, seen = line.decode().split(" ")
            yield Sample(float(at), float(took), float(machine), int(answered), seen)


def announce(directory: Path, url: str, pid: int) -> None:
    """From now on this server must answer."""
    fresh = directory / "life.new"
    fresh.write_text(f"{url} {pid}\n")
    fresh.rename(directory / "life")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a thread has done so far: how long it ran, and how long it was ready to and did not."""

    ran_s: float = 0.0
    waited_s: float = 0.0


def spent(pid: int) -> dict[int, Spent]:
    """The same of each thread of a process."""
    found = {}
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError):
                ran, waited, _ = Path(f"/proc/{pid}/task/{task}/schedstat").read_bytes().split()
                found[int(task)] = Spent(int(ran) / 1e9, int(waited) / 1e9)
    return found


def machine_s(pid: int, before: dict[int, Spent], after: dict[int, Spent], took_s: float) -> float:
    """The machine's share of so much time in the life of an event loop, the thread `pid`.

    That is how long it waited for a processor, and while it slept, how long another thread did that
    may have held the interpreter's lock.
    """
    waited = {
        task: now.waited_s - before.get(task, Spent()).waited_s for task, now in after.items()
    }
    ran_s = after.get(pid, Spent()).ran_s - before.get(pid, Spent()).ran_s
    own_s = waited.pop(pid, 0.0)
    slept_s = max(0.0, took_s - ran_s - own_s)
    return own_s + min(slept_s, max(waited.values(), default=0.0))


def state_of(pid: int) -> str:
    """Of the thread that runs the event loop: `R`, or `S` or `D` and where it sleeps."""
    with suppress(OSError):
        task = Path(f"/proc/{pid}/task/{pid}")
        state = (task / "stat").read_text().rpartition(") ")[2][:1]
        return state if state == "R" else f"{state}:{(task / 'wchan').read_text()}"
    return "gone"


class Asker:
    """A keep-alive connection to one server."""

    def __init__(self, url: str) -> None:
        self._address = address_of(url)
        host = f"{self._address[0]}:{self._address[1]}"
        self._request = request_bytes("GET", "/health", host)
        self._socket: socket.socket | None = None
        self.seen: list[str] = []

    def ask(self, pid: int) -> bool:
        """Whether there was an answer, and it was 200. `seen` then has the causes of a delay."""
        self.seen.clear()
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, timeout=TIMEOUT_S)
            self._socket.sendall(self._request)
            data = b""
            while (head := parse_head(data)) is None or len(data) < head[1] + head[2]:
                while not select.select([self._socket], [], [], LOOK_S)[0]:
                    self.seen.append(state_of(pid))
                    if len(self.seen) * LOOK_S > TIMEOUT_S:
                        raise OSError("no answer")
                if not (piece := self._socket.recv(65_536)):
                    raise OSError("closed")
                data += piece
            if b"\r\nconnection: close" in data[: head[1]].lower():
                self.close()
            return head[0] == 200
        except OSError:
            self.close()
            return False

    def close(self) -> None:
        """Let go of the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def main() -> None:
    """Ask until the process is ended."""
    directory = Path(sys.argv[1])
    named, asker, pid = "", None, 0
    with (directory / "pulse").open("ab", buffering=0) as file:
        while True:
            time.sleep(EVERY_S)
            now = ""
            with suppress(FileNotFoundError):
                now = (directory / "life").read_text()
            if now != named:
                named, asker = now, None
                if now:
                    url, _, number = now.partition(" ")
                    asker, pid = Asker(url), int(number)
            if asker is not None:
                file.write(sample(asker, pid))


def sample(asker: Asker, pid: int) -> bytes:
    """One line."""
    own = os.getpid()
    before, own_before = spent(pid), spent(own)[own]
    begin = time.monotonic()
    answered = asker.ask(pid)
    took_s = time.monotonic() - begin
    machine = machine_s(pid, before, spent(pid), took_s)
    machine += spent(own)[own].waited_s - own_before.waited_s
    # The start of a program returns when its process has had a processor.
    machine += LOOK_S * sum(state.endswith(STARTING) for state in asker.seen)
    seen = ",".join(f"{state}*{n}" for state, n in Counter(asker.seen).items()).encode()
    return b"%.6f %.6f %.6f %d %s\n" % (begin, took_s, machine, answered, seen)


if __name__ == "__main__":
    main()
