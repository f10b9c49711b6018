"""The reason that a server which cannot start prints, and its exit status."""

import signal
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import apsw
import pytest

import serve
from config.settings import ServerSettings, Settings
from config.settings_source import SettingsSource
from storage.errors import NewerDatabase
from web.process.log_stream import LogStream
from web.process.terminal import Terminal


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`serve.run`, with a database that could not be opened for this reason."""
    monkeypatch.setattr(serve, "configure_logging", lambda *_: None)
    hangup = signal.getsignal(signal.SIGHUP)
    settings = Settings(server=ServerSettings(data_dir=tmp_path))

    def run(error: BaseException) -> int:
        database: Future[apsw.Connection] = Future()
        database.set_exception(error)
        start = serve.StartOptions(
            settings=settings,
            source=SettingsSource(None),
            stream=LogStream(2),
            terminal=Terminal(),
            umask=0o022,
            detach=False,
        )
        return serve.run(start, database)

    yield run
    signal.signal(signal.SIGHUP, hangup)


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (OSError(98, "choose another --bind"), 1, "headway: choose another --bind\n"),
        (NewerDatabase("it is newer"), 1, "headway: it is newer\n"),
        (KeyboardInterrupt(), 130, "headway: stopped while starting\n"),
        (
            ExceptionGroup("", [OSError(5, "one"), ExceptionGroup("", [OSError(5, "two")])]),
            1,
            "headway: one\nheadway: two\n",
        ),
    ],
)
def test_a_reason_is_printed_in_a_line(
    run: Any, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, printed: str
) -> None:
    assert run(error) == status
    assert capsys.readouterr().err == printed


def test_a_reason_is_printed_beside_a_bug(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExceptionGroup) as raised:
        run(ExceptionGroup("", [OSError(5, "the disk is gone"), ValueError("a bug")]))
    assert [str(error) for error in raised.value.exceptions] == ["a bug"]
    assert capsys.readouterr().err == "headway: the disk is gone\n"
