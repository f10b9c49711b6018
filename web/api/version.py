"""The version of the installed headway."""

from functools import cache
from importlib.metadata import version


@cache
def installed_version() -> str:
    """The version, read once: later its file may be unreadable, for lack of descriptors."""
    return version("headway")
