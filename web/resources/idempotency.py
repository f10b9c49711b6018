"""`Idempotency-Key`: a request that creates something may be sent again without creating it twice.

How answers are kept is in `storage/idempotency.py`; which routes must take a key is decided in
`endpoint.py`.
"""

import hashlib
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from actors import messages as m
from actors.actor import Ask
from config.weight import LIGHT_BYTES_MAX
from storage.idempotency import Key
from web.api.request import Request
from web.api.response import Response
from web.api.routes import Header
from web.context import Context

IdempotencyKey = Annotated[
    Annotated[str, Field(min_length=1, max_length=255)] | None,
    Header(
        "Idempotency-Key",
        "The same key with the same request within 24 hours gets the first answer again.",
    ),
]
REPLAYED = {"Idempotent-Replayed": "`true`: this is the first answer to the same key, again"}
"""For `headers` of a route that takes a key."""


async def request_key(context: Context, request: Request, key: str | None) -> Key | None:
    """The client's key, with what it stands for."""
    if key is None:
        return None
    body = request.body
    digest = partial(request_digest, request.method, request.path, body)
    if len(body) > LIGHT_BYTES_MAX:
        return Key(key=key, request=await context.body_runner.run(digest))
    return Key(key=key, request=digest())


def request_digest(method: str, path: str, body: bytes | bytearray) -> bytes:
    """SHA-256 of what makes two requests the same."""
    digest = hashlib.sha256(f"{method} {path}\n".encode())
    digest.update(body)
    return digest.digest()


async def create_once(context: Context, message: Ask[Any], key: Key) -> Response[Any]:
    """Carry out the message, or give the first answer to its key again."""
    done = await context.ask(m.Once(key=key, message=message))
    return Response(body=done.response, headers=replay_headers(done))


def replay_headers(done: m.Submission) -> dict[str, str]:
    """`Location`, and whether the answer is a repeated one."""
    headers = {} if done.location is None else {"Location": done.location}
    if done.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers
