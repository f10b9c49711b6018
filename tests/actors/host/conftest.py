"""A real host, and a workshop on it; nothing that a test starts outlives it."""

import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.host import process_tree
from actors.host.cgroup import find_cgroup_root
from actors.host.children import PR_SET_CHILD_SUBREAPER
from actors.host.linux_host import LinuxHost
from tests.actors.host.workshop import (
    RUN_1,
    RUN_2,
    Workshop,
)


@pytest.fixture(params=["tree", "cgroup"])
def host(request: pytest.FixtureRequest) -> Iterator[LinuxHost]:
    root = (
        find_cgroup_root(f"headway-test-process-{os.getpid()}")
        if request.param == "cgroup"
        else None
    )
    if request.param == "cgroup" and root is None:
        pytest.skip("this host has no writable cgroup v2 tree")
    yield LinuxHost(root)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    if root is not None:
        root.remove()


@pytest.fixture
def shop(host: LinuxHost, tmp_path: Path) -> Iterator[Workshop]:
    shop = Workshop(host, tmp_path)
    yield shop
    for process in shop.processes:
        for seen in process_tree.with_descendants([process.pid]):
            process_tree.send(seen, signal.SIGKILL)
        process.close()
    for seen in list(process_tree.carriers(frozenset({RUN_1, RUN_2}))):
        process_tree.send(seen, signal.SIGKILL)
    for each in shop.hosts:
        each.close()
    host.children.leaders.clear()
    deadline = time.monotonic() + 1
    while host.children.strays() and time.monotonic() < deadline:
        time.sleep(0.001)
