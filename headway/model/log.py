"""A run's output: pieces of it, and when they were written."""

from datetime import datetime

from pydantic import BaseModel


class LogPiece(BaseModel):
    """One event of a log that is followed: where its text begins, and when that was written."""

    text: str
    offset: int | None = None
    at: datetime | None = None


class LogTime(BaseModel):
    """From `offset` on, up to the next entry's, the output was written by `at`."""

    offset: int
    at: datetime


class LogTimeList(BaseModel):
    times: list[LogTime]
