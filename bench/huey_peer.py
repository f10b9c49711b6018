"""Huey on SQLite with fsync: the inside of the processes that `peer.py` starts.

python -m bench.huey_peer enqueue FILE COUNT   seconds to enqueue COUNT tasks
python -m bench.huey_peer drain FILE COUNT     seconds in which 2 threads run COUNT × /bin/true
python -m bench.huey_peer work FILE            a worker, until a signal
python -m bench.huey_peer latency FILE COUNT   ns from a call to the program, idle worker
"""

import json
import sys
import threading
import time
from typing import Any

# Installed by the extra `bench` only.
from huey import SqliteHuey  # type: ignore[import-untyped,import-not-found,unused-ignore]

from bench.pause import pauses
from bench.peer import STAMP, recorded, running

TIMEOUT_S = 300.0
WORKERS = 2


class Queue:
    """One Huey with the task `run`: a program, whose exit status and output Huey keeps."""

    def __init__(self, file: str) -> None:
        self.huey = SqliteHuey("bench", filename=file, fsync=True)
        self.finished = 0
        self.last_at = 0.0
        self._lock = threading.Lock()
        self.run = self.huey.task(name="run")(self._run)

    def _run(self, argv: list[str]) -> list[Any]:
        done = recorded(argv)
        with self._lock:
            self.finished += 1
            self.last_at = time.perf_counter()
        return done


def enqueue(queue: Queue, count: int) -> float:
    """Seconds."""
    begin = time.perf_counter()
    for _ in range(count):
        queue.run(["/bin/true"])
    return time.perf_counter() - begin


def drain(queue: Queue, count: int) -> float:
    """Seconds. The queue is full before the workers start."""
    enqueue(queue, count)
    consumer = queue.huey.create_consumer(workers=WORKERS, periodic=False)
    begin = time.perf_counter()
    consumer.start()
    while queue.finished < count:
        if time.perf_counter() - begin > TIMEOUT_S:
            raise TimeoutError(f"{queue.finished} of {count}")
        time.sleep(0.01)
    consumer.stop()
    return queue.last_at - begin


def latency(queue: Queue, file: str, count: int) -> list[int]:
    """Nanoseconds from the call to the program's clock; the worker is another process."""
    with running([sys.executable, "-m", "bench.huey_peer", "work", file]):
        queue.run(STAMP).get(blocking=True, timeout=30)
        found = []
        for pause_s in pauses(count):
            time.sleep(pause_s)
            begin = time.time_ns()
            _, output = queue.run(STAMP).get(blocking=True, timeout=30)
            found.append(int(output) - begin)
    return found


def main() -> None:
    """The process."""
    mode, file, *rest = sys.argv[1:]
    queue = Queue(file)
    if mode == "work":
        queue.huey.create_consumer(workers=1, periodic=False).run()
        return
    count = int(rest[0])
    if mode == "latency":
        print(json.dumps(latency(queue, file, count)))
    else:
        print((enqueue if mode == "enqueue" else drain)(queue, count))


if __name__ == "__main__":
    main()
