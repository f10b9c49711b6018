"""Limits on what is read and kept of what one run leaves."""

from dataclasses import dataclass

ARTIFACT_LIMIT_BYTES = 10 * 1024**3
ARTIFACT_LIMIT_FILES = 10_000
NAMES_MAX = 100_000
"""How many names are read, or ten times the limit of files if that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepLimits:
    """Limits on what is kept of one run."""

    bytes: int = ARTIFACT_LIMIT_BYTES
    files: int = ARTIFACT_LIMIT_FILES

    @property
    def names(self) -> int:
        """How many names are read."""
        return max(NAMES_MAX, 10 * self.files)


REPORT_LIMIT_BYTES = 16 * 1024 * 1024
"""The default limit on the bytes read of a report; of a longer one only the end is read."""
