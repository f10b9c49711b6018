"""What a host may lack, set on a living server and taken back: the rows of the host matrix.

Each condition knows how to begin and to end, and which words of `GET /ready` name it. The ways are
the kernel's own where it has one: a file system without space or inodes, a limit of descriptors, a
directory that is removed. Where it has none for one process, `strace` lets the calls fail.
"""

import os
import re
import resource
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from tests.contract.server import Server

FORKS = "clone,clone3,vfork,fork"
CHANGES = "mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,symlink,link,linkat"


class Condition:
    """Something that the host lacks for a while."""

    keeps: str | None = None
    """What stays on the disk for it, as the run's collection says."""
    takes_files_away = False
    """Whether what a run has left is gone with it."""
    reason: str | None = None
    """What `/ready` says of it, as a regular expression. None: the server mends it at once."""

    def __init__(self, server: Server, small_disk: Any, strace: Any) -> None:
        self.server = server
        self.small_disk = small_disk
        self.strace = strace

    environ: ClassVar[dict[str, str]] = {}
    """Settings of the server."""

    def prepare(self) -> None:
        """Before the first start of the server."""

    def begin(self) -> None:
        """From now on the host lacks it."""

    def begin_before_start(self) -> None:
        """The same while there is no server."""
        self.begin()

    def end(self) -> None:
        """It is there again."""

    def prefix(self) -> list[str]:
        """Words before the command of a server that starts while the host lacks it."""
        return []


class Space(Condition):
    """The disk of the data directory is full."""

    reason = "space|disk is full|are free"
    environ: ClassVar[dict[str, str]] = {"HEADWAY_SCHEDULER__FREE_SPACE_BYTES": "65536"}

    def prepare(self) -> None:
        self.disk = self.small_disk(self.server.data_dir, "size=24m")

    def begin(self) -> None:
        self.disk.fill()

    def end(self) -> None:
        with suppress(FileNotFoundError):
            self.disk.free()


class Inodes(Condition):
    """No file can be made on it."""

    reason = "space|inode"

    def prepare(self) -> None:
        self.disk = self.small_disk(self.server.data_dir, "size=24m", "nr_inodes=150")

    def begin(self) -> None:
        for number in range(200):
            try:
                (self.disk.path / f"filler-{number}").touch()
            except OSError:
                return
        raise AssertionError("the inodes do not run out")

    def end(self) -> None:
        for path in self.disk.path.glob("filler-*"):
            path.unlink()


class Descriptors(Condition):
    """The process may open no file."""

    reason = "too many open files|descriptor"

    def begin(self) -> None:
        # A limit below what is open leaves that open, and nothing that is closed can be had again.
        self._set(3)

    def begin_before_start(self) -> None:
        """The prefix does it."""

    def end(self) -> None:
        if self.server.process is not None and not self.server.process.ended:
            _, hard = resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE)
            self._set(hard)

    def _set(self, soft: int) -> None:
        _, hard = resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.server.pid, resource.RLIMIT_NOFILE, (soft, hard))

    def prefix(self) -> list[str]:
        return ["prlimit", "--nofile=12:12"]


class Injected(Condition):
    """System calls fail that the host has no other way to let fail."""

    calls = ""
    error = ""

    def begin(self) -> None:
        expressions = f"trace={self.calls}", f"inject={self.calls}:error={self.error}"
        self.strace(self.server, *expressions)

    def begin_before_start(self) -> None:
        """The prefix does it."""

    def end(self) -> None:
        if self.server.process is not None and (tracer := tracer_of(self.server.pid)):
            os.kill(tracer, signal.SIGKILL)  # asked to end it waits for each of its children
            self.server.eventually(lambda: not tracer_of(self.server.pid), "strace lets go")

    def prefix(self) -> list[str]:
        inject = f"inject={self.calls}:error={self.error}"
        # -D: the server, and not its tracer, is the process that was started.
        return ["strace", "-D", "-f", "-qq", "-o", os.devnull, "-e", inject]


class Processes(Injected):
    """No further process."""

    reason = "process|resource temporarily unavailable"
    calls, error = FORKS, "EAGAIN"


class Memory(Injected):
    """No memory for a further process."""

    reason = "memory"
    calls, error = FORKS, "ENOMEM"


class ReadOnly(Injected):
    """The file system has become read-only under what is open on it."""

    reason = "read-only"
    keeps = "its working directory cannot be removed: Read-only file system"
    calls, error = CHANGES, "EROFS"


class NoRunsDirectory(Condition):
    """The directory of the runs is gone: removed, or its file system is no longer mounted."""

    takes_files_away = True

    def begin(self) -> None:
        shutil.rmtree(self.runs)

    def end(self) -> None:
        self.runs.mkdir(mode=0o700, exist_ok=True)

    @property
    def runs(self) -> Path:
        runs: Path = self.server.data_dir / "runs"
        return runs


CONDITIONS = (Space, Inodes, Descriptors, Processes, Memory, ReadOnly, NoRunsDirectory)

WITNESS = """
[job_types.witness]
command = ["/bin/sh", "-c", '''
echo "$HEADWAY_RUN_ID" >> "{tally}"
echo kept > "$HEADWAY_ARTIFACTS/kept"
echo begun
[ -z "$2" ] || cat "$2"
''', "witness"]
kill_grace_s = 0.3
params.gate = {{ type = "string", default = "", positional = true }}
"""


def tracer_of(pid: int) -> int:
    """The process that traces this one, or 0."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(re.findall(r"^TracerPid:\t(\d+)$", status, re.M)[0])
    return 0


def not_ready(server: Server, reason: str) -> bool:
    """Whether `/ready` says that, and nothing else is wrong."""
    answer = server.client.get("/ready")
    if answer.status_code == 200:
        return False
    assert answer.status_code == 503, answer.text
    detail = answer.json()["detail"]
    assert re.search(reason, detail, re.I), detail
    return True
