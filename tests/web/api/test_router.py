"""The straight way to a handler: which requests take it, and what it does with their bodies."""

from typing import Annotated, Any

import pytest
import trio
from trio.testing import MockClock

from actors.runner import InlineRunner, ThreadRunner
from web.api.response import Response, refused
from web.api.router import ASGI, BODY_TIMEOUT_S, TOO_SLOW, Express, Later
from web.api.routes import Body, Routes

JSON = {"content-type": "application/json"}


@pytest.fixture
def routes() -> Routes:
    routes = Routes()
    common: dict[str, Any] = {"tag": "test", "summary": "for the test"}

    @routes.add("POST", "/things", **common)
    async def make(body: Annotated[list[int], Body()]) -> int:
        return sum(body)

    @routes.add("GET", "/things/{name}", **common)
    async def get(name: str) -> str:
        return name

    @routes.add("GET", "/things/first", **common)
    async def first() -> str:
        return "the first"

    @routes.add("POST", "/wait", waits=True, **common)
    async def wait() -> str:
        return "waited"

    return routes


def scope(method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


class Driver:
    """Speaks ASGI to `Express`; what goes on to the other app is told as status 0."""

    def __init__(self, routes: Routes) -> None:
        self.express = Express(routes, self._otherwise, max_body_bytes=10)
        self.sent: list[Any] = []

    async def _otherwise(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 0, "headers": []})

    async def ask(
        self,
        method: str,
        path: str,
        *pieces: bytes | None,
        headers: dict[str, str] | None = None,
    ) -> int | None:
        """The status, or None without an answer. A piece None: the client goes away."""
        left = list(pieces) or [b""]

        async def receive() -> Any:
            if not left:
                await trio.sleep_forever()
            if (piece := left.pop(0)) is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": piece, "more_body": piece != b""}

        async def send(message: Any) -> None:
            self.sent.append(message)

        self.sent.clear()
        await self.express(scope(method, path, headers or JSON), receive, send)
        return self.sent[0]["status"] if self.sent else None


@pytest.fixture
def driver(routes: Routes) -> Driver:
    return Driver(routes)


async def test_a_body_in_pieces_is_put_together(driver: Driver) -> None:
    assert await driver.ask("POST", "/things", b"[1,", b"2]", b"") == 200
    assert driver.sent[1]["body"] == b"3"


async def test_a_fixed_path_goes_before_one_with_a_name(driver: Driver) -> None:
    assert await driver.ask("GET", "/things/first") == 200
    assert driver.sent[1]["body"] == b'"the first"'
    assert await driver.ask("GET", "/things/second") == 200
    assert driver.sent[1]["body"] == b'"second"'


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/wait", None),
        ("POST", "/things", {**JSON, "prefer": "wait=1"}),
        ("GET", "/things/a%2Fb", None),
        ("GET", "/things/", None),
        ("GET", "/nothing", None),
        ("HEAD", "/things/first", None),
        ("DELETE", "/things/first", None),
    ],
)
async def test_all_else_goes_on(
    driver: Driver, method: str, path: str, headers: dict[str, str] | None
) -> None:
    assert await driver.ask(method, path, b"[1]", b"", headers=headers) == 0


async def test_a_body_that_says_its_size_is_refused_before_it_comes(driver: Driver) -> None:
    headers = {**JSON, "content-length": "11"}
    assert await driver.ask("POST", "/things", None, headers=headers) == 413


async def test_a_body_that_grows_too_large_is_refused(driver: Driver) -> None:
    assert await driver.ask("POST", "/things", b"[1,", b"2,3,4,5,6]", b"") == 413


async def test_a_body_that_does_not_come_is_refused(
    driver: Driver, autojump_clock: MockClock
) -> None:
    begin = trio.current_time()
    assert await driver.ask("POST", "/things", b"[1,") == refused(TOO_SLOW).status == 408
    assert trio.current_time() - begin == pytest.approx(BODY_TIMEOUT_S)


async def test_a_client_that_went_away_gets_no_answer(driver: Driver) -> None:
    assert await driver.ask("POST", "/things", b"[1,", None) is None


async def test_a_body_that_nobody_wants_is_read(driver: Driver) -> None:
    headers = {"content-length": "3"}
    assert await driver.ask("GET", "/things/first", b"[1]", b"", headers=headers) == 200
    assert await driver.ask("GET", "/things/first", b"[1]", None, headers=headers) is None


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/wait", {}),
        ("POST", "/things", {"prefer": "wait=1"}),
        ("POST", "/things", {"content-length": "11"}),  # ASGI's way refuses it
        ("POST", "/things", {"transfer-encoding": "chunked"}),
    ],
)
def test_what_needs_more_than_a_body_is_not_for_at_once(
    driver: Driver, method: str, path: str, headers: dict[str, str]
) -> None:
    assert driver.express.at_once(scope(method, path, headers)) is None


async def test_at_once_answers_as_asgi_does(driver: Driver) -> None:
    answer = driver.express.at_once(scope("POST", "/things", {**JSON, "content-length": "5"}))
    assert answer is not None
    done = await answer(b"[1,2]")
    assert await driver.ask("POST", "/things", b"[1,2]", b"") == done.status == 200
    assert driver.sent[1]["body"] == done.body == b"3"


async def test_the_typed_answer_keeps_its_own_content_type(routes: Routes) -> None:
    @routes.add("GET", "/special", tag="test", summary="for the test")
    async def special() -> Response[str]:
        return Response(body=b"{}", headers={"Content-Type": "application/special+json"})

    driver = Driver(routes)
    assert await driver.ask("GET", "/special") == 200
    assert (b"content-type", b"application/special+json") in driver.sent[0]["headers"]


class TestLater:
    """The app that is made when it is wanted."""

    @pytest.fixture
    def made(self) -> list[str]:
        """What was asked of the app, behind a line for each time that it was made."""
        return []

    def later(self, made: list[str], runner: Any) -> Later:
        def make() -> ASGI:
            made.append("made")

            async def app(scope: Any, receive: Any, send: Any) -> None:
                made.append(scope)

            return app

        return Later(make, runner)

    async def test_it_is_made_once_whoever_asks(self, made: list[str]) -> None:
        with ThreadRunner("making") as runner, trio.fail_after(10):
            later = self.later(made, runner)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(later.made)
                nursery.start_soon(later, "a", None, None)
                nursery.start_soon(later, "b", None, None)
            await later("c", None, None)
        assert (made[0], sorted(made[1:])) == ("made", ["a", "b", "c"])

    async def test_nothing_is_made_before(self, made: list[str]) -> None:
        self.later(made, InlineRunner())
        assert made == []
