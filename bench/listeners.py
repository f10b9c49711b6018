r"""Many readers of `GET /events` in one process, each of which checks that it misses nothing.

    python -m bench.listeners URL COUNT AFTER   < "SEQ\n"

It prints `listening` when every stream has its first event. Given the number of the last event on
standard input, it ends when every stream has read so far, or after `PATIENCE_S`, and prints how
many streams lost an event, saw one twice or out of order, or did not get to the end.

It runs at nice 19: a thousand readers in Python need as much of the machine as the server does, and
would starve the measured client, which remote readers would not.
"""

import json
import os
import re
import select
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

from bench.companion import Companion
from bench.wire import address_of, request_bytes

NICENESS = 19
PATIENCE_S = 20.0
RECEIVE_BYTES = 1 << 18
# Of an event; an id alone is only a position.
_ID = re.compile(rb"^event: [^\n]+\nid: (\d+)\n", re.MULTILINE)
_CHUNK = re.compile(rb"\r\n[0-9a-fA-F]+\r\n")


@dataclass(slots=True)
class Stream:
    """One reader. `seq`: the last number that it saw; `odd`: one that was not the next."""

    socket: socket.socket
    seq: int
    greeted: bool = False
    odd: bool = False
    rest: bytes = b""

    def hear(self) -> None:
        """Process what has arrived, without the sizes of HTTP's chunks."""
        piece = self.socket.recv(RECEIVE_BYTES)
        if not piece:
            raise ConnectionError("the server closed a stream")
        self.greeted = True
        data = _CHUNK.sub(b"", self.rest + piece)
        whole = data.rfind(b"\n\n") + 2
        if whole < 2:
            self.rest = data
            return
        self.rest = data[whole:]
        ids = _ID.findall(data, 0, whole)
        if ids:
            numbers = range(self.seq + 1, self.seq + 1 + len(ids))
            self.odd = self.odd or list(map(int, ids)) != list(numbers)
            self.seq = int(ids[-1])


def listen(url: str, count: int, after: int) -> dict[str, Any]:
    """Read until stopped, in this process."""
    address = address_of(url)
    path, accept = f"/events?after={after}", {"Accept": "text/event-stream"}
    request = request_bytes("GET", path, f"{address[0]}:{address[1]}", extra=accept)
    poll = select.epoll()
    streams: dict[int, Stream] = {}
    for _ in range(count):
        made = socket.create_connection(address, timeout=PATIENCE_S)
        made.sendall(request)
        streams[made.fileno()] = Stream(made, after)
        poll.register(made, select.EPOLLIN)
    poll.register(sys.stdin, select.EPOLLIN)
    silent, last, deadline = count, sys.maxsize, time.monotonic() + 600
    while time.monotonic() < deadline and min(s.seq for s in streams.values()) < last:
        for descriptor, _ in poll.poll(0.2):
            if descriptor == sys.stdin.fileno():
                last, deadline = int(sys.stdin.readline()), time.monotonic() + PATIENCE_S
                poll.unregister(sys.stdin)
                continue
            stream = streams[descriptor]
            silent -= not stream.greeted
            stream.hear()
            if silent == 0:
                silent = -1
                print("listening", flush=True)
    found = list(streams.values())
    return {
        "odd": sum(stream.odd for stream in found),
        "behind": sum(stream.seq < last for stream in found),
    }


class Listeners(Companion):
    """The readers in a process of its own; entered when every stream has its first event."""

    def __init__(self, url: str, count: int, after: int) -> None:
        super().__init__(["bench.listeners", url, str(count), str(after)], ready="listening")

    def finish(self, last_seq: int) -> dict[str, int]:
        """What every stream saw, once it had read `last_seq` or its time was over."""
        return self.ask(str(last_seq))


def main() -> None:
    """Run the process."""
    url, count, after = sys.argv[1:]
    os.nice(NICENESS)
    print(json.dumps(listen(url, int(count), int(after))))


if __name__ == "__main__":
    main()
