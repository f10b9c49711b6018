"""`Idempotency-Key`: a request that creates something may be sent again without creating it twice.

How answers are kept is in `storage/idempotency.py`; which routes must take a key is decided in
`endpoint.py`.
"""

import hashlib
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from actors import messages as m
from config.weight import LIGHT_BYTES_MAX
from storage.idempotency import Key
from web.api.request import Call
from web.api.routes import Answer, Header
from web.context import Services

IdempotencyKey = Annotated[
    Annotated[str, Field(min_length=1, max_length=255)] | None,
    Header(
        "Idempotency-Key",
        "The same key with the same request within 24 hours gets the first answer again.",
    ),
]
REPLAYED = {"Idempotent-Replayed": "`true`: this is the first answer to the same key, again"}
"""For `headers` of a route that takes a key."""


async def request_key(services: Services, call: Call, key: str | None) -> Key | None:
    """The client's key, with what it stands for."""
    if key is None:
        return None
    body = await call.body()
    digest = partial(request_digest, call.method, call.path, body)
    if len(body) > LIGHT_BYTES_MAX:
        return Key(key=key, request=await services.body_runner.run(digest))
    return Key(key=key, request=digest())


def request_digest(method: str, path: str, body: bytes | bytearray) -> bytes:
    """SHA-256 of what makes two requests the same."""
    digest = hashlib.sha256(f"{method} {path}\n".encode())
    digest.update(body)
    return digest.digest()


async def create_once(services: Services, message: m.Creation, key: Key) -> Answer[Any]:
    """Carry out the message, or give the first answer to its key again."""
    done = await services.ask(m.Once(key=key, message=message))
    return Answer(body=done.response, headers=replay_headers(done))


def replay_headers(done: m.Submission) -> dict[str, str]:
    """`Location`, and whether the answer is a repeated one."""
    headers = {} if done.location is None else {"Location": done.location}
    if done.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers
