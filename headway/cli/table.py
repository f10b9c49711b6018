"""Tables of the command line: rich renderables on a terminal, plain columns in a pipe.

Invariant: each text in a cell is `clean`: it stays on its line, does not control the terminal, and
is not read as markup. What a table contains is in the modules of the nouns, such as `job_view.py`.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import IO, TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from headway.terminal_text import clean

if TYPE_CHECKING:
    from storage.verify.invariants import Finding

WIDE_COLUMNS = 120
"""The width of a list of Jobs with a name and a note."""
PIPE_WIDTH_COLUMNS = 100_000
"""In a pipe nothing is wrapped or cut."""


def write(renderable: RenderableType, stream: IO[str] | None = None) -> None:
    """Print on `stream` (standard output): in colour on a terminal, as plain columns in a pipe."""
    stream = stream or sys.stdout
    console = Console(
        file=stream,
        width=None if stream.isatty() else PIPE_WIDTH_COLUMNS,
        highlight=False,
        emoji=False,
        markup=False,
    )
    with console.capture() as captured:
        console.print(renderable)
    stream.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
    stream.flush()


def is_narrow(stream: IO[str]) -> bool:
    """Whether `stream` is a terminal on which a wide table would wrap every line."""
    return stream.isatty() and get_terminal_size().columns < WIDE_COLUMNS


def new_table(*columns: str, fluid: int) -> Table:
    """A table with a header; only the last `fluid` columns shrink on a narrow terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index < len(columns) - fluid, overflow="fold")
    return table


def fields_table(fields: Sequence[tuple[str, str | Text]]) -> Table:
    """A line for each field: its name and its value."""
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in fields:
        add_row(table, name, value)
    return table


def add_row(table: Table, *cells: str | Text) -> None:
    """Add a row. A `Text` has a style, and was made by the command line itself."""
    table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in cells))


def given(*fields: tuple[str, object]) -> list[tuple[str, str | Text]]:
    """The fields that have a value."""
    return [(name, str(value)) for name, value in fields if value not in (None, "")]


def findings_table(findings: "Iterable[Finding]") -> Table:
    """One invariant per line, and where it is broken."""
    table = new_table("INVARIANT", "STATE", "WHERE", fluid=1)
    for finding in findings:
        first, *others = finding.breaches or ("",)
        state = Text("BROKEN", "bold red") if finding.breaches else Text("holds", "green")
        add_row(table, finding.name, state, first)
        for breach in others:
            add_row(table, "", "", breach)
    return table


def time_text(at: datetime) -> str:
    """A time in UTC, to the second, as the API and the logs write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def duration_text(seconds: float) -> str:
    """A duration in its two largest units."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size_text(count_bytes: int) -> str:
    """A size with its binary unit."""
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.4g} GiB"
