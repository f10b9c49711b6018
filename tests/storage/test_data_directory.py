"""A data directory belongs to one user, is closed to others, and lies on a disk of this host."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from storage import data_directory
from storage.data_directory import exposed, file_system, make_private, not_local
from storage.errors import ExposedDirectory

ME = os.geteuid()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    path = tmp_path / "the data"
    make_private(path)
    return path


@pytest.fixture
def owned_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Let a path seem to be another user's: to give it away takes root."""

    def owned_by(name: str, uid: int) -> None:
        original = Path.stat

        def stat(self: Path, **options: Any) -> os.stat_result:
            seen = original(self, **options)
            if self.name != name:
                return seen
            return os.stat_result((*seen[:4], uid, *seen[5:10]))

        monkeypatch.setattr(Path, "stat", stat)

    return owned_by


def test_a_new_one_is_private(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    make_private(path)
    assert path.stat().st_mode & 0o7777 == 0o700
    assert exposed(path) is None


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701, 0o770, 0o720])
def test_one_that_others_may_enter_is_refused_with_the_command(data_dir: Path, mode: int) -> None:
    data_dir.chmod(mode)
    with pytest.raises(ExposedDirectory) as caught:
        make_private(data_dir)
    assert str(caught.value).startswith(f"{data_dir} cannot be used: other users may look into it")
    assert str(caught.value).endswith(f"Run: chmod 700 '{data_dir}'")
    assert f"(mode {mode:04o})" in str(caught.value)
    data_dir.chmod(0o700)
    make_private(data_dir)


def test_one_of_another_user_is_refused_with_the_command(data_dir: Path, owned_by: Any) -> None:
    owned_by("the data", ME + 1)
    why = exposed(data_dir)
    assert why is not None
    assert why.endswith(f"Run: chown -R {ME} '{data_dir}'")
    data_dir.chmod(0o755)
    why = exposed(data_dir)
    assert why is not None
    assert why.endswith(f"Run: chown -R {ME} '{data_dir}' && chmod 700 '{data_dir}'")


def test_files_of_another_user_are_refused_too(data_dir: Path, owned_by: Any) -> None:
    (data_dir / "headway.db-wal").touch()
    owned_by("headway.db-wal", ME + 1)
    with pytest.raises(ExposedDirectory, match=r"files in it belong to .*chown -R"):
        make_private(data_dir)


def test_what_an_older_headway_left_readable_is_made_private(data_dir: Path) -> None:
    for name in ("headway.db", "headway.db-wal", "headway.db-shm", "headway.lock", "other"):
        (data_dir / name).touch(mode=0o644)
    (data_dir / "runs").mkdir(mode=0o755)
    make_private(data_dir)
    modes = {path.name: path.stat().st_mode & 0o777 for path in data_dir.iterdir()}
    assert modes.pop("runs") == 0o700
    assert modes.pop("other") == 0o644 & ~umask()  # not ours
    assert set(modes.values()) == {0o600}


def umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


# ---- the file system -----------------------------------------------------------------------------

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /proc rw - proc proc rw
30 22 0:30 / /srv rw master:2 - nfs4 server:/export rw,vers=4.2
31 30 0:31 / /srv/fast rw - tmpfs tmpfs rw
32 22 0:32 / /mnt/with\040a\040blank rw - cifs //server/share rw
33 22 0:33 / /shared rw - 9p host rw,trans=virtio
34 33 0:34 / /shared rw - virtiofs host rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("/", "ext4", None),
        ("/var/data", "ext4", None),
        ("/srv", "nfs4", "NFS"),
        ("/srv/a/b", "nfs4", "NFS"),
        ("/srv/fast/a", "tmpfs", None),
        ("/srv/faster", "nfs4", "NFS"),
        ("/srvdata", "ext4", None),
        ("/mnt/with a blank/data", "cifs", "SMB"),
        ("/shared/data", "virtiofs", "virtiofs"),
    ],
)
def test_a_file_system_that_is_not_of_this_machine_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, kind: str, name: str | None
) -> None:
    monkeypatch.setattr(data_directory, "MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text(MOUNTS.strip())
    monkeypatch.setattr(os.path, "realpath", lambda given: str(given))
    assert file_system(Path(path)) == kind
    warning = not_local(Path(path))
    assert (warning is None) if name is None else (warning is not None and f"on {name}:" in warning)


def test_a_link_is_followed_to_where_the_data_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    assert file_system(tmp_path / "link" / "self") == "proc"
    assert file_system(tmp_path) != "proc"


def test_without_proc_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_directory, "MOUNTS", tmp_path / "none")
    assert not_local(tmp_path) is None
