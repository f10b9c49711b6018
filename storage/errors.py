"""Errors of the storage layer.

A `Refusal` is an answer, not an accident: it has a stable `code` of the contract, travels back
through the ask that caused it, and leaves the database as it was. What each code means over HTTP
stands in `web/api/problem.py`; nothing here knows of HTTP.

`StorageFailed` is the other kind: the outcome of a commit is unknown, and the only honest next
step is to stop the process and let the next start decide by fact.
"""


class StorageFailed(Exception):
    """The disk failed during a commit, whose outcome is unknown: the process must end."""


class DataDirectoryInUse(Exception):
    """Another server holds the data directory; the message names its process."""


class ExposedDirectory(Exception):
    """Others own the data directory or may enter it; the message has the command that helps."""


class OlderDatabase(Exception):
    """The database was written by an older headway, and only a server brings it up to date."""


class NewerDatabase(Exception):
    """The database was written by a newer headway and was left untouched."""


class DamagedDatabase(Exception):
    """SQLite found faults in the file, and it was left untouched; the message names the pages."""
