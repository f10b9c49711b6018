"""What a handler returns: a value or a body, with its status and headers."""

from collections.abc import AsyncIterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from headway.model.problem import Refusal
from web.api.problem import problem_of

T = TypeVar("T")


@dataclass(slots=True)
class Response(Generic[T]):
    """A value, or a body that is ready, or pieces of one to come; with its status and headers."""

    value: T | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    pieces: AsyncIterable[bytes] | None = None


def refused(refusal: Refusal) -> Response[Any]:
    """The problem document of a refusal."""
    status, body, headers = problem_of(refusal)
    return Response(status=status, body=body, headers=headers)
