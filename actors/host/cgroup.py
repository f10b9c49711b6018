"""Control groups (v2), where the host permits them: a boundary that no process can leave.

A process that started its own session, cleared its environment and lost its parents is still listed
in its cgroup, for any later server. Without a writable subtree `linux_process.py` works without
cgroups. See the kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The cgroup of one run."""

    path: Path

    def members(self) -> list[int]:
        """Ids of the processes in it, without those of another pid namespace (0)."""
        try:
            return [
                int(line)
                for line in (self.path / "cgroup.procs").read_text().split()
                if line != "0"
            ]
        except OSError:
            return []

    def enter(self, pid: int) -> None:
        """Move a process in; processes that it forks afterwards start inside."""
        with suppress(OSError):
            (self.path / "cgroup.procs").write_text(str(pid))

    def remove(self) -> None:
        """Remove it if it is empty."""
        with suppress(OSError):
            os.rmdir(self.path)


class CgroupRoot:
    """The directory that contains the cgroups of the runs."""

    def __init__(self, mount: Path, path: Path) -> None:
        self._mount = mount
        self._path = path

    def create(self, run_id: str) -> Cgroup | None:
        """Make a cgroup for a run; None if the host does not permit it."""
        path = self._path / run_id
        try:
            os.mkdir(path)
        except FileExistsError:
            pass
        except OSError:
            return None
        return Cgroup(path)

    def of_run(self, run_id: str) -> Cgroup:
        """The run's cgroup, if it has one."""
        return Cgroup(self._path / run_id)

    def of_process(self, pid: int, run_id: str) -> Cgroup | None:
        """The run's cgroup that contains this process; an earlier server may have used another."""
        try:
            own = _v2_path(Path(f"/proc/{pid}/cgroup").read_text())
        except OSError:
            return None
        if own is None or own.name != run_id:
            return None
        return Cgroup(self._mount / own.relative_to("/"))

    def remove(self) -> None:
        """Remove the directory if it contains no run."""
        with suppress(OSError):
            os.rmdir(self._path)


def find_cgroup_root(name: str) -> CgroupRoot | None:
    """Make the directory `name` in the server's own cgroup; None where that is not permitted."""
    try:
        own = _v2_path(Path("/proc/self/cgroup").read_text())
        mount = _v2_mount(Path("/proc/self/mounts").read_text())
    except OSError:
        return None
    if own is None or mount is None:
        return None
    path = mount / own.relative_to("/") / name
    try:
        path.mkdir(exist_ok=True)
        probe = path / "probe"
        probe.mkdir(exist_ok=True)
        usable = os.access(probe / "cgroup.procs", os.W_OK)
        probe.rmdir()
    except OSError:
        return None
    return CgroupRoot(mount, path) if usable else None


def _v2_path(proc_cgroup: str) -> Path | None:
    for line in proc_cgroup.splitlines():
        if line.startswith("0::/"):
            return Path(line[3:])
    return None


def _v2_mount(mounts: str) -> Path | None:
    for line in mounts.splitlines():
        _, where, kind, *_ = line.split(" ")
        if kind == "cgroup2":
            return Path(where)
    return None
