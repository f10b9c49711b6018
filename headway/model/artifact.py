"""Artifact: a file that a program left in HEADWAY_ARTIFACTS."""

from headway.model.field import Model


class Artifact(Model):
    """A file that the program left in HEADWAY_ARTIFACTS; `name` is its path below it.

    `sha256` is null while it is being computed and for a file that cannot be read (see the run's
    `collection`). `kept` is false for a file beyond its type's limits, which was removed.
    """

    name: str
    size_bytes: int
    sha256: str | None
    kept: bool = True


class Collection(Model):
    """Whether all artifacts of a run are listed, checked and kept.

    Incomplete without a `reason`: the run has not ended, or its files are still being read.
    """

    complete: bool
    reason: str | None


class ArtifactList(Model):
    """Files that the program left in HEADWAY_ARTIFACTS, and whether these are all of them."""

    artifacts: list[Artifact]
    collection: Collection
