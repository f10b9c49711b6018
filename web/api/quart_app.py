"""Quart: a task for each request that streams or waits, which ends when its client goes away.

It starts no handler by a table of its own: the router that both request paths share finds the
operation, and its response writes itself. Imported when the port is open, since Quart and what it
imports take a quarter of a start.
"""

from collections.abc import Callable
from typing import Any

from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection

from web.api.request import Request
from web.api.response import Response
from web.api.router import Router


class _RequestTask(TrioASGIHTTPConnection):
    app: "QuartApp"

    async def _send_response(self, send: Any, response: Any) -> None:
        await response.send(send, closing=self.app.is_draining())


class QuartApp(QuartTrio):
    """ASGI app: every operation of the router. Bodies were limited before they come here."""

    asgi_http_class = _RequestTask

    def __init__(self, router: Router, is_draining: Callable[[], bool]) -> None:
        super().__init__("web", static_folder=None)
        self.config.update(MAX_CONTENT_LENGTH=None, BODY_TIMEOUT=None, RESPONSE_TIMEOUT=None)
        self.router = router
        self.is_draining = is_draining

    async def handle_request(self, request: Any) -> Response[Any]:  # type: ignore[override]
        """The response to one request of Quart's."""
        return await self.router.respond(Request(request.scope, await request.get_data()))
