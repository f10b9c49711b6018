"""The tree itself: each module has its tests, and no file, function or class name is out of hand.

An exception stands here with its reason, and goes as soon as it is no longer one.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("headway", "config", "web", "actors", "storage", "pipelines")
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

DECLARATIONS = "declarations only, which the type checker and these tests use"
OVER_HTTP = "an operation of the contract, which these tests use over HTTP"
THROUGH_ITS_USER = "a part of one module, whose tests go through it"

TESTED_ELSEWHERE: dict[str, dict[str, str]] = {
    DECLARATIONS: {
        "actors/host/process.py": "tests/actors/host/test_linux_process.py",
        "actors/messages.py": "tests/actors/test_scheduler.py",
        "storage/errors.py": "tests/web/test_serve.py",
    },
    OVER_HTTP: {},
    THROUGH_ITS_USER: {},
}

LONG_FILES: dict[str, str] = {
    "tests/bugs/catalogue.py": "a list of data: each bug is looked up by its name",
}

SAME_NAME: dict[str, str] = {}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def modules(*roots: str) -> Iterator[str]:
    """The paths of all modules below these folders."""
    for root in roots:
        for path in sorted((ROOT / root).rglob("*.py")):
            yield str(path.relative_to(ROOT))


def own_test(module: str) -> str:
    path = Path(module)
    return str("tests" / path.parent / f"test_{path.name.removeprefix('_')}")


def elsewhere() -> dict[str, str]:
    return {module: test for group in TESTED_ELSEWHERE.values() for module, test in group.items()}


def test_each_module_has_a_test_file_or_a_reason_for_none() -> None:
    untested = [
        module
        for module in modules(*PACKAGES)
        if not module.endswith(("__init__.py", "__main__.py"))
        and module not in elsewhere()
        and not (ROOT / own_test(module)).exists()
    ]
    assert untested == []


@pytest.mark.parametrize(("module", "test"), elsewhere().items())
def test_an_exception_is_one_and_names_a_test(module: str, test: str) -> None:
    assert (ROOT / module).exists()
    assert not (ROOT / own_test(module)).exists(), "it has a test file of its own now"
    assert (ROOT / test).exists()


def test_no_file_is_too_long() -> None:
    lengths = {
        module: (ROOT / module).read_text(encoding="utf-8").count("\n")
        for module in (*modules(*PACKAGES, "bench", "tests"), "serve.py")
    }
    long = {module: lines for module, lines in lengths.items() if lines > FILE_LINES_MAX}
    assert long.keys() - LONG_FILES.keys() == set(), long
    assert LONG_FILES.keys() - long.keys() == set(), "these are no longer exceptions"


def test_no_function_is_too_long() -> None:
    long = {
        f"{module}: {node.name}"
        for module in (*modules(*PACKAGES, "bench", "tests"), "serve.py")
        for node in ast.walk(parsed(ROOT / module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= FUNCTION_LINES_MAX
    }
    assert long == set()


def test_a_class_name_stands_for_one_class() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module in (*modules(*PACKAGES), "serve.py"):
        for node in parsed(ROOT / module).body:
            if isinstance(node, ast.ClassDef):
                found[node.name.strip("_")].append(module)
    shared = {name: where for name, where in found.items() if len(where) > 1}
    assert shared.keys() - SAME_NAME.keys() == set(), shared
    assert SAME_NAME.keys() - shared.keys() == set(), "these are no longer exceptions"


def test_nothing_that_the_wiring_imports_imports_the_wiring() -> None:
    """The rest of the cycles is the linter's: see `acyclic_siblings` in pyproject.toml."""
    importers = {
        module
        for module in modules(*PACKAGES)
        for node in ast.walk(parsed(ROOT / module))
        if isinstance(node, ast.Import) and "serve" in {name.name for name in node.names}
    }
    assert importers == {"headway/cli/serve.py"}
    wired = {
        node.module or ""
        for node in ast.walk(parsed(ROOT / "serve.py"))
        if isinstance(node, ast.ImportFrom)
    }
    assert not {name for name in wired if name.startswith("headway.cli")}
