"""Send requests at a fixed pace, in a process of its own, and report the time of each response.

    python -m bench.probe URL METHOD PATH STATUS PER_S COUNT   < body

The pace does not depend on the server (open loop): a request that had to wait for a late one counts
from when it was due, so a stall counts for every request that it delayed.
"""

import json
import subprocess
import sys
import time

from bench.machine import ROOT
from bench.wire import Connection

TIMEOUT_S = 120.0
OVERRUN = 4
"""If a server cannot keep the pace, the probe ends after so many times the planned time."""


def probe(
    url: str, method: str, path: str, body: bytes = b"", *, status: int, per_s: float, count: int
) -> list[float]:
    """Seconds from when each request was due to its response, in this process."""
    took = []
    with Connection(url) as connection:
        connection.exchange(method, path, body, status=status)
        begin = time.perf_counter()
        last = begin + OVERRUN * count / per_s
        for number in range(count):
            due = begin + number / per_s
            if time.perf_counter() > last:
                break
            if (early := due - time.perf_counter()) > 0:
                time.sleep(early)
            connection.exchange(method, path, body, status=status)
            took.append(time.perf_counter() - due)
    return took


class Probe:
    """`probe` in a process of its own, in parallel to other work."""

    def __init__(
        self,
        url: str,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        status: int,
        per_s: float,
        count: int,
    ) -> None:
        command = [sys.executable, "-m", "bench.probe", url, method, path]
        command += [str(status), str(per_s), str(count)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(body)
        self._process.stdin.close()

    @property
    def is_asking(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def times(self) -> list[float]:
        """Seconds, one a request, once it has ended."""
        assert self._process.stdout is not None
        with self._process.stdout as output:
            said = output.read()
        if self._process.wait(TIMEOUT_S) != 0:
            raise RuntimeError("the probe failed; it said why on standard error")
        found: list[float] = json.loads(said)
        return found


def main() -> None:
    """Run the process."""
    url, method, path, status, per_s, count = sys.argv[1:]
    body = sys.stdin.buffer.read()
    took = probe(url, method, path, body, status=int(status), per_s=float(per_s), count=int(count))
    print(json.dumps(took))


if __name__ == "__main__":
    main()
