"""Variables from a file that only its owner can read."""

import os
from pathlib import Path

import pytest

from config.env_file import SIZE_BYTES_MAX, UnusableEnvFile, read_env_file
from config.settings import ConfigurationError, load


def private(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def test_lines_become_variables(tmp_path: Path) -> None:
    text = "\n# a comment\nexport KEY=a=b c\nQ='x y'\nD=\"\"\nE=\nH=a#b\n  S=1  \n"
    assert read_env_file(private(tmp_path / "x.env", text)) == {
        "KEY": "a=b c",
        "Q": "x y",
        "D": "",
        "E": "",
        "H": "a#b",
        "S": "1",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\nhunter2\n", "write line 2"),
        ("A B=1\n", "write line 1"),
        ("A=\0\n", "write line 1"),
        ("HEADWAY_RUN_ID=x\n", "remove HEADWAY_RUN_ID"),
        (b"A=\xff\n", "not UTF-8"),
        (b"A=" + b"x" * SIZE_BYTES_MAX, "more than"),
    ],
)
def test_a_wrong_file_is_refused_and_not_shown(
    tmp_path: Path, text: str | bytes, said: str
) -> None:
    with pytest.raises(UnusableEnvFile, match=said) as caught:
        read_env_file(private(tmp_path / "x.env", text))
    assert "hunter2" not in str(caught.value)


def test_a_file_that_others_may_read_or_that_is_none(tmp_path: Path) -> None:
    path = private(tmp_path / "x.env", "A=1\n")
    path.chmod(0o640)
    with pytest.raises(UnusableEnvFile, match="chmod 600"):
        read_env_file(path)
    with pytest.raises(UnusableEnvFile, match="No such file"):
        read_env_file(tmp_path / "y.env")
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(UnusableEnvFile, match="no regular file"):
        read_env_file(tmp_path / "fifo")


def test_a_type_reads_it_from_beside_its_configuration(tmp_path: Path) -> None:
    private(tmp_path / "x.env", "KEY=from the file\nOTHER=o\n")
    config = tmp_path / "headway.toml"
    table = '[job_types.a]\ncommand = ["true"]\nenv = { KEY = "from env" }\n'
    config.write_text(f'{table}env_file = "{{config_dir}}/x.env"\n')
    made = load(config, {}).job_types["a"].environment({})
    assert (made["KEY"], made["OTHER"]) == ("from env", "o")
    config.write_text(f'{table}env_file = "x.env"\n')
    assert load(config, {}).job_types["a"].environment({})["OTHER"] == "o"
    config.write_text(f'{table}env_file = "y.env"\n')
    with pytest.raises(ConfigurationError) as caught:
        load(config, {})
    (fault,) = caught.value.faults
    assert (fault.key, fault.line) == ("job_types.a.env_file", 4)
