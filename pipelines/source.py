"""Sources: text files, found below given paths and divided into passages.

A file that is not text (it has a NUL byte, or is not UTF-8) or cannot be read is left out with a
note. Directories are walked without following symbolic links or entering hidden ones.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.program import BadInput

DOCUMENTS = Path(__file__).parent / "documents"
PASSAGE_LEAST_CHARS = 60
PASSAGE_LIMIT_CHARS = 900
TITLE_LIMIT_CHARS = 100
FILE_LIMIT_BYTES = 8 * 2**20
TOTAL_LIMIT_BYTES = 128 * 2**20
FILES_LIMIT = 20_000
NOTES_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage of a source before the search. `title` is that of the whole source."""

    source: str
    title: str
    text: str


@dataclass(slots=True)
class Sources:
    """What has been read so far. `note` receives a line for every file that was left out."""

    note: Callable[[str], None]
    pieces: list[Piece] = field(default_factory=list)
    files: int = 0
    skipped: int = 0
    _bytes: int = 0

    def read(self, path: Path, label: str) -> None:
        """Read the file or directory `path`, to be cited as `label`. `BadInput` if missing."""
        if path.is_dir():
            for file in files_under(path):
                if self._full():
                    return
                self._take(file, f"{label}/{file.relative_to(path).as_posix()}")
        elif path.is_file():
            self._take(path, label)
        else:
            raise BadInput(f"source {str(path)!a} is neither a file nor a directory")

    def _full(self) -> bool:
        full = self.files >= FILES_LIMIT or self._bytes >= TOTAL_LIMIT_BYTES
        if full:
            self.note(
                f"stopped reading at {self.files} files and {self._bytes} bytes;"
                f" the limits are {FILES_LIMIT} and {TOTAL_LIMIT_BYTES}"
            )
        return full

    def _take(self, file: Path, label: str) -> None:
        label = os.fsencode(label).decode("utf-8", "replace")
        try:
            text = read_text(file)
        except (OSError, ValueError) as error:
            self.skipped += 1
            if self.skipped <= NOTES_LIMIT:
                self.note(f"skipped {label}: {error}")
            return
        self.files += 1
        self._bytes += len(text)
        title = f"{title_of(text)} {file.stem}"
        self.pieces.extend(Piece(label, title, passage) for passage in passages(text))


def files_under(directory: Path) -> Iterator[Path]:
    """Every regular file under `directory`, sorted by name."""
    for parent, directories, files in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(files):
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path


def read_text(file: Path) -> str:
    """The text of `file`. Raises OSError, or ValueError with the reason why it is not text."""
    with file.open("rb") as stream:
        content = stream.read(FILE_LIMIT_BYTES + 1)
    if len(content) > FILE_LIMIT_BYTES:
        raise ValueError(f"larger than {FILE_LIMIT_BYTES} bytes")
    if b"\0" in content:
        raise ValueError("not a text file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("not text in UTF-8") from error


def title_of(text: str) -> str:
    """The first line of `text`, if it is short enough to be a title."""
    line = text.lstrip().partition("\n")[0].strip("#* \t\r")
    return line if len(line) <= TITLE_LIMIT_CHARS else ""


def passages(text: str) -> Iterator[str]:
    """The paragraphs of `text`, long ones in parts. Headings and asides in italics are left out."""
    for block in re.split(r"\n[ \t\r]*\n", text):
        paragraph = " ".join(re.sub(r"(?m)^\s*>\s?", "", block).split())
        aside = paragraph.startswith("*") and paragraph.endswith("*")
        if len(paragraph) >= PASSAGE_LEAST_CHARS and not paragraph.startswith("#") and not aside:
            yield from parts(paragraph)


def parts(paragraph: str) -> Iterator[str]:
    """`paragraph` in parts of at most PASSAGE_LIMIT_CHARS, cut at a sentence, otherwise at a
    word.
    """
    while len(paragraph) > PASSAGE_LIMIT_CHARS:
        head = paragraph[:PASSAGE_LIMIT_CHARS]
        cut = max(head.rfind(end) + 1 for end in (". ", "! ", "? ", "。"))
        if cut < PASSAGE_LIMIT_CHARS // 3:
            cut = head.rfind(" ") if " " in head else PASSAGE_LIMIT_CHARS
        yield paragraph[:cut].strip()
        paragraph = paragraph[cut:].strip()
    if paragraph:
        yield paragraph
