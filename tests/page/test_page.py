"""The page's own tests: its modules in Node, their types, and the resources that they read.

The browser is not needed here: tests/browser drives the whole page.
"""

import importlib
import pkgutil
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel

import headway.model

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


@pytest.mark.parametrize("path", sorted(HERE.glob("*.test.js")), ids=lambda path: path.stem)
def test_the_modules_in_node(path: Path) -> None:
    if node_version() < NODE_VERSION_MIN:
        pytest.skip(f"no Node {NODE_VERSION_MIN} on this machine: apt-get install nodejs")
    run(NODE or "", "--test", path.name)


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
