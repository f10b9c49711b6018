"""The page's own tests: its modules in Node, their types, and the resources that they read.

The browser is not needed here: tests/browser drives the whole page.
"""

import importlib
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

import headway.model
from headway.model.explanation import ReasonCode
from headway.model.job import JobStatus
from headway.model.problem import CODES
from headway.model.run import ErrorCode

HERE = Path(__file__).parent
NODE = shutil.which("node")
TSC = shutil.which("tsc", path=str(HERE / "node_modules/.bin")) or shutil.which("tsc")
NODE_VERSION_MIN = 18
DEADLINE_S = 120


def run(*command: str) -> None:
    """Run a tool in this directory; its output is the reason of a failure."""
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=DEADLINE_S)
    assert done.returncode == 0, done.stdout + done.stderr


def node_version() -> int:
    """The major version of Node, or 0 without one."""
    if NODE is None:
        return 0
    text = subprocess.run([NODE, "--version"], capture_output=True, text=True).stdout
    return int(text.removeprefix("v").partition(".")[0])


@pytest.mark.parametrize("path", sorted(HERE.glob("*/*.test.js")), ids=lambda path: path.name)
def test_the_modules_in_node(path: Path) -> None:
    if node_version() < NODE_VERSION_MIN:
        pytest.skip(f"no Node {NODE_VERSION_MIN} on this machine: apt-get install nodejs")
    run(NODE or "", "--test", str(path))


def test_the_types_of_the_modules() -> None:
    if TSC is None or NODE is None:
        pytest.skip("no TypeScript on this machine: npm install in tests/page")
    run(TSC, "-p", "tsconfig.json")


def models() -> dict[str, set[str]]:
    """The properties of each model of the contract, by its name."""
    found: dict[str, set[str]] = {}
    for info in pkgutil.iter_modules(headway.model.__path__):
        module = importlib.import_module(f"headway.model.{info.name}")
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, BaseModel):
                fields = value.model_fields.items()
                found[name] = {field.alias or key for key, field in fields}
    return found


def page_types() -> dict[str, set[str]]:
    """The properties of each type that the page shares with the contract."""
    source = (HERE / "../../web/static/core/types.js").read_text(encoding="utf-8")
    shared, mark, _ = source.partition("// ---- what is no model")
    assert mark
    types: dict[str, set[str]] = {}
    for block in re.findall(r"/\*\*(.*?)\*/", shared, re.S):
        if (named := re.search(r"@typedef {object} (\w+)", block)) is not None:
            types[named[1]] = set(re.findall(r"@property {.+} (\w+)$", block, re.M))
    return types


def test_the_types_of_the_page_are_models_with_these_properties() -> None:
    types = page_types()
    assert len(types) > 20
    for name, properties in types.items():
        assert properties, name
        missing = properties - models()[name]
        assert not missing, f"core/types.js: {name} of headway/model has no {missing}"


@pytest.mark.parametrize(
    ("prefix", "codes"),
    [
        ("status", tuple(JobStatus)),
        ("waiting", get_args(ReasonCode)),
        ("error", get_args(ErrorCode)),
        ("fault", CODES),
        ("origin", ("api", "legacy", "retry")),
    ],
)
def test_every_code_of_the_contract_has_a_text(prefix: str, codes: tuple[str, ...]) -> None:
    source = (HERE / "../../web/static/i18n/en.js").read_text(encoding="utf-8")
    assert set(re.findall(rf'^  "{prefix}\.(\w+)"', source, re.M)) == set(codes)


def test_reasons_that_are_translated_are_reasons_of_the_server() -> None:
    texts = (HERE / "../../web/static/i18n/en.js").read_text(encoding="utf-8")
    storage = (HERE / "../../storage/jobs.py").read_text(encoding="utf-8")
    reasons = re.findall(r'^  "reason\.([^"]+)"', texts, re.M)
    assert reasons
    assert all(f'"{reason}"' in storage for reason in reasons)
