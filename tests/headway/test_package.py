"""The public package: what it offers, what it imports, and that no folder of a project hides it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import headway

ROOT = Path(headway.__file__).parent.parent
DEADLINE_S = 60
SERVER = {
    *("actors", "config", "pipelines", "serve", "storage", "web"),
    *("apsw", "hypercorn", "jsonschema_rs", "prometheus_client", "quart", "structlog"),
}
COMMAND_LINE = {"cyclopts"}
# Not in these sets: httpx imports rich, and httpcore trio, by themselves where they are installed.

USE_CLIENTS = """
from headway import *
import headway, sys
assert {*headway.__all__} <= {*globals()}, headway.__all__
with Client("http://127.0.0.1:1"):
    AsyncClient("http://127.0.0.1:1")
print(*sys.modules)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with folders of the same names as headway's, none of which can be imported."""
    for name in ("actors", "client", "config", "model", "storage", "web"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('of the project')\n")
    return tmp_path


def run_python(cwd: Path, *arguments: str) -> str:
    """Run Python where headway is installed but the current directory comes first."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_clients_work_in_a_project_with_folders_of_its_own(project: Path) -> None:
    assert "headway.client.client" in run_python(project, "-c", USE_CLIENTS)


def test_the_clients_import_nothing_of_the_server(tmp_path: Path) -> None:
    modules = {name.partition(".")[0] for name in run_python(tmp_path, "-c", USE_CLIENTS).split()}
    assert {"httpx", "pydantic"} <= modules
    assert modules & (SERVER | COMMAND_LINE) == set()


def test_the_package_alone_imports_nothing(tmp_path: Path) -> None:
    shown = run_python(tmp_path, "-c", "import headway, sys; print(*sys.modules)")
    assert {"httpx", "pydantic", "headway.client", "headway.model"} & set(shown.split()) == set()


@pytest.mark.parametrize("command", [["--help"], ["check"], ["types", "--help"]])
def test_the_command_works_in_such_a_project(project: Path, command: list[str]) -> None:
    assert run_python(project, "-m", "headway", *command)


def test_a_name_that_is_not_offered_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Scheduler'"):
        _ = headway.Scheduler


def test_what_is_offered_is_shown_by_dir() -> None:
    assert set(headway.__all__) <= set(dir(headway))
    assert all(getattr(headway, name).__name__ == name for name in headway.__all__)


def test_type_checkers_see_the_types() -> None:
    assert (Path(headway.__file__).parent / "py.typed").exists()
