"""What a process needs to start, and whether its program is there. `linux_host.py` starts it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class SpawnFailed(Exception):
    """The program could not be started; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that a process needs. Paths are absolute; `stdin` None means empty.

    Without `shim` the program itself is started, and there is no exit file; with it, `seal` is what
    the line about the end will carry. `output`: "file" makes the log itself the standard output.
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
    """Where the program is; says before the spawn what the shell could only say in the log."""
    name = launch.argv[0]
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
