"""Filters of `GET /events`."""

from collections.abc import Sequence
from typing import TypedDict


class EventFilter(TypedDict, total=False):
    """Filters of `GET /events`: `kind` may be a beginning like `run.`."""

    type: Sequence[str]
    kind: Sequence[str]
