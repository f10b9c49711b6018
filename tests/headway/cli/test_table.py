"""How numbers, times and hostile text look to a person."""

import io

import pytest
from rich.table import Table

from headway.cli.table import duration_text, size_text, write


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"),
        (0.0282, "28 ms"),
        (0.9996, "1 s"),
        (1, "1 s"),
        (3.0512, "3.05 s"),
        (59.97, "1 min 0 s"),
        (65, "1 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7300, "2 h 1 min"),
    ],
)
def test_spans(seconds: float, shown: str) -> None:
    assert duration_text(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (2048, "2 KiB"),
        (1500, "1.46 KiB"),
        (64 * 2**20, "64 MiB"),
        (5 * 2**40, "5120 GiB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert size_text(count) == shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colour_and_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    table = Table(box=None)
    table.add_column("A", style="red", overflow="fold")
    table.add_row("[b]" + "x" * 60)
    terminal, pipe = Terminal(), io.StringIO()
    write(table, terminal)
    write(table, pipe)
    assert "\x1b[" in terminal.getvalue()
    assert len(terminal.getvalue().splitlines()) == 3
    assert "[b]" in terminal.getvalue()
    assert pipe.getvalue().splitlines()[1].strip() == "[b]" + "x" * 60
    assert "\x1b" not in pipe.getvalue()
