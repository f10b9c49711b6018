"""What a reload takes from the configuration, and what it leaves as it is."""

import os
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from config.settings import ConfigurationError, load
from config.settings_source import SettingsSource
from headway.model.problem import Refusal
from web.context import Context
from web.process.log_config import LogLevel
from web.process.reload import Reloader

CONFIG = """
[job_types.a]
command = ["a"]
env.DATA = "{data_dir}"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "headway.toml"
    path.write_text(f'[server]\ndata_dir = "{tmp_path}"\n{CONFIG}')
    return path


@pytest.fixture
def reloader(context: Context, config: Path, tmp_path: Path) -> Reloader:
    reloader = Reloader(context, SettingsSource(config), LogLevel("info"))
    reloader._in_force = load(config, {})
    return reloader


def configure(config: Path, text: str, *, instead_of: str = "") -> None:
    config.write_text(config.read_text().replace(instead_of, "") + text)


async def logged(reloader: Reloader) -> list[Any]:
    with capture_logs() as lines:
        await reloader.reload()
    return lines


async def test_another_data_directory_waits_for_a_restart(
    context: Context, reloader: Reloader, config: Path, tmp_path: Path
) -> None:
    server = f'[server]\ndata_dir = "{tmp_path}"\n'
    configure(config, 'env.NEW = "1"\n', instead_of=server)
    configure(config, '[server]\ndata_dir = "/elsewhere"\nbind = "127.0.0.1:1"\n')
    *needed, done = await logged(reloader)
    assert [(line["key"], line["in_force"]) for line in needed] == [
        ("server.bind", "127.0.0.1:8787"),
        ("server.data_dir", str(tmp_path)),
    ]
    assert done["changed"] == ["job_types.a"]
    made = context.job_types["a"].environment({})
    assert (made["DATA"], made["NEW"]) == (str(tmp_path), "1")


async def test_what_the_scheduler_refuses_is_tried_again_by_the_next(
    context: Context, reloader: Reloader, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise Refusal("storage_full", "the disk is full")

    configure(config, '[job_types.b]\ncommand = ["b"]\n')
    monkeypatch.setattr(type(context), "ask", refuse)
    (line,) = await logged(reloader)
    assert (line["event"], line["why"]) == ("configuration not reloaded", "the disk is full")
    assert "b" not in context.job_types
    monkeypatch.undo()
    assert (await logged(reloader))[-1]["changed"] == ["job_types.b"]
    assert "b" in context.job_types


def test_a_file_that_was_there_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = SettingsSource(None)
    assert "story" in source.read().job_types
    Path("headway.toml").write_text(CONFIG)
    assert list(source.read().job_types) == ["a"]
    Path("headway.toml").unlink()
    with pytest.raises(Exception, match="name a file that can be read"):
        source.read()


def test_the_level_decides_what_is_dropped() -> None:
    level = LogLevel("warning")
    assert level(None, "warning", {"event": "x"}) == level(None, "error", {"event": "x"})
    with pytest.raises(structlog.DropEvent):
        level(None, "info", {"event": "x"})
    level.set("debug")
    assert level(None, "debug", {"event": "x"}) == {"event": "x"}


def test_another_reading_takes_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("headway.toml").write_text(CONFIG)
    source = SettingsSource(Path("headway.toml"), data_dir=Path("data"))
    first = source.read()
    elsewhere = tmp_path / "work"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # as a server for a moment when it starts a program
    Path("headway.toml").write_text("what a program has written")
    assert source.read() == first
    assert first.server.data_dir == tmp_path / "data"


@pytest.mark.parametrize("kind", ["fifo", "used pipe"])
def test_what_is_no_file_is_read_once(tmp_path: Path, kind: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, CONFIG.encode())
    os.close(writing)
    path = tmp_path / "headway.toml"
    path.symlink_to(f"/dev/fd/{reading}")  # as of `--config <(make-it)`
    source = SettingsSource(path)
    assert list(source.read().job_types) == ["a"]
    if kind == "fifo":
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="regular file"):
        source.read()
    os.close(reading)
