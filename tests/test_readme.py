"""What the README draws and names is what the code has."""

import re
from pathlib import Path

import pytest

from headway.model.job import TERMINAL, TRANSITIONS

ROOT = Path(__file__).parent.parent


def diagram() -> str:
    """The state diagram in Mermaid's language, from the table of transitions."""
    lines = ["stateDiagram-v2", "    [*] --> QUEUED"]
    for before, afters in TRANSITIONS.items():
        lines += [f"    {before} --> {after}" for after in TRANSITIONS if after in afters]
    lines += [f"    {status} --> [*]" for status in TRANSITIONS if status in TERMINAL]
    return "```mermaid\n" + "\n".join(lines) + "\n```"


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_state_diagram_is_drawn_from_the_table(name: str) -> None:
    assert diagram() in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_files_it_names_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for path in (
        "actors/rules/core.py",
        "actors/host/linux_host.py",
        "actors/executor.py",
        "web/resources/jobs.py",
    ):
        assert path in text
        assert (ROOT / path).exists()
    assert "bench/README.md" in text
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', text)
    assert pictures
    assert [picture for picture in pictures if not (ROOT / picture).is_file()] == []
