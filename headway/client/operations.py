"""The base of the asynchronous operations on one noun of the API."""

from collections.abc import Mapping
from typing import Any

from headway.client.session import R, Session


class Operations:
    """Operations that send their requests through one session."""

    _session: Session

    async def _create(
        self, made: type[R], path: str, body: Mapping[str, Any] | None, key: str | None
    ) -> R:
        """POST a new resource; with an `Idempotency-Key` the request may be repeated."""
        headers = {} if key is None else {"Idempotency-Key": key}
        repeatable = key is not None
        return await self._session.ask(
            made, "POST", path, body=body, headers=headers, repeatable=repeatable
        )
