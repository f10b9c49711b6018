"""A run's output: pieces of it, and when they were written."""

from datetime import datetime

from headway.model.field import Model


class LogPiece(Model):
    """The data of one event of a log stream: text, the offset at which it begins, and its time."""

    text: str
    offset: int | None = None
    at: datetime | None = None


class LogTime(Model):
    """From byte `offset` on, up to the next entry's, the output was written by `at`, and after the
    entry before. Offsets count in the log's own file, as the ids of its event stream do."""

    offset: int
    at: datetime


class LogTimeList(Model):
    """At most 4,097 entries: 0.1 s apart, of a long run a 2,000th of its length.

    A run of less than 50 ms has one. What was written while no server watched has the time at which
    the next one saw it.
    """

    times: list[LogTime]
