"""What a process needs to start, and whether its program exists. `linux_host.py` starts it."""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class SpawnFailed(Exception):
    """The command cannot be started; the message is the reason."""


class HostUnfit(Exception):
    """The host cannot start anything now; the message is the reason. Nothing was started."""


OF_THE_COMMAND = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
    *(errno.ENOEXEC, errno.ELIBBAD, errno.E2BIG, errno.ENAMETOOLONG, errno.EINVAL, errno.ETXTBSY),
)
"""Errors of execve(2) that concern the program; with all others the host lacks something."""


def spawn_fault(name: str, error: OSError, *, shim: bool) -> SpawnFailed | HostUnfit:
    """Classify an error of posix_spawn(3): of the command, or of the host.

    With a `shim` the shell could not be started; only the length of the arguments is the command's.
    """
    if error.errno == errno.E2BIG:
        return SpawnFailed(f"cannot start {name}: {error.strerror}: its arguments are too long")
    if shim:
        return HostUnfit(f"no process can be started: {error.strerror}")
    if error.errno in OF_THE_COMMAND:
        return SpawnFailed(f"cannot start {name}: {error.strerror}")
    return HostUnfit(f"no process can be started: {error.strerror}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that a process needs. Paths are absolute; `stdin` None means empty.

    Without `shim` the program itself is started, and there is no exit file. With it, the line about
    the end carries `seal`. `output` "file" makes the log file itself the standard output.
    """

    run_id: str
    argv: list[str]
    environment: Mapping[str, str]
    work_dir: Path
    log: Path
    exit_file: Path
    stdin: bytes | None = None
    shim: bool = True
    seal: str = ""
    output: Literal["pipe", "file"] = "pipe"


def executable(launch: Launch) -> str:
    """The path of the program; raises before the spawn what the shell could only write to the
    log.
    """
    name = launch.argv[0]
    if not os.path.isdir(launch.work_dir):
        raise SpawnFailed(f"cannot start {name} in {launch.work_dir}: there is no such directory")
    if not os.access(launch.work_dir, os.X_OK):
        raise SpawnFailed(f"cannot start {name} in {launch.work_dir}: it may not be entered")
    if "/" in name:
        path = os.path.join(launch.work_dir, name)
        if not os.path.exists(path):
            raise SpawnFailed(f"cannot start {name}: there is no such file")
        if os.path.isdir(path) or not os.access(path, os.X_OK):
            raise SpawnFailed(f"cannot start {name}: it is not executable")
        return name
    for directory in launch.environment.get("PATH", "").split(os.pathsep):
        path = os.path.join(directory or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise SpawnFailed(f"cannot start {name}: it is not on the PATH of the type")
