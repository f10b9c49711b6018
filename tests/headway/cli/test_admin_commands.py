"""`headway verify`, `check`, `backup`, `init`: what they print, and with what they leave."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from headway.cli.admin_commands import backup, check, init, verify
from storage import data_directory
from storage.database import DATABASE_NAME, open_writer


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a new database, and no configuration in reach."""
    monkeypatch.chdir(tmp_path)
    with closing(open_writer(tmp_path / DATABASE_NAME)):
        pass
    return tmp_path


def execute(data_dir: Path, sql: str) -> None:
    with closing(apsw.Connection(str(data_dir / DATABASE_NAME))) as connection:
        connection.execute(sql)


def rejected(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """(exit status, standard error) when it prints no table."""
    with pytest.raises(SystemExit) as left:
        verify(data_dir=data_dir)
    captured = capsys.readouterr()
    assert captured.out == ""
    return left.value.code, captured.err


def test_all_that_holds_is_a_table(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(data_dir=data_dir) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["INVARIANT", "STATE", "WHERE"]
    assert len(lines) > 15
    assert {line.split()[1] for line in lines[1:]} == {"holds"}


def test_a_breach_is_shown_and_is_the_exit_status(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(
        data_dir,
        "INSERT INTO events VALUES (5, 1, 'scheduler.stopped', NULL, NULL, '{}', 'system')",
    )
    assert verify(data_dir=data_dir) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "BROKEN" in line] == ["EventsAtomic"]
    assert "event 5 comes after 0" in "\n".join(lines)


def test_a_file_that_is_no_database_is_rejected_unchanged(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, content = data_dir / DATABASE_NAME, b"no database at all " * 500
    path.write_bytes(content)
    code, errors = rejected(data_dir, capsys)
    assert code == 1
    assert "is broken: file is not a database" in errors
    assert path.read_bytes() == content


def test_a_broken_schema_is_rejected_unchanged(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_dir / DATABASE_NAME
    content = path.read_bytes()
    content = content[:100] + b"\xff" * 8000 + content[8100:]
    path.write_bytes(content)
    code, errors = rejected(data_dir, capsys)
    assert code == 1
    assert "is broken: database disk image is malformed" in errors
    assert path.read_bytes() == content


@pytest.mark.parametrize(("version", "what"), [(0, "start the server"), (99, "the newer headway")])
def test_another_schema_is_rejected_with_advice(
    data_dir: Path, capsys: pytest.CaptureFixture[str], version: int, what: str
) -> None:
    execute(data_dir, f"PRAGMA user_version = {version}")
    code, errors = rejected(data_dir, capsys)
    assert code == 1
    assert what in errors


def test_no_database_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, errors = rejected(tmp_path, capsys)
    assert code == 2
    assert "there is no database" in errors


# ---- backup --------------------------------------------------------------------------------------


def test_a_backup_is_private(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup(data_dir / "copy.db", data_dir=data_dir)
    assert capsys.readouterr().out.startswith(f"wrote {data_dir / 'copy.db'} (")
    assert (data_dir / "copy.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("target", "status", "errors"),
    [
        ("no/copy.db", 1, "there is no directory no"),
        ("headway.db/copy.db", 1, "Not a directory"),
        ("headway.db", 2, "is there already"),
        (".", 2, "is there already"),
    ],
)
def test_a_backup_that_fails_is_a_line(
    data_dir: Path, capsys: pytest.CaptureFixture[str], target: str, status: int, errors: str
) -> None:
    there = sorted(data_dir.iterdir())
    with pytest.raises(SystemExit) as left:
        backup(Path(target), data_dir=data_dir)
    captured = capsys.readouterr()
    assert (left.value.code, captured.out) == (status, "")
    assert errors in captured.err
    assert captured.err.count("\n") == 1
    assert sorted(data_dir.iterdir()) == there


@pytest.mark.parametrize(
    "command", [lambda d: backup(d / "copy", data_dir=d), lambda d: verify(data_dir=d)]
)
def test_a_directory_of_another_user_is_a_line(
    data_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[[Path], object],
) -> None:
    original = Path.exists

    def exists(self: Path) -> bool:
        if self.name == DATABASE_NAME:
            raise PermissionError(13, "Permission denied")
        return original(self)

    monkeypatch.setattr(Path, "exists", exists)
    with pytest.raises(SystemExit) as left:
        command(data_dir)
    assert left.value.code == 1
    errors = f"headway: cannot read {data_dir / DATABASE_NAME}: Permission denied\n"
    assert capsys.readouterr().err == errors


# ---- init and check ------------------------------------------------------------------------------


def test_a_configuration_appears_whole(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init()
    check()
    with pytest.raises(SystemExit):
        init()
    assert "is there already and was not changed" in capsys.readouterr().err


def test_check_says_what_is_wrong_with_the_data_directory(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_SERVER__DATA_DIR", str(data_dir))
    data_dir.chmod(0o755)
    check()
    errors = capsys.readouterr().err
    assert f"warning: server.data_dir: {data_dir} cannot be used: " in errors
    assert f"Run: chmod 700 {data_dir}\n" in errors
    monkeypatch.setattr(data_directory, "file_system", lambda _: "nfs4")
    data_dir.chmod(0o700)
    check()
    errors = capsys.readouterr().err
    assert f"warning: server.data_dir: {data_dir} is on NFS: " in errors
    assert "cannot be used" not in errors


def test_a_configuration_that_cannot_be_written_leaves_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    there = sorted(data_dir.iterdir())
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SystemExit):
        init()
    assert (
        capsys.readouterr().err == "headway: cannot write headway.toml: No space left on device\n"
    )
    assert sorted(data_dir.iterdir()) == there


# ---- check -------------------------------------------------------------------------------------


def check_status(**options: Any) -> object:
    with pytest.raises(SystemExit) as left:
        check(**options)
    return left.value.code


def test_check_looks_at_what_serve_would_start_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "other.toml"
    path.write_text('[job_types.own]\ncommand = ["/bin/true"]\n')
    for given in ({"config": path}, {"config": path, "bind": "[::1]:1", "data_dir": Path("x")}):
        check(**given)
        assert capsys.readouterr().out == "good: 1 job types: own\n"
    check(path)
    assert capsys.readouterr().out == "good: 1 job types: own\n"
    assert check_status(config=path, bind="example.org:1") == 2
    assert "HEADWAY_SERVER__BIND: server.bind: give 127.0.0.1" in capsys.readouterr().err
    assert check_status(config=path, data_dir=Path("~/data")) == 2
    assert "HEADWAY_SERVER__DATA_DIR: server.data_dir: give" in capsys.readouterr().err
    assert check_status(config=tmp_path / "none.toml") == 2
    with pytest.raises(SystemExit):
        check(path, config=path)
    assert "once" in capsys.readouterr().err
