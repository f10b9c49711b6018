"""`headway check` says what is allowed and hardly meant, and what to do about it."""

from pathlib import Path
from typing import Any

import pytest

from config.type_warnings import type_warnings
from tests.config.test_job_type import job_type


def said(**table: Any) -> dict[str, str]:
    found = type_warnings(job_type(**{"command": ["true"], **table}), {"PATH": "/usr/bin:/bin"})
    return {"/".join(map(str, key)): message for key, message in found}


def test_a_good_type_is_not_spoken_of() -> None:
    params = {"x": {"arg": "-x"}, "y": {"arg": "--y", "style": "separate"}}
    assert said(command=["true", "{artifacts}/a", "{{x}"], params=params) == {}


def test_what_is_no_placeholder() -> None:
    assert "{artefacts} is no placeholder" in said(command=["true", "{artefacts}/x"])["command/1"]
    assert "{date} is no placeholder" in said(env={"A": "{date}"})["env/A"]


def test_a_program_that_is_not_there_or_not_where_it_starts() -> None:
    assert "PATH has no such program" in said(command=["no-such-program"])["command"]
    assert "in full" in said(command=["./tool.sh"])["command"]


def test_a_file_that_lies_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "x.py").touch()
    monkeypatch.chdir(tmp_path)
    assert "{config_dir}/scripts/x.py" in said(command=["true", "scripts/x.py"])["command/1"]
    assert said(command=["true", "image/png"]) == {}


def test_a_script_that_cannot_be_executed(tmp_path: Path) -> None:
    script = tmp_path / "x.sh"
    script.write_bytes(b"#!/bin/sh\r\necho hello\r\n")
    assert said(command=[str(script)])["command"].endswith(f"chmod +x {script}")
    script.chmod(0o755)
    assert "carriage return" in said(command=[str(script)])["command"]
    script.write_bytes(b"#!/bin/sh\necho hello\r\n")
    assert said(command=[str(script)]) == {}


def test_a_style_that_few_programs_read() -> None:
    params = {"x": {"arg": "-x", "style": "joined"}}
    assert '"separate"' in said(params=params)["params/x/style"]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert said(directory=str(tmp_path)) == {}
    assert "mkdir -p" in said(directory=f"{tmp_path}/no")["directory"]
    assert said(directory=f"{tmp_path}/{{run_id}}") == {}
    assert "{home} is no placeholder" in said(directory="/{home}")["directory"]
