"""The files that a run leaves as artifacts: list, check, keep or remove them.

Plain functions on the directory of a run, for a thread: they check `stop` between their steps.
Limits count the size on disk, not the length. The same files are kept each time, so a collection
can be repeated after any crash.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from actors.host import process_tree
from actors.host.file_tree import (
    DEPTH_MAX,
    FoundFile,
    Walk,
    database_files,
    open_below,
    open_descriptor,
    open_directory,
    opened_directory,
    shown,
)
from actors.run.trash import Trash
from actors.runner import StopFlag
from config.run_limits import NAMES_MAX, KeepLimits
from headway.model.artifact import Artifact

NOT_KEPT_MAX = 100
"""How many files that are not kept are listed by name."""
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The artifacts of a run. `kept` and `not_kept` are sorted by name; `faults`: why they are
    incomplete.

    `exceeds`: some files are beyond the limits, and must be removed. `failed`: the files were not
    read.
    """

    kept: tuple[Artifact, ...] = ()
    not_kept: tuple[Artifact, ...] = ()
    faults: tuple[str, ...] = ()
    exceeds: bool = False
    failed: bool = False

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Everything that is listed in the run."""
        return (*self.kept, *self.not_kept)


@dataclass(slots=True, kw_only=True)
class _Selection:
    """The files found so far, divided by the limits."""

    limits: KeepLimits
    kept: list[Artifact] = field(default_factory=list)
    not_kept: list[Artifact] = field(default_factory=list)
    kept_bytes: int = 0
    beyond: int = 0
    own: int = 0
    unread: int = 0
    why: str = ""

    def admits(self, found: FoundFile) -> bool:
        """Whether the file is within the limits; if so it is counted."""
        bytes_ = self.kept_bytes + found.allocated_bytes
        if len(self.kept) >= self.limits.files or bytes_ > self.limits.bytes:
            return False
        self.kept_bytes = bytes_
        return True

    def keep(self, found: FoundFile, digest: str | OSError | None) -> None:
        """Add a file that is kept, even if it cannot be read."""
        if isinstance(digest, OSError):
            self.unread += 1
            self.why = self.why or f"{shown(found.path)}: {digest.strerror}"
            digest = None
        name, size = shown(found.path), found.seen.st_size
        self.kept.append(Artifact(name=name, size_bytes=size, sha256=digest))

    def pass_over(self, found: FoundFile) -> None:
        """Count a file that is not kept."""
        self.beyond += 1
        if len(self.not_kept) < NOT_KEPT_MAX:
            name, size = shown(found.path), found.seen.st_size
            self.not_kept.append(Artifact(name=name, size_bytes=size, sha256=None, kept=False))

    def listing(self, walk: Walk) -> Listing:
        """The result of a complete walk."""
        return Listing(
            kept=tuple(sorted(self.kept, key=_name)),
            not_kept=tuple(sorted(self.not_kept, key=_name)),
            faults=tuple(self._faults(walk)),
            exceeds=bool(self.beyond or self.own or walk.unseen or walk.is_cut),
        )

    def _faults(self, walk: Walk) -> Iterator[str]:
        limits = self.limits
        if self.beyond:
            yield (
                f"{self.beyond} files were not kept: its type keeps at most {limits.files} files"
                f" and {limits.bytes} bytes"
            )
        if self.own:
            yield f"{self.own} names of the server's own database were not kept"
        if walk.unseen:
            yield f"{walk.unseen} directories lie more than {DEPTH_MAX} deep and were not kept"
        if walk.is_cut:
            yield f"it left more than {limits.names} names: what came after them was not kept"
        if walk.unread or self.unread:
            why = walk.why or self.why
            yield f"{walk.unread + self.unread} names could not be read ({why})"


def _name(artifact: Artifact) -> str:
    return artifact.name


def list_artifacts(
    run: Path, limits: KeepLimits, stop: StopFlag, digests: dict[str, str] | None = None
) -> Listing:
    """List every regular file below artifacts/, sorted by name; no links.

    With `digests` also compute SHA-256, stored there by name unless it is there already.

    Raises:
        Stopped: the caller was cancelled.
        OSError: the directory cannot be opened, or no descriptor is free.
    """
    return _walk_through(run, limits, stop, digests, None)


def remove_beyond(run: Path, limits: KeepLimits, stop: StopFlag, trash: Trash) -> Listing:
    """`list_artifacts`, and remove what is beyond the limits."""
    return _walk_through(run, limits, stop, None, trash)


def _walk_through(
    run: Path,
    limits: KeepLimits,
    stop: StopFlag,
    digests: dict[str, str] | None,
    trash: Trash | None,
) -> Listing:
    tally = _Selection(limits=limits)
    own = database_files(run)
    with opened_directory(run) as root:
        try:
            top = open_directory("artifacts", root)
        except FileNotFoundError:
            return Listing()
        except NotADirectoryError:
            why = "something else lies where its artifacts were"
            return Listing(faults=(why,), failed=True)
        except PermissionError as error:
            why = f"its artifacts cannot be read: {error.strerror}"
            return Listing(faults=(why,), failed=True)
        try:
            aside = None if trash is None else trash.put
            walk = Walk(top=top, stop=stop, entries_max=limits.names, aside=aside)
            for found in walk.files():
                if found.identity in own:
                    tally.own += 1
                elif tally.admits(found):
                    tally.keep(
                        found, None if digests is None else _digest(found, run, digests, stop)
                    )
                    continue
                else:
                    tally.pass_over(found)
                if trash is not None:
                    with suppress(OSError):
                        os.unlink(found.name, dir_fd=found.dir_fd)
        finally:
            os.close(top)
    return tally.listing(walk)


def _digest(found: FoundFile, run: Path, digests: dict[str, str], stop: StopFlag) -> str | OSError:
    """The SHA-256 of as many bytes as the file had when it was found, or the error."""
    name = shown(found.path)
    if name not in digests:
        try:
            digests[name] = _read(found, run, stop)
        except OSError as error:
            if error.errno in process_tree.SCARCE:
                raise
            return error
    return digests[name]


def _read(found: FoundFile, run: Path, stop: StopFlag) -> str:
    digest, left = hashlib.sha256(), found.seen.st_size
    descriptor = open_descriptor(found.name, dir_fd=found.dir_fd, run=run)
    try:
        while left > 0 and (piece := os.read(descriptor, min(left, PIECE_BYTES))):
            stop.check()
            digest.update(piece)
            left -= len(piece)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def open_artifact(run: Path, name: str) -> int:
    """Open the file that is listed as `name`; the caller closes it.

    Raises:
        OSError: it is gone, is something else now, or may not be read.
    """
    with opened_directory(run) as root, opened_directory("artifacts", root) as top:
        try:
            return open_below(top, name, run)
        except FileNotFoundError:
            if "\\x" not in name:
                raise
        # Listed in escapes, because its name is not UTF-8.
        for found in Walk(top=top, stop=StopFlag(), entries_max=NAMES_MAX).files():
            if shown(found.path) == name:
                return open_descriptor(found.name, dir_fd=found.dir_fd, run=run)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
