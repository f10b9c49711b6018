"""Fork servers from a process that has imported headway already.

Three quarters of a server's start are imports. A process that has done them forks one server after
another, so a campaign of kills costs a fifth. The fork runs the same `headway` command.

    python -m tests.crash.launcher     < one end of a socket pair

Orders and replies are lines of JSON: `{"start": {...}}` → `{"pid": n}`, `{"reap": pid}` → its exit
status as of `waitstatus_to_exitcode`. When the socket closes, living servers are killed.
"""

import json
import os
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

import serve  # noqa: F401
import web.api.quart_app  # noqa: F401 - this and the next are imported once, before the forks
from headway.__main__ import main as headway
from tests.crash.migration import know_it
from tests.crash.server import is_traced

LOOK_S = 0.001


def main() -> None:
    """Process orders until the other end closes."""
    channel = socket.socket(fileno=0)
    alive: set[int] = set()
    with channel.makefile("r") as orders:
        for line in orders:
            order = json.loads(line)
            if start := order.get("start"):
                pid = fork(start, channel)
                alive.add(pid)
                answer = {"pid": pid}
            else:
                _, status = os.waitpid(order["reap"], 0)
                alive.discard(order["reap"])
                answer = {"status": os.waitstatus_to_exitcode(status)}
            channel.sendall(json.dumps(answer).encode() + b"\n")
    for pid in alive:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def fork(start: dict[str, Any], channel: socket.socket) -> int:
    """Fork a headway; returns its process id."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            channel.close()
            become_headway(start)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # noqa: BLE001 - as the interpreter would have ended
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def become_headway(start: dict[str, Any]) -> None:
    """Set up descriptors and directory as `subprocess` would, then run the console script."""
    output = os.open(start["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(output)
    os.close(nothing)
    os.chdir(start["directory"])
    if sql := start.get("migration"):
        know_it(sql)
    while start.get("traced") and not is_traced("self"):
        time.sleep(LOOK_S)
    sys.argv = ["headway", *start["arguments"]]
    headway()


if __name__ == "__main__":
    main()
