"""What a bench says of its machine, and how it prepares the ground."""

import fcntl
import os
from array import array
from pathlib import Path

import pytest

from bench import machine


def flags_of(directory: Path) -> int:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        flags = array("L", [0])
        fcntl.ioctl(descriptor, machine.FS_IOC_GETFLAGS, flags)
        return flags[0]
    except OSError:
        pytest.skip("this file system keeps no flags of a directory")
    finally:
        os.close(descriptor)


def test_what_a_spread_directory_gets_is_put_elsewhere(tmp_path: Path) -> None:
    before = flags_of(tmp_path)
    machine.spread(tmp_path)
    if flags_of(tmp_path) == before and machine.describe(tmp_path)["filesystem"] != "ext2/ext3":
        pytest.skip("this file system does not know the flag")
    assert flags_of(tmp_path) == before | machine.FS_TOPDIR_FL


def test_a_file_system_without_flags_is_left_as_it_is() -> None:
    machine.spread(Path("/proc/self"))
