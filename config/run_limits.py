"""How much of what one run leaves is read and kept."""

from dataclasses import dataclass

ARTIFACT_LIMIT_BYTES = 10 * 1024**3
ARTIFACT_LIMIT_FILES = 10_000
NAMES_MAX = 100_000
"""How many names are looked at, with ten times the limit of files if that is more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepLimits:
    """How much of what one run leaves is kept."""

    bytes: int = ARTIFACT_LIMIT_BYTES
    files: int = ARTIFACT_LIMIT_FILES

    @property
    def names(self) -> int:
        """How many names are looked at."""
        return max(NAMES_MAX, 10 * self.files)


REPORT_LIMIT_BYTES = 16 * 1024 * 1024
"""How much of a report is read, if its type does not say otherwise; then only its end."""
