"""Control groups, as a tree of files: real ones where the host has them, else made by hand."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.host.cgroup import Cgroup, CgroupRoot, _v2_mount, _v2_path, find_cgroup_root


@pytest.fixture
def root() -> Iterator[CgroupRoot]:
    root = find_cgroup_root(f"headway-test-cgroup-{os.getpid()}")
    if root is None:
        pytest.skip("this host has no writable cgroup v2 tree")
    yield root
    root.remove()


def test_a_new_cgroup_is_empty(root: CgroupRoot) -> None:
    cgroup = root.create("run-1")
    assert cgroup is not None
    assert cgroup.members() == []
    assert root.create("run-1") == cgroup
    cgroup.remove()
    assert not cgroup.path.exists()


def test_a_process_that_has_entered_is_a_member_until_it_ends(root: CgroupRoot) -> None:
    cgroup = root.create("run-1")
    assert cgroup is not None
    process = subprocess.Popen(["sleep", "60"])
    try:
        cgroup.enter(process.pid)
        assert cgroup.members() == [process.pid]
        assert root.of_process(process.pid, "run-1") == cgroup
        assert root.of_process(process.pid, "run-2") is None
        cgroup.remove()  # not while somebody is in it
        assert cgroup.path.exists()
    finally:
        process.kill()
        process.wait()
    assert cgroup.members() == []
    cgroup.remove()
    assert not cgroup.path.exists()


def test_what_is_forked_inside_is_born_inside(root: CgroupRoot) -> None:
    cgroup = root.create("run-1")
    assert cgroup is not None
    shell = subprocess.Popen(
        ["sh", "-c", "read go; env -i setsid sleep 60 & echo $!; wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    cgroup.enter(shell.pid)
    shell.stdin.write("go\n")
    shell.stdin.close()
    child = int(shell.stdout.readline())
    assert set(cgroup.members()) == {shell.pid, child}
    for pid in (child, shell.pid):
        os.kill(pid, 9)
    shell.wait()
    shell.stdout.close()
    for _ in range(1000):
        if not cgroup.members():
            break
        time.sleep(0.001)
    cgroup.remove()


def test_the_root_goes_with_the_last_run(root: CgroupRoot) -> None:
    cgroup = root.create("run-1")
    assert cgroup is not None
    root.remove()
    assert cgroup.path.exists()
    cgroup.remove()
    root.remove()
    assert not cgroup.path.parent.exists()


def test_what_is_not_there_is_empty_and_does_no_harm(tmp_path: Path) -> None:
    gone = Cgroup(tmp_path / "gone")
    gone.enter(2**30)
    gone.remove()
    assert gone.members() == []
    assert CgroupRoot(tmp_path, tmp_path / "none" / "there").create("run-1") is None
    assert CgroupRoot(tmp_path, tmp_path).of_process(2**30, "run-1") is None


def test_members_of_another_namespace_are_no_ids(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("7\n0\n8\n")
    assert Cgroup(tmp_path).members() == [7, 8]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/user.slice/x.scope\n", Path("/user.slice/x.scope")),
        ("9:name=systemd:/\n8:pids:/a\n0::/\n", Path("/")),
        ("8:pids:/a\n", None),
        ("", None),
    ],
)
def test_the_own_cgroup(text: str, path: Path | None) -> None:
    assert _v2_path(text) == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n", "/sys/fs/cgroup"),
        ("cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n", None),
    ],
)
def test_the_mount(text: str, path: str | None) -> None:
    assert _v2_mount(text) == (None if path is None else Path(path))
