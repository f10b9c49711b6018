"""The load generator, a process of its own: connections that send as soon as they have a response.

    python -m bench.load URL PATH CONNECTIONS COUNT STATUS   < body

One epoll loop in plain Python needs about 15 µs a request, a hundredth of what it drives. It sends
the same bytes to every server, accepts only STATUS, and stops after COUNT responses.
"""

import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

from bench.machine import ROOT
from bench.result import percentile
from bench.wire import Unexpected, address_of, parse_head, request_bytes

DEADLINE_S = 120.0
RECEIVE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one round of load. Times in seconds."""

    per_s: float
    p50_s: float
    p99_s: float


@dataclass(slots=True)
class _Peer:
    """One connection."""

    socket: socket.socket
    data: bytes = b""
    sent_at: float = 0.0


@dataclass(slots=True)
class _Round:
    """One run of the loop."""

    request: bytes
    count: int
    status: int
    begun: int = 0
    times: list[float] = field(default_factory=list)

    def ask(self, peer: _Peer) -> None:
        """Send the next request, if one is left to send."""
        if self.begun < self.count:
            self.begun += 1
            peer.sent_at = time.perf_counter()
            peer.socket.sendall(self.request)

    def hear(self, peer: _Peer) -> None:
        """Process what has arrived; a complete response frees the connection for the next."""
        piece = peer.socket.recv(RECEIVE_BYTES)
        if not piece:
            raise Unexpected("the server closed a connection")
        data = peer.data = peer.data + piece
        head = parse_head(data)
        if head is None or len(data) < head[1] + head[2]:
            return
        if head[0] != self.status:
            raise Unexpected(f"{head[0]}: {data[head[1] :][:500]!r}")
        peer.data = b""
        self.times.append(time.perf_counter() - peer.sent_at)
        self.ask(peer)


def drive(url: str, path: str, body: bytes, *, connections: int, count: int, status: int) -> Load:
    """Send `count` requests over `connections`, in this process."""
    address = address_of(url)
    request = request_bytes("POST", path, f"{address[0]}:{address[1]}", body)
    work = _Round(request, count, status)
    peers: dict[int, _Peer] = {}
    poll = select.epoll()
    for _ in range(connections):
        made = socket.create_connection(address, timeout=DEADLINE_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peers[made.fileno()] = _Peer(made)
        poll.register(made, select.EPOLLIN)
    begin = time.perf_counter()
    for peer in peers.values():
        work.ask(peer)
    while len(work.times) < count:
        if time.perf_counter() - begin > DEADLINE_S:
            raise TimeoutError(f"{len(work.times)} of {count} answers in {DEADLINE_S:g} s")
        for descriptor, _ in poll.poll(1.0):
            work.hear(peers[descriptor])
    elapsed = time.perf_counter() - begin
    for peer in peers.values():
        peer.socket.close()
    return Load(count / elapsed, percentile(work.times, 50), percentile(work.times, 99))


def drive_apart(
    url: str, path: str, body: bytes, *, connections: int, count: int, status: int
) -> Load:
    """`drive` in a process of its own, so that it shares no interpreter with anything."""
    command = [sys.executable, "-m", "bench.load", url, path]
    command += [str(number) for number in (connections, count, status)]
    done = subprocess.run(
        command, cwd=ROOT, input=body, stdout=subprocess.PIPE, check=True, timeout=DEADLINE_S + 30
    )
    return Load(*json.loads(done.stdout))


def main() -> None:
    """Run the process."""
    url, path, *numbers = sys.argv[1:]
    connections, count, status = map(int, numbers)
    body = sys.stdin.buffer.read()
    found = drive(url, path, body, connections=connections, count=count, status=status)
    print(json.dumps([found.per_s, found.p50_s, found.p99_s]))


if __name__ == "__main__":
    main()
