"""Where the configuration is read from, the first time and again."""

from pathlib import Path

import pytest

from config.settings import ConfigurationError
from config.settings_source import CONFIG_NAME, SettingsSource


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_defaults_hold(here: Path) -> None:
    assert SettingsSource(None).read().scheduler.concurrency == 1


def test_a_file_in_the_current_directory_is_found(here: Path) -> None:
    (here / CONFIG_NAME).write_text("[scheduler]\nconcurrency = 3\n")
    assert SettingsSource(None).read().scheduler.concurrency == 3


def test_the_command_line_overrides_the_file(here: Path) -> None:
    (here / CONFIG_NAME).write_text('[server]\nbind = "127.0.0.1:1"\ndata_dir = "one"\n')
    source = SettingsSource(None, bind="127.0.0.1:2", data_dir=here / "two")
    server = source.read().server
    assert (server.port, server.data_dir) == (2, here / "two")
    assert source.read(data_dir=here / "three").server.data_dir == here / "three"


def test_a_reload_finds_the_file_from_another_directory(
    here: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / CONFIG_NAME).write_text("[scheduler]\nconcurrency = 3\n")
    source = SettingsSource(None)
    source.read()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert source.read().scheduler.concurrency == 3


def test_a_file_that_was_there_must_stay(here: Path) -> None:
    (here / CONFIG_NAME).write_text("")
    source = SettingsSource(None)
    source.read()
    (here / CONFIG_NAME).unlink()
    with pytest.raises(ConfigurationError):
        source.read()
