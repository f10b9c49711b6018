"""How much is free, and when that is too little."""

import errno
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actors.host.free_space import FREE_INODES_MIN, MIB, FreeSpace

MANY = 10_000_000


class Disk(NamedTuple):
    """What statvfs(3) gives."""

    f_frsize: int = 4096
    f_bavail: int = 1_000_000
    f_files: int = MANY
    f_favail: int = MANY


@pytest.mark.parametrize(
    ("disk", "lacks"),
    [
        (Disk(), None),
        (Disk(f_bavail=16 * MIB // 4096), None),
        (Disk(f_bavail=16 * MIB // 4096 - 1), "less than 16 MiB are free"),
        (Disk(f_bavail=0), "less than 16 MiB are free"),
        (Disk(f_favail=FREE_INODES_MIN), None),
        (Disk(f_favail=FREE_INODES_MIN - 1), "hardly any inodes are free"),
        (Disk(f_files=0, f_favail=0), None),  # a file system that counts none
        (Disk(f_files=100, f_favail=5), None),
        (Disk(f_files=100, f_favail=4), "hardly any inodes are free"),
    ],
)
def test_what_there_is_too_little_of(disk: Disk, lacks: str | None) -> None:
    said = FreeSpace(Path("/data"), lambda _: disk).shortage(16 * MIB)
    assert said is None if lacks is None else said is not None and lacks in said


def test_nothing_is_asked_for_and_nothing_looked_at() -> None:
    def statvfs(path: Path) -> Any:
        raise AssertionError(path)

    assert FreeSpace(Path("/data"), statvfs).shortage(0) is None


def test_a_directory_that_cannot_be_looked_at_is_said() -> None:
    def statvfs(path: Path) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    said = FreeSpace(Path("/data"), statvfs).shortage(1)
    assert said == "the data directory cannot be looked at: Input/output error"


def test_the_disk_of_this_test_has_some_bytes_free(tmp_path: Path) -> None:
    assert FreeSpace(tmp_path).shortage(1) is None
    assert FreeSpace(tmp_path).shortage(1 << 60) is not None
