"""Bodies of any size and of every shape that costs more than its size suggests, valid or not.

A shape makes a JSON value of about so many bytes; a place puts it into a request: as the params of
a Job, beside them, into a batch, or where no body is accepted.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

Shape = Callable[[int], bytes]


def _list_of(item: bytes) -> Shape:
    return lambda size: b"[" + b",".join([item] * max(1, size // (len(item) + 1))) + b"]"


def _numbered(form: str) -> Shape:
    """Items that differ."""

    def shape(size: int) -> bytes:
        count = max(1, size // (len(form % 0) + 5))
        return b"[" + ",".join(form % number for number in range(count)).encode() + b"]"

    return shape


def _keys(form: str) -> Shape:
    return lambda size: b"{" + _numbered(form)(size)[1:-1] + b"}"


def _text(piece: str, first: str = "") -> Shape:
    taken = len(piece.encode())
    return lambda size: f'"{first}{piece * max(1, size // taken)}"'.encode()


def _nested(opening: bytes, closing: bytes, depth: int) -> Shape:
    """Deeply nested arrays beside each other."""
    tower = opening * depth + b"1" + closing * depth
    return _list_of(tower)


SHAPES: dict[str, Shape] = {
    "ones": _list_of(b"1"),
    "floats": _list_of(b"1.5"),
    "integers of 4,000 digits": _list_of(b"9" * 4_000),
    "words": _numbered('"w%d"'),
    "empty strings": _list_of(b'""'),
    "empty arrays": _list_of(b"[]"),
    "empty objects": _list_of(b"{}"),
    "small objects": _list_of(b'{"a":1}'),
    "small objects that differ": _numbered('{"a":%d}'),
    "keys": _keys('"k%d":1'),
    "keys with wrong values": _keys('"k%d":{"a":[]}'),
    "a long text": _text("x"),
    "a long Korean text": _text("숲"),
    "a long text with an emoji": _text("x", "\U0001f600"),
    "a long escaped text": _text("\\u00e9"),
    "line breaks": _text("\\n"),
    "quotes": _text('\\"'),
    "commas in a text": _text(",[{"),
    "texts of 10 kB": _list_of(b'"' + b"x" * 10_000 + b'"'),
    "towers of 60": _nested(b"[", b"]", 60),
    "towers of objects": _nested(b'{"a":', b"}", 55),
    "a tower": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "a tower without end": lambda size: b"[" * size,
    "a number": lambda size: b"9" * size,
    "a fraction": lambda size: b"0." + b"9" * size,
    "white space": lambda size: b"[" + b" " * size + b"1]",
    "no end": lambda size: _list_of(b"1.5")(size)[:-1],
    "bad UTF-8 at the end": lambda size: _text("x")(size)[:-1] + b'\xff"',
    "a key twice at the end": lambda size: _keys('"k%d":1')(size)[:-1] + b',"k0":2}',
    "half a surrogate pair": lambda size: _text("\\ud83d\\ude00", "\\ud800")(size),
}


@dataclass(frozen=True, slots=True)
class BodyPlace:
    """Where a value is sent: the request, and the body around it."""

    method: str
    path: str
    before: bytes
    after: bytes

    def body(self, value: bytes) -> bytes:
        """The body."""
        return self.before + value + self.after


def _place(method: str, path: str, around: str) -> BodyPlace:
    before, after = around.split("%")
    return BodyPlace(method, path, before.encode(), after.encode())


PLACES: dict[str, BodyPlace] = {
    "params of any kind": _place("POST", "/jobs", '{"type":"free","params":{"any":%}}'),
    "params that must be words": _place("POST", "/jobs", '{"type":"strict","params":{"words":%}}'),
    "params as arguments": _place("POST", "/jobs", '{"type":"words","params":{"words":%}}'),
    "params": _place("POST", "/jobs", '{"type":"strict","params":%}'),
    "labels": _place("POST", "/jobs", '{"type":"true","labels":%}'),
    "an unknown field": _place("POST", "/jobs", '{"type":"true","x":%}'),
    "all of a Job": _place("POST", "/jobs", "%"),
    "a Job of a batch": _place(
        "POST", "/jobs/batch", '{"jobs":[{"type":"true"},{"type":"strict","params":{"words":%}}]}'
    ),
    "any Job of a batch": _place(
        "POST", "/jobs/batch", '{"jobs":[{"type":"free","params":{"any":%}}]}'
    ),
    "the Jobs of a batch": _place("POST", "/jobs/batch", '{"jobs":%}'),
    "beside the Jobs": _place("POST", "/jobs/batch", '{"x":%,"jobs":[{"type":"true"}]}'),
    "a preview": _place("POST", "/job-types/strict/preview", '{"params":{"words":%}}'),
    "any preview": _place("POST", "/job-types/free/preview", '{"params":{"any":%}}'),
    "a direct run": _place("POST", "/direct/strict", '{"params":{"words":%}}'),
    "a trigger": _place("POST", "/jobs/strict/trigger", '{"words":%}'),
    "a retry": _place("POST", "/jobs/job-none/retry", "%"),
    "a start": _place("POST", "/scheduler/start", "%"),
    "a stop": _place("POST", "/scheduler/stop", '{"wait_s":%}'),
    "limits": _place("PATCH", "/scheduler/config", '{"types":%}'),
    "a change": _place("PATCH", "/jobs/job-none", '{"labels":%}'),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyRequest:
    """One request of the fuzz, with its name. `status`: the one that it must get."""

    name: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int | None = None


def make(shape: str, place: str, size_bytes: int, **headers: str) -> BodyRequest:
    """A value of this shape in this place."""
    wanted = PLACES[place]
    extra = "".join(f", {name}" for name in headers)
    return BodyRequest(
        name=f"{shape} ({size_bytes:,} bytes) as {place}{extra}",
        method=wanted.method,
        path=wanted.path,
        headers=headers,
        body=wanted.body(SHAPES[shape](size_bytes)),
    )


def generate(random: Random, sizes_bytes: Sequence[int]) -> BodyRequest:
    """Any shape in any place, by any of the paths of a request through the server."""
    headers = {}
    if random.random() < 0.2:
        headers["Idempotency-Key"] = f"key-{random.getrandbits(32)}"
    if random.random() < 0.2:
        headers["Prefer"] = "wait=0"  # through Quart
    shape, place = random.choice(list(SHAPES)), random.choice(list(PLACES))
    return make(shape, place, random.choice(sizes_bytes), **headers)


def batch(count: int, status: int, **job: object) -> BodyRequest:
    """A batch of equal Jobs."""
    return BodyRequest(
        name=f"a batch of {count:,}: {json.dumps(job)[:40]}",
        method="POST",
        path="/jobs/batch",
        body=json.dumps({"jobs": [job] * count}).encode(),
        status=status,
    )
