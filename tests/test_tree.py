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

DECLARATIONS = "declarations, which these tests compare with the OpenAPI document or use"
OVER_HTTP = "operations of the contract, which these tests use over HTTP"
THROUGH_ITS_USER = "a part of one module, whose tests go through it"

RESOURCES = (
    *("explanation", "field", "health", "history", "legacy", "log", "problem", "reservation"),
    *("run", "scheduler"),
)
NOUN_FOLDERS = (
    *("headway/model", "headway/client", "headway/cli"),
    *("storage", "actors/rules", "web/resources"),
)
"""A noun's modules here may have one test file over HTTP: tests/contract/test_NOUNs.py."""

TESTED_ELSEWHERE: dict[str, dict[str, str]] = {
    DECLARATIONS: {
        **{f"headway/model/{noun}.py": "tests/web/test_contract.py" for noun in RESOURCES},
        "actors/host/process.py": "tests/actors/host/test_linux_process.py",
        "actors/messages.py": "tests/actors/test_scheduler.py",
        "actors/seams.py": "tests/simulation/test_world.py",
        "actors/rules/nouns.py": "tests/actors/rules/test_noun.py",
        "headway/cli/arguments.py": "tests/headway/cli/test_jobs.py",
        "headway/cli/options.py": "tests/headway/cli/test_jobs.py",
        "headway/client/operations.py": "tests/headway/client/test_async_client.py",
        "storage/errors.py": "tests/web/test_serve.py",
        "web/api/version.py": "tests/contract/test_openapi.py",
    },
    OVER_HTTP: {
        "headway/client/system.py": "tests/contract/test_client.py",
        "storage/run_parts.py": "tests/contract/test_jobs.py",
        "web/resources/explanations.py": "tests/contract/test_explain.py",
        "web/resources/logs.py": "tests/contract/test_log.py",
        "web/resources/metrics.py": "tests/contract/test_scheduler.py",
        "web/resources/unconfigured.py": "tests/contract/test_reload.py",
    },
    THROUGH_ITS_USER: {
        "actors/host/log_writer_process.py": "tests/actors/host/test_log_writer.py",
        "actors/rules/context.py": "tests/actors/rules/test_core.py",
        "config/limits.py": "tests/actors/rules/test_limits.py",
        "config/params_check.py": "tests/config/test_job_type.py",
        "config/type_faults.py": "tests/config/test_job_type.py",
        "headway/cli/demo.py": "tests/headway/cli/test_demonstration.py",
        "headway/cli/descriptors.py": "tests/contract/test_terminal.py",
        "headway/cli/job_bars.py": "tests/headway/cli/test_jobs.py",
        "headway/cli/job_type_view.py": "tests/headway/cli/test_job_types.py",
        "headway/cli/job_view.py": "tests/headway/cli/test_jobs.py",
        "headway/cli/output.py": "tests/headway/cli/test_jobs.py",
        "headway/cli/reservation_view.py": "tests/headway/cli/test_reservations.py",
        "headway/cli/scheduler_view.py": "tests/headway/cli/test_scheduler.py",
        "headway/cli/serve.py": "tests/contract/test_program.py",
        "headway/client/error.py": "tests/headway/client/test_session.py",
        "headway/client/transport.py": "tests/headway/client/test_session.py",
        "pipelines/researcher.py": "tests/pipelines/test_research.py",
        "storage/collections.py": "tests/actors/run/test_collector.py",
        "storage/intents.py": "tests/storage/test_runs.py",
        "storage/job_row.py": "tests/storage/test_jobs.py",
        "storage/queue_position.py": "tests/actors/rules/test_explanations.py",
        "storage/verify/audit.py": "tests/storage/verify/test_replay.py",
        **{
            f"storage/verify/{noun}.py": "tests/storage/verify/test_invariants.py"
            for noun in ("check", "idempotency", "jobs", "reservations", "runs", "scheduler")
        },
    },
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


def noun_test(module: str) -> str | None:
    """Where the modules of a noun are tested together, over HTTP."""
    path = Path(module)
    if str(path.parent) not in NOUN_FOLDERS:
        return None
    noun = path.stem + "s" * (str(path.parent) == "headway/model")
    return f"tests/contract/test_{noun}.py"


def is_tested(module: str) -> bool:
    return any((ROOT / test).exists() for test in (own_test(module), noun_test(module)) if test)


def elsewhere() -> dict[str, str]:
    return {module: test for group in TESTED_ELSEWHERE.values() for module, test in group.items()}


def test_each_module_has_a_test_file_or_a_reason_for_none() -> None:
    untested = [
        module
        for module in modules(*PACKAGES)
        if not module.endswith(("__init__.py", "__main__.py"))
        and module not in elsewhere()
        and not is_tested(module)
    ]
    assert untested == []


@pytest.mark.parametrize(("module", "test"), elsewhere().items())
def test_an_exception_is_one_and_names_a_test(module: str, test: str) -> None:
    assert (ROOT / module).exists()
    assert not is_tested(module), "it has a test file of its own now"
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
