"""Artifact: a file that a program left to be kept."""

from headway.model.field import Model


class Artifact(Model):
    """A file that the program left in HEADWAY_ARTIFACTS; `name` is its path below it.

    `sha256` null: it is not known yet, or the file cannot be read (see the run's `collection`).
    `kept` false: it was beyond the limits of its type, and was removed.
    """

    name: str
    size_bytes: int
    sha256: str | None
    kept: bool = True


class Collection(Model):
    """Whether all that the run has left is listed, checked and kept.

    Not complete without a `reason`: it still runs, or its files are still being read.
    """

    complete: bool
    reason: str | None


class ArtifactList(Model):
    artifacts: list[Artifact]
    collection: Collection
