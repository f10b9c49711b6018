"""Where and when a result was measured."""

import fcntl
import os
import platform
import subprocess
from array import array
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
# <linux/fs.h>, see ioctl_iflags(2).
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL = 0x80086601, 0x40086602, 0x00020000


def describe(directory: Path) -> dict[str, Any]:
    """The machine, with the file system of `directory`, where the benches write."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "filesystem": _filesystem(directory),
        # Over 0.5 a core at the start: something else was running.
        "load": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit that was measured; `-dirty`: a tracked file that is no result differed from it."""
    found = _git("describe", "--always", "--abbrev=10")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench/results")
    return (found or "unknown") + ("-dirty" if changed else "")


def _git(*arguments: str) -> str:
    found = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip()


def now() -> str:
    """RFC 3339, UTC, in seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _filesystem(directory: Path) -> str:
    command = ["stat", "--file-system", "--format=%T", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def spread(directory: Path) -> None:
    """Let ext4 put each directory that is made in this one somewhere else on the disk.

    Where files were deleted in the last minutes, ext4 looks at each of their inodes before it takes
    another: making a file takes 0.3 to 0.8 ms after 3,000 deletions, 0.017 ms otherwise, and what a
    bench measures would be how much was tidied up before it. Other file systems need no such help.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = array("L", [0])
        with suppress(OSError):
            fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, flags)
            flags[0] |= FS_TOPDIR_FL
            fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, flags)
    finally:
        os.close(descriptor)
