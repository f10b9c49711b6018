"""Types of fields that resources share, and the base class of all resources."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.types import AllowInfNan
from pydantic_core import PydanticCustomError

MAX_INT = 2**63 - 1
"""SQLite's largest integer, and the largest of the API."""
TIME_MAX_US = 253_402_300_799_999_999
"""The last microsecond of the year 9999, the last that a datetime can represent."""
PRIORITY_MAX = 100
NAME_LENGTH_MAX = 200
LABELS_MAX = 32


def _json_number(value: object) -> object:
    """Accept JSON numbers only: pydantic would also accept strings and booleans."""
    if isinstance(value, bool | str):
        raise PydanticCustomError("number_type", "Input should be a number")
    return value


_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _json_time(value: object) -> object:
    """Accept RFC 3339 text only: pydantic would also accept Unix times, also as text."""
    is_text = isinstance(value, str) and _RFC_3339.fullmatch(value)
    if not is_text and not isinstance(value, datetime):
        raise PydanticCustomError(
            "time_format",
            "give an RFC 3339 date and time with its offset, such as 2031-05-01T08:00:00Z",
        )
    return value


def _storable(moment: datetime) -> datetime:
    """The same time in UTC, if it can be stored and shown again."""
    us = to_us(moment)
    if not 0 <= us <= TIME_MAX_US:
        raise PydanticCustomError("time_range", "Input should be from 1970 to 9999 in UTC")
    return from_us(us)


# Text from clients: no control characters, since it is shown in terminals, headers and logs.
Label = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
Labels = Annotated[dict[LabelKey, Label], Field(max_length=LABELS_MAX)]
Name = Annotated[str, StringConstraints(max_length=NAME_LENGTH_MAX, pattern=r"^[^\x00-\x1f\x7f]*$")]
Priority = Annotated[int, Field(ge=0, le=PRIORITY_MAX), BeforeValidator(_json_number)]
Slots = Annotated[int, Field(ge=1, le=1024), BeforeValidator(_json_number)]
Seconds = Annotated[
    float, Field(gt=0, le=10 * 366 * 86_400), AllowInfNan(False), BeforeValidator(_json_number)
]
Time = Annotated[AwareDatetime, AfterValidator(_storable), BeforeValidator(_json_time)]


class Model(BaseModel):
    """The base of all resources: immutable, and an unknown field is rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def empty_object() -> Any:
    """The default `{}` of a field; pydantic would deep-copy a literal one per model, for 9 µs."""
    return Field(default_factory=dict, json_schema_extra={"default": {}})


def to_us(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, the way every time is stored."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_us(us: int) -> datetime:
    """The aware UTC datetime of `us` microseconds since 1970-01-01."""
    return _EPOCH + timedelta(microseconds=us)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
