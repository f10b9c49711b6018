"""The library: the directory that keeps stories and cards between runs.

`stories/*.md`, `cards/*.json`, `registry.sqlite3`. A file in it is complete or absent: it is
written under a hidden name beside its own and renamed.
"""

import os
import re
import unicodedata
from hashlib import blake2b
from pathlib import Path

from pipelines.program import BadInput

SLUG_LIMIT_CHARS = 60


class Library:
    """The directory `root`, made if it is missing. Raises `BadInput` if that is impossible."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stories = root / "stories"
        self.cards = root / "cards"
        self.registry = root / "registry.sqlite3"
        try:
            self.stories.mkdir(parents=True, exist_ok=True)
            self.cards.mkdir(exist_ok=True)
        except OSError as error:
            raise BadInput(f"the library {root} cannot be used: {error.strerror}") from error


def library_root(option: str | None) -> Path:
    """The value of `--library`, otherwise PIPELINES_LIBRARY, otherwise ./library."""
    return Path(option or os.environ.get("PIPELINES_LIBRARY") or "library")


def write_whole(path: Path, text: str) -> None:
    """Write `path` so that a reader sees the old file or the new one, also after a kill."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def share(name: str, text: str) -> None:
    """Copy a file to HEADWAY_ARTIFACTS, if it is set."""
    if directory := os.environ.get("HEADWAY_ARTIFACTS"):
        Path(directory).mkdir(parents=True, exist_ok=True)
        write_whole(Path(directory) / name, text)


def slug(text: str, fallback: str) -> str:
    """`text` as a file name: ASCII letters, digits and hyphens, otherwise `fallback`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"['\u2019]", "", plain)
    name = re.sub(r"[^a-z0-9]+", "-", plain)[:SLUG_LIMIT_CHARS].strip("-")
    return name or fallback


def digest(text: str) -> str:
    """Eight hexadecimal digits that distinguish texts with the same slug."""
    return blake2b(text.encode(), digest_size=4).hexdigest()
