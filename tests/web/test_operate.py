"""`headway verify`: what it prints, and with what it leaves, on good and bad databases."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from storage.database import DATABASE_NAME, open_writer
from web.operate import verify


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


def refused(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """(exit status, what it said) when it prints no table."""
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
    execute(data_dir, "INSERT INTO events VALUES (5, 1, 'scheduler.stopped', NULL, NULL, '{}')")
    assert verify(data_dir=data_dir) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "BROKEN" in line] == ["FactsAtomic"]
    assert "fact 5 comes after 0" in "\n".join(lines)


def test_what_is_no_database_is_refused_and_left_alone(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, content = data_dir / DATABASE_NAME, b"no database at all " * 500
    path.write_bytes(content)
    code, said = refused(data_dir, capsys)
    assert code == 1
    assert "is broken: file is not a database" in said
    assert path.read_bytes() == content


def test_a_broken_schema_is_refused_and_left_alone(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = data_dir / DATABASE_NAME
    content = path.read_bytes()
    content = content[:100] + b"\xff" * 8000 + content[8100:]
    path.write_bytes(content)
    code, said = refused(data_dir, capsys)
    assert code == 1
    assert "is broken: database disk image is malformed" in said
    assert path.read_bytes() == content


@pytest.mark.parametrize(("version", "what"), [(0, "start the server"), (99, "the newer headway")])
def test_another_schema_is_refused_with_what_to_do(
    data_dir: Path, capsys: pytest.CaptureFixture[str], version: int, what: str
) -> None:
    execute(data_dir, f"PRAGMA user_version = {version}")
    code, said = refused(data_dir, capsys)
    assert code == 1
    assert what in said


def test_no_database_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = refused(tmp_path, capsys)
    assert code == 2
    assert "there is no database" in said
