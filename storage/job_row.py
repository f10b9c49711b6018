"""How a Job is stored in its row: the only list of the columns of `jobs`, read and written.

Invariant: `hold` is why a QUEUED Job may not start although a slot may be free. Those with 'none'
are in the index of dispatch, and no others; a Job that has left the queue has 'none'.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

from pydantic_core import from_json, to_json

from headway.model.field import from_us, to_us
from headway.model.job import Job, JobStatus, NewJob, Progress

Hold = Literal["none", "time"]
"""'time': its `run_at` has not come."""
HOLDS: tuple[Hold, ...] = get_args(Hold)
STARTABLE = "status = 'QUEUED' AND hold = 'none'"
"""The condition of the index of dispatch, which a query must repeat."""
NOT_DUE = "status = 'QUEUED' AND hold = 'time'"


class _Field(NamedTuple):
    """A field of Job: the SQL that reads it, and what is made of a value that is not null."""

    sql: str
    decode: Callable[[Any], Any] | None = None


def _decode_labels(text: str) -> dict[str, str]:
    return {} if text == "{}" else from_json(text)


def _decode_duration(duration_us: int) -> float:
    return duration_us / 1e6


def _decode_progress(text: str) -> Progress:
    return Progress.model_construct(**from_json(text))


_FIELDS = {
    "position": _Field("position"),
    "job_id": _Field("job_id"),
    "type": _Field("type"),
    "status": _Field("status", JobStatus),
    "params": _Field("params", from_json),
    "priority": _Field("priority"),
    "name": _Field("name"),
    "labels": _Field("labels", _decode_labels),
    "run_at": _Field("run_at", from_us),
    "expires_at": _Field("expires_at", from_us),
    "timeout_s": _Field("timeout_s"),
    "retry_of": _Field("retry_of"),
    "origin": _Field("origin"),
    "created_at": _Field("created_at", from_us),
    "started_at": _Field("started_at", from_us),
    "finished_at": _Field("finished_at", from_us),
    "duration_s": _Field("coalesce(duration_us, finished_at - started_at)", _decode_duration),
    "progress": _Field("progress", _decode_progress),
    "reason": _Field("reason"),
    "version": _Field("version"),
}
COLUMNS = ", ".join(field.sql for field in _FIELDS.values())
PARAMS_AT = list(_FIELDS).index("params")
LISTED_COLUMNS = ", ".join(
    "iif(octet_length(params) <= ?, params, NULL)" if name == "params" else field.sql
    for name, field in _FIELDS.items()
)
"""The same, without params that are longer than so many bytes."""
_DECODERS = [(name, field.decode) for name, field in _FIELDS.items() if field.decode is not None]
_UNSET = dict.fromkeys(_FIELDS)


def job_from_row(row: tuple[Any, ...]) -> Job:
    """Build a Job from `COLUMNS` by position (a row factory costs four times as much)."""
    return _job(dict(zip(_FIELDS, row, strict=True)))


def _job(fields: dict[str, Any]) -> Job:
    for name, decode in _DECODERS:
        if (value := fields[name]) is not None:
            fields[name] = decode(value)
    return Job.model_construct(**fields)


NEW_COLUMNS = (
    *("job_id", "type", "status", "params", "priority", "name", "labels", "run_at", "hold"),
    *("expires_at", "timeout_s", "retry_of", "origin", "created_at", "version"),
)
"""Those that a new Job sets; the others are null."""
INSERT = "INSERT INTO jobs ({}) VALUES ({})".format(
    ", ".join(NEW_COLUMNS),
    # As text it would take four times as much memory for its widest character.
    ", ".join("CAST(? AS TEXT)" if name == "params" else "?" for name in NEW_COLUMNS),
)
NewRow = tuple[Any, ...]
RUN_AT, HOLD = map(NEW_COLUMNS.index, ("run_at", "hold"))


def new_row(now: int, job_id: str, new: NewJob, origin: str, retry_of: str | None) -> NewRow:
    """What is stored of a new Job, in the order of `NEW_COLUMNS`. A batch makes 10,000 of them."""
    run_at = None if new.run_at is None else to_us(new.run_at)
    return (
        job_id,
        new.type,
        "QUEUED",
        to_json(new.params),
        new.priority,
        new.name,
        to_json(new.labels).decode() if new.labels else "{}",
        run_at,
        hold_of(run_at, now),
        None if new.expires_at is None else to_us(new.expires_at),
        new.timeout_s,
        retry_of,
        origin,
        now,
        1,
    )


def job_from_new(
    now: int, position: int, job_id: str, new: NewJob, *, origin: str, retry_of: str | None
) -> Job:
    """The Job as it will be read, without reading it."""
    fields: dict[str, Any] = {**_UNSET, **new.__dict__}
    for name in ("run_at", "expires_at"):
        if fields[name] is not None:  # in UTC, in whole microseconds
            fields[name] = from_us(to_us(fields[name]))
    return Job.model_construct(
        **fields
        | {
            "position": position,
            "job_id": job_id,
            "status": JobStatus.QUEUED,
            "origin": origin,
            "retry_of": retry_of,
            "created_at": from_us(now),
            "version": 1,
        }
    )


def hold_of(run_at: int | None, now: int) -> Hold:
    """Why a QUEUED Job with this `run_at` (µs) may not start."""
    return "time" if run_at is not None and run_at > now else "none"
