"""Many hostile connections, in a process of its own, for as long as it lives.

    python -m bench.attacker URL JOB_ID COUNT OPENED_PER_S

A third sends the head of a request at one byte a second, a third begins a body and stops, a third
requests something large (a log, a log as events, every event, pages) and never reads. The server
closes them at its deadlines; each closed connection is opened again.

A held connection is one whose server end is open and accepted, according to the kernel. A client
cannot see that, because the end of a connection waits behind unread data. The process prints `held`
when `COUNT` are held, then for each line on standard input the fewest that were held since the
previous line, and how many were opened again. It runs at nice 19, so that it does not starve the
measured clients.
"""

import itertools
import json
import os
import select
import socket
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.companion import Companion
from bench.wire import address_of

SPARE = 1.1
"""More than `COUNT`, so that enough are held while closed ones are opened again."""
TICK_S = 0.05
LOOK_S = 0.5
DRIP_S = 1.0
TAKEN_TIMEOUT_S = 20.0
"""A connection that is not accepted by then is opened again; a shorter time would be a flood."""
RECEIVE_BYTES = 4096
"""The kernel doubles it. It is small, so that a large response stalls in the server."""
HELD_TIMEOUT_S = 90.0
ESTABLISHED = "01"
NICENESS = 19


def openings(host: str, job_id: str) -> list[tuple[str, bytes]]:
    """What each kind sends at once. Two kinds of three have variants, which alternate."""
    name = f"Host: {host}\r\n"
    post = f"POST /jobs HTTP/1.1\r\n{name}Content-Type: application/json\r\n"
    events = f"{name}Accept: text/event-stream\r\n\r\n"
    bodies = (
        f'{post}Content-Length: 1000\r\n\r\n{{"type":',
        f'{post}Transfer-Encoding: chunked\r\n\r\n8\r\n{{"type":\r\n',
    )
    large = (
        f"GET /jobs/{job_id}/log HTTP/1.1\r\n{name}\r\n",
        f"GET /jobs/{job_id}/log HTTP/1.1\r\n{events}",
        f"GET /events?after=0 HTTP/1.1\r\n{events}",
        f"GET /jobs?limit=200 HTTP/1.1\r\n{name}\r\n" * 20,
    )
    found = []
    for body, answer in zip(itertools.cycle(bodies), large, strict=False):
        found += [("slow head", f"{post}X: ".encode()), ("stalled body", body.encode())]
        found.append(("stalled reader", answer.encode()))
    return found


@dataclass(slots=True)
class Hostile:
    """One connection."""

    kind: str
    opening: bytes
    socket: socket.socket
    opened_at: float
    drips_at: float = 0.0
    was_held: bool = False

    @property
    def port(self) -> int:
        """The port of its own end."""
        port: int = self.socket.getsockname()[1]
        return port


class Attack:
    """All hostile connections. Closed ones are opened again at the pace of the first ones."""

    def __init__(self, url: str, job_id: str, count: int, opened_per_s: float) -> None:
        self._address = address_of(url)
        kinds = itertools.cycle(openings(f"{self._address[0]}:{self._address[1]}", job_id))
        self._coming = deque(itertools.islice(kinds, int(count * SPARE)))
        self._opened_per_s = opened_per_s
        self._allowed = 0.0
        self._open: list[Hostile] = []
        self._looked_at = 0.0
        self.held = 0
        self.fewest = 0
        self.cut: Counter[str] = Counter()

    def tick(self) -> None:
        """Do what is due now."""
        now = time.monotonic()
        self._allowed = min(self._allowed + self._opened_per_s * TICK_S, self._opened_per_s)
        while self._coming and self._allowed >= 1:
            self._allowed -= 1
            self._open.append(self._begin(*self._coming.popleft()))
        for hostile in self._open:
            if hostile.kind == "slow head" and now >= hostile.drips_at:
                hostile.drips_at = now + DRIP_S
                _send(hostile.socket, b"x")
        if now >= self._looked_at + LOOK_S:
            self._looked_at = now
            self._look(now)

    def _begin(self, kind: str, opening: bytes) -> Hostile:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        made.settimeout(HELD_TIMEOUT_S)
        made.connect(self._address)
        made.setblocking(False)
        _send(made, opening)
        now = time.monotonic()
        return Hostile(kind, opening, made, now, now + DRIP_S)

    def _look(self, now: float) -> None:
        """Count those that are held; those that were closed will be opened again."""
        ports = held_ports(Path("/proc/net/tcp").read_text(), self._address[1])
        there = list[Hostile]()
        for hostile in self._open:
            is_held = hostile.port in ports
            never_taken = now > hostile.opened_at + TAKEN_TIMEOUT_S
            if not is_held and (hostile.was_held or never_taken):
                self.cut[hostile.kind] += 1
                hostile.socket.close()
                self._coming.append((hostile.kind, hostile.opening))
            else:
                hostile.was_held = is_held
                there.append(hostile)
        self._open = there
        self.held = sum(hostile.was_held for hostile in there)
        self.fewest = min(self.fewest, self.held)

    def report(self) -> dict[str, Any]:
        """Since the last report: the fewest that were held, and how many were opened again."""
        found = {"fewest": self.fewest, "cut": dict(self.cut)}
        self.fewest = self.held
        self.cut.clear()
        return found


def held_ports(table: str, port: int) -> set[int]:
    """The clients' ports of the connections to `port` that are accepted: proc_net_tcp(5)."""
    local = f":{port:04X}"
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        # Before it is accepted a connection has no inode.
        if fields[1].endswith(local) and fields[3] == ESTABLISHED and fields[9] != "0":
            found.add(int(fields[2].rpartition(":")[2], 16))
    return found


def _send(to: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # it was closed, which the next look finds
        to.send(data)


class Attacker(Companion):
    """The attack in a process of its own; entered when `count` connections are held."""

    def __init__(self, url: str, job_id: str, count: int, opened_per_s: float) -> None:
        given = [url, job_id, str(count), str(opened_per_s)]
        super().__init__(["bench.attacker", *given], ready="held")

    def report(self) -> dict[str, Any]:
        """See `Attack.report`."""
        return self.ask()


def main() -> None:
    """Run the process."""
    url, job_id, count, opened_per_s = sys.argv[1:]
    os.nice(NICENESS)
    attack = Attack(url, job_id, int(count), float(opened_per_s))
    deadline = time.monotonic() + HELD_TIMEOUT_S
    while attack.held < int(count):
        if time.monotonic() > deadline:
            sys.exit(f"{attack.held} of {count} are held after {HELD_TIMEOUT_S:g} s")
        attack.tick()
        time.sleep(TICK_S)
    attack.report()
    print("held", flush=True)
    while True:
        attack.tick()
        if select.select([sys.stdin], [], [], TICK_S)[0]:
            if not sys.stdin.readline():
                return
            print(json.dumps(attack.report()), flush=True)


if __name__ == "__main__":
    main()
