"""What README.md and the documents beside it show is what happens."""

import re
import shutil
from pathlib import Path

import pytest
from pydantic import BaseModel

from config.job_type import JobType
from config.settings import SchedulerSettings, ServerSettings
from headway.model.job import TERMINAL, TRANSITIONS
from tests.docs.document import Block, Stage, Wrong, blocks, commands

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "examples/README.md")
    if not path.name.endswith(".ko.md")
)
TRANSLATIONS = sorted((*ROOT.glob("*.ko.md"), *ROOT.glob("docs/*.ko.md")))
PACKAGES = ("headway", "config", "web", "actors", "storage", "pipelines")
INSTALLED = ("demo", "'.[test]'")
CONTRIBUTING = ROOT / "CONTRIBUTING.md"


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def copy_packages(directory: Path) -> None:
    """What a server is made of, its tests, and the document that lists its client's methods."""
    for package in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / package, directory / package)
    (directory / "docs").mkdir()
    for file in ("serve.py", "pyproject.toml", "docs/client.md"):
        shutil.copy(ROOT / file, directory / file)


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_what_a_document_shows_is_what_happens(path: Path, tmp_path: Path) -> None:
    shown = blocks(path.read_text(encoding="utf-8"))
    if any("curl " in block.text for block in shown) and shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    tmp_path.chmod(0o700)
    stage = Stage(tmp_path)
    if path == CONTRIBUTING:
        copy_packages(tmp_path)
    try:
        for block in shown:
            try:
                stage.play(block)
            except Wrong as error:
                pytest.fail(f"{name(path)}, the block at line {block.line}: {error}")
    finally:
        stage.close()


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_each_program_that_is_shown_is_run(path: Path) -> None:
    shown = blocks(path.read_text(encoding="utf-8"))
    for number, block in enumerate(shown):
        if block.language == "python" and "/" not in block.name:
            assert block.name, f"line {block.line}: give the file a name, and run it"
            assert any(block.name in later.text for later in shown[number + 1 :]), block.name


EXAMPLES = sorted(
    (
        *ROOT.glob("examples/count_words/*"),
        *ROOT.glob("examples/train/*"),
        *ROOT.glob("examples/client/*"),
        *ROOT.glob("examples/*.service"),
    )
)
"""Those that are shown in a document; tests/programs runs the others."""


@pytest.mark.parametrize("path", EXAMPLES, ids=name)
def test_each_example_is_shown_in_a_document(path: Path) -> None:
    shown = [block for each in DOCUMENTS for block in blocks(each.read_text(encoding="utf-8"))]
    assert path.read_text(encoding="utf-8") in [
        block.text for block in shown if block.name == path.name
    ]


@pytest.mark.parametrize("path", TRANSLATIONS, ids=name)
def test_a_translation_shows_the_same_commands_and_files(path: Path) -> None:
    def code(document: Path) -> list[tuple[str, str, str]]:
        found = blocks(document.read_text(encoding="utf-8"))
        return [(block.language, block.name, block.text) for block in found]

    assert code(path) == code(path.with_name(path.name.replace(".ko.md", ".md")))


@pytest.mark.parametrize("path", [*DOCUMENTS, *TRANSLATIONS], ids=name)
def test_links_and_paths_lead_to_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)", text)
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', text)
    missing = [each for each in (*links, *pictures) if not (path.parent / each).exists()]
    folders = {entry.name for entry in ROOT.iterdir() if entry.is_dir()}
    for quoted in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", text):
        is_ours = quoted.split("/")[0] in folders
        if is_ours and not (ROOT / quoted).exists():
            missing.append(quoted)
    assert missing == []


@pytest.mark.parametrize("words", INSTALLED)
def test_the_line_that_installs_is_there_once(words: str) -> None:
    """`.ci/run` looks for it, and takes it apart at its last `&&`."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line.startswith("python3 -m venv") and words in line]
    assert len(found) == 1
    assert sum("'.[test]'" in line for line in lines) == 1


def test_the_cost_of_a_noun_is_what_contributing_shows() -> None:
    text = CONTRIBUTING.read_text(encoding="utf-8")
    shown = blocks(text)
    changes = "".join(block.text for block in shown if block.language == "diff")
    new = sum("/" in block.name for block in shown)
    files = len(set(re.findall(r"^--- (.+)$", changes, re.M)))
    lines = len(re.findall(r"^\+", changes, re.M))
    assert f"{new} new files, and {lines} changed lines in {files} existing ones" in text


def test_the_state_diagram_is_drawn_from_the_table() -> None:
    lines = ["stateDiagram-v2", "    [*] --> QUEUED"]
    for before, afters in TRANSITIONS.items():
        lines += [f"    {before} --> {after}" for after in TRANSITIONS if after in afters]
    lines += [f"    {status} --> [*]" for status in TRANSITIONS if status in TERMINAL]
    shown = blocks((ROOT / "docs/architecture.md").read_text(encoding="utf-8"))
    drawn = [block.text for block in shown if block.language == "mermaid"]
    assert drawn == ["\n".join(lines) + "\n"]


@pytest.mark.parametrize(
    ("path", "models"),
    [
        ("docs/job-types.md", [JobType]),
        ("docs/operation.md", [ServerSettings, SchedulerSettings]),
    ],
)
def test_each_key_of_a_headway_toml_has_a_row(path: str, models: list[type[BaseModel]]) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / path).read_text(encoding="utf-8"), re.M)
    for model in models:
        assert [key for key in model.model_fields if key not in rows] == []


class TestTheHarness:
    """It fails where a document is wrong."""

    def test_an_output_that_differs(self, tmp_path: Path) -> None:
        with pytest.raises(Wrong, match="expected"):
            Stage(tmp_path).play(Block("console", "", "$ echo one\ntwo\n", 1))

    def test_a_command_that_fails(self, tmp_path: Path) -> None:
        with pytest.raises(Wrong, match="exit status 3"):
            Stage(tmp_path).play(Block("console", "", "$ exit 3\n", 1))

    def test_a_command_that_is_only_shown(self, tmp_path: Path) -> None:
        with pytest.raises(Wrong, match="make its block a console"):
            Stage(tmp_path).play(Block("text", "", "$ headway list\n", 1))

    def test_a_language_that_it_does_not_know(self, tmp_path: Path) -> None:
        with pytest.raises(Wrong, match="knows no block"):
            Stage(tmp_path).play(Block("bash", "", "true\n", 1))

    def test_a_block_without_a_language(self) -> None:
        with pytest.raises(Wrong, match="language"):
            blocks("```\nheadway list\n```\n")

    def test_an_id_stands_for_the_same_one_throughout(self, tmp_path: Path) -> None:
        first, other = (f"job-{number:08d}-0000-7000-8000-000000000000" for number in (1, 2))
        stage = Stage(tmp_path)
        stage.printed = f"{first}\n"
        stage.compare(f"{other}\n")
        assert stage.ids == {other: first}
        stage.printed = f"{other}\n"
        with pytest.raises(Wrong):
            stage.compare(f"{other}\n")

    def test_times_durations_and_dots_stand_for_any(self, tmp_path: Path) -> None:
        stage = Stage(tmp_path)
        stage.printed = "2026-11-28 21:32:30Z  took 1.4 s: whatever it was\n"
        stage.compare("2020-01-01 00:00:00Z  took 22 ms: … was\n")

    def test_a_command_over_several_lines(self) -> None:
        assert commands("$ echo one \\\n    two\none two\n") == [
            ("echo one \\\n    two", "one two\n")
        ]
