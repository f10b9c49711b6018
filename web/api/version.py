"""Which headway this is."""

from functools import cache
from importlib.metadata import version


@cache
def installed_version() -> str:
    """Its version; read once, since the file it stands in may not be readable every time."""
    return version("headway")
