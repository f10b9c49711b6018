"""Event: a committed change of a Job, a run or the scheduler."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

from headway.model.field import Model


class EventView(Model):
    """An event as `GET /events` sends it. `seq` null: it is live only, and was not committed.

    `actor` caused it: `system` until access control exists.
    """

    seq: int | None
    at: datetime
    kind: str
    job_id: str | None
    run_id: str | None
    actor: str = "system"
    data: dict[str, Any]


class EventQuery(TypedDict, total=False):
    """Filters of `GET /events`: `kind` may be a beginning like `run.`."""

    type: Sequence[str]
    kind: Sequence[str]
