"""A TOML file and the lines of its keys.

Invariant: the line of a key is where it was first written, or that of the statement that contains
it. `tomllib` keeps no lines, but a TOML statement can be parsed on its own: `find_lines` parses the
file statement by statement. `settings.py` defines the keys.
"""

import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 256 * 1024

KeyPath = tuple[str | int, ...]
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
# Lines that can end a statement of several lines. The others are not tried.
_CLOSERS = ("]", "}", '"""', "'''")


class UnusableFile(Exception):
    """The file is not TOML; `line` is None if the whole file is at fault."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def read_text(path: Path, *, again: bool = False) -> str:
    """The text of a file of at most FILE_BYTES_MAX bytes. Raises UnusableFile.

    `again`: it was read before, so it must be a regular file. A pipe yields its text once; a second
    read gets nothing, or waits.
    """
    try:
        with open(path, "rb", opener=_open_at_once if again else None) as file:
            if again and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnusableFile(None, "make it a regular file: another cannot be read again")
            content = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnusableFile(None, f"name a file that can be read: {reason}") from error
    if len(content) > FILE_BYTES_MAX:
        raise UnusableFile(None, f"keep it below {FILE_BYTES_MAX} bytes")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnusableFile(line, "save it as UTF-8: this line holds something else") from error


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def parse(text: str) -> dict[str, Any]:
    """The document. Raises UnusableFile with the line of the first error."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise UnusableFile(None, "nest it less deeply") from error
    except ValueError as error:
        message = str(error)
        place = _PLACE.search(message)
        what = _PLACE.sub("", message)
        if place is None:
            raise UnusableFile(None, f"correct the TOML: {what}") from error
        if (
            place[1] is None
        ):  # at the end of the document: the fault is where the last statement began
            raise UnusableFile(_last_start(text), f"correct what begins here: {what}") from error
        where = f"correct the TOML: {what} (column {place[2]})"
        raise UnusableFile(int(place[1]), where) from error


def find_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key path of a valid document, items of arrays included."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    arrays: dict[KeyPath, int] = {}
    for line, statement, is_whole in _statements(text):
        if not is_whole:
            break
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _header_path(parsed, arrays)
            paths: Iterator[KeyPath] = iter([table])
        else:
            paths = ((*table, *path) for path in _paths(parsed))
        for path in paths:
            for length in range(1, len(path) + 1):
                lines.setdefault(path[:length], line)
    return lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a key path, or of the nearest table that contains it."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return None


def _statements(text: str) -> Iterator[tuple[int, str, bool]]:
    """Each statement with its first line; the last one may be incomplete."""
    pending: list[str] = []
    start = 1
    # Not splitlines(): TOML knows no line end but "\n".
    for number, line in enumerate(text.split("\n"), start=1):
        if not pending:
            start = number
        pending.append(line)
        if len(pending) > 1 and not any(closer in line for closer in _CLOSERS):
            continue
        statement = "\n".join(pending)
        if _is_toml(statement):
            yield start, statement, True
            pending = []
    if pending:
        yield start, "\n".join(pending), False


def _is_toml(statement: str) -> bool:
    try:
        tomllib.loads(statement)
    except (ValueError, RecursionError):
        return False
    return True


def _last_start(text: str) -> int:
    return max(line for line, statement, _ in _statements(text) if statement.strip())


def _header_path(parsed: Any, arrays: dict[KeyPath, int]) -> KeyPath:
    """The path of `[table]` or `[[array]]`; a table below an array belongs to its last item."""
    path: KeyPath = ()
    while parsed:
        ((name, parsed),) = parsed.items()
        path = (*path, name)
        if isinstance(parsed, list):
            arrays[path] = arrays.get(path, -1) + 1
            return (*path, arrays[path])
        if path in arrays:
            path = (*path, arrays[path])
    return path


def _paths(value: Any) -> Iterator[KeyPath]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield (key,)
        for path in _paths(item):
            yield (key, *path)
