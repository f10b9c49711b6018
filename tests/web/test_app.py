"""The app and its guard: whose requests pass, and that nothing ends in a stack trace."""

import errno
import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.runner import InlineRunner, ThreadRunner
from headway.model.problem import CODES, STATUS
from web.api.guard import ASGI
from web.api.response import Response
from web.app import App, LazyApp, make_app, make_routes
from web.context import Context
from web.json.size import BODY_BYTES_MAX
from web.server.request_cycle import Accepted


class AsgiClient:
    """Speaks ASGI to the guard."""

    def __init__(self, guard: Any) -> None:
        self.guard = guard

    async def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | list[tuple[str, str]],
        body: bytes = b"",
    ) -> tuple[int, dict[str, str], bytes]:
        pairs = headers.items() if isinstance(headers, dict) else headers
        raw_path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.1"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": raw_path,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8787),
            "state": {},
            "extensions": {},
        }
        sent: list[Any] = []
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if not given:
                await trio.sleep_forever()
            return given.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.guard(scope, receive, send)
        start = sent[0]
        fields = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return start["status"], fields, b"".join(part.get("body", b"") for part in sent[1:])


@pytest.fixture
def wire(context: Context) -> Any:
    return AsgiClient(make_app(context))


LOCAL = {"Host": "127.0.0.1:8787"}


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("127.0.0.1:8787", True),
        ("127.0.0.1", True),
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("[::1]:8787", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:8787", False),
        ("0.0.0.0:8787", False),
        ("", False),
        ("[::1", False),
        ("::1", False),
        (":8787", False),
    ],
)
async def test_the_host_must_be_ours(wire: Any, host: str, passes: bool) -> None:
    status, _, body = await wire.ask("GET", "/health", {"Host": host})
    assert status == (200 if passes else 421)
    assert passes or json.loads(body)["code"] == "bad_host"


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1", "evil.example"], ["localhost", "localhost"]])
async def test_there_is_exactly_one_host(wire: Any, hosts: list[str]) -> None:
    status, _, _ = await wire.ask("GET", "/health", [("Host", host) for host in hosts])
    assert status == 421


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "HEAD"])
@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        ("http://127.0.0.1:8787", True),
        ("http://localhost:8787", False),
        ("http://127.0.0.1:9999", False),
        ("http://127.0.0.1", False),
        ("https://127.0.0.1:8787", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("http://127.0.0.1:8787.evil.example", False),
    ],
)
async def test_the_origin_must_be_this_server(
    wire: Any, method: str, origin: str, passes: bool
) -> None:
    status, _, _ = await wire.ask(method, "/health", {**LOCAL, "Origin": origin})
    assert (status != 403) == passes


async def test_two_origins_are_no_origin(wire: Any) -> None:
    ours = ("Origin", "http://127.0.0.1:8787")
    status, _, _ = await wire.ask("GET", "/health", [("Host", "127.0.0.1:8787"), ours, ours])
    assert status == 403


class TestAllowedHosts:
    """Names that the operator adds."""

    @pytest.fixture
    def server_settings(self) -> dict[str, Any]:
        return {"allowed_hosts": ["box.lan", "Upper.lan", "port.lan:8787", "[fd00::1]"]}

    async def test_a_name_passes(self, wire: Any) -> None:
        assert (await wire.ask("GET", "/health", {"Host": "box.lan:8787"}))[0] == 200
        assert (await wire.ask("GET", "/health", {"Host": "other.lan"}))[0] == 421

    @pytest.mark.parametrize("host", ["Upper.lan", "port.lan:8787", "[fd00::1]:8787"])
    async def test_whatever_the_settings_take_passes(self, wire: Any, host: str) -> None:
        assert (await wire.ask("GET", "/health", {"Host": host}))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/health/", 404, "not_found"),
        ("PUT", "/jobs", 405, "method_not_allowed"),
        ("OPTIONS", "/jobs", 405, "method_not_allowed"),
        ("OPTIONS", "/jobs/batch", 405, "method_not_allowed"),
        ("GET", "/jobs/job-none", 404, "not_found"),
        ("POST", "/jobs", 415, "unsupported_media_type"),
    ],
)
async def test_every_no_is_a_problem_document(
    wire: Any, method: str, path: str, status: int, code: str
) -> None:
    got, headers, body = await wire.ask(method, path, LOCAL)
    assert (got, json.loads(body)["code"]) == (status, code)
    assert headers["content-type"] == "application/problem+json"
    if status == 405:
        assert "POST" in headers["allow"]


async def test_the_response_to_a_bug_has_no_details(
    wire: Any, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr("web.resources.jobs.jobs.find_job", bug)
    status, headers, body = await wire.ask("GET", "/jobs/job-1", LOCAL)
    assert (status, json.loads(body)["code"]) == (500, "internal")
    assert headers["content-type"] == "application/problem+json"
    assert b"1234" not in body


async def test_a_draining_server_closes_its_connections(wire: Any, context: Context) -> None:
    assert "connection" not in (await wire.ask("GET", "/health", LOCAL))[1]
    context.draining.set()
    status, headers, _ = await wire.ask("GET", "/health", LOCAL)
    assert (status, headers["connection"]) == (200, "close")


def head(method: str, path: str, **headers: str) -> dict[str, Any]:
    """The scope of a request whose body has not arrived."""
    fields = {"host": "127.0.0.1", **headers}
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (name.replace("_", "-").encode(), text.encode()) for name, text in fields.items()
        ],
    }


class TestAccept:
    """Which of the two paths a request takes, by its head."""

    @pytest.fixture
    def app(self, context: Context) -> App:
        return make_app(context)

    @pytest.mark.parametrize(
        ("method", "path", "headers"),
        [
            ("GET", "/health", {}),
            ("POST", "/jobs", {}),
            ("POST", "/jobs", {"transfer_encoding": "chunked"}),
            ("POST", "/jobs/batch", {"prefer": "wait=1"}),  # nothing waits for a batch
            ("GET", "/nowhere", {}),
            ("PUT", "/jobs", {}),
        ],
    )
    async def test_what_waits_for_nothing_is_answered_in_the_reading_task(
        self, app: App, method: str, path: str, headers: dict[str, str]
    ) -> None:
        accepted = app.accept(head(method, path, **headers))
        assert isinstance(accepted, Accepted)
        assert accepted.respond is not None

    @pytest.mark.parametrize(
        ("method", "path", "headers"),
        [
            ("GET", "/events", {}),
            ("POST", "/direct/a", {}),
            ("POST", "/jobs", {"prefer": "wait=1"}),
            ("HEAD", "/health", {}),
            ("GET", "/", {}),
            ("GET", "/jobs/job-1/log", {}),
        ],
    )
    async def test_what_may_wait_or_stream_goes_to_quart(
        self, app: App, method: str, path: str, headers: dict[str, str]
    ) -> None:
        assert app.accept(head(method, path, **headers)) == Accepted(BODY_BYTES_MAX)

    async def test_the_guard_rejects_it_first(self, app: App) -> None:
        rejected = app.accept(head("GET", "/health", host="evil.example"))
        assert isinstance(rejected, Response)
        assert rejected.status == 421

    async def test_a_body_is_not_waited_for_where_there_is_no_operation(self, app: App) -> None:
        rejected = app.accept(head("PATCH", "/nowhere", content_length="2"))
        assert isinstance(rejected, Response)
        assert rejected.status == 404

    async def test_only_a_batch_may_be_as_large_as_the_settings_allow(
        self, app: App, context: Context
    ) -> None:
        sizes = []
        for path in ("/jobs", "/jobs/batch"):
            accepted = app.accept(head("POST", path))
            assert isinstance(accepted, Accepted)
            sizes.append(accepted.body_bytes_max)
        most = context.settings.server.max_body_bytes
        assert sizes == [BODY_BYTES_MAX, most]
        assert most > BODY_BYTES_MAX

    async def test_both_paths_give_the_same_response(self, app: App, wire: Any) -> None:
        for method, path in (("GET", "/health"), ("GET", "/nowhere"), ("PUT", "/jobs")):
            accepted = app.accept(head(method, path))
            assert isinstance(accepted, Accepted)
            assert accepted.respond is not None
            response = await accepted.respond(b"")
            status, headers, body = await wire.ask(method, path, LOCAL)
            assert (response.status, response.body) == (status, body)
            assert {name.lower() for name in response.headers} <= headers.keys()


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(CODES)
    assert all(400 <= status < 600 and title for status, title in STATUS.values())


async def test_no_two_routes_are_the_same(context: Context) -> None:
    routes = make_routes(context)
    assert len({(route.method, route.path) for route in routes}) == len(routes)


class TestLazyApp:
    """The app that is made when it is first needed."""

    @pytest.fixture
    def made(self) -> list[str]:
        """The scopes that reached the app, after a line for each time that it was made."""
        return []

    def lazy(self, made: list[str], runner: Any) -> LazyApp:
        def make() -> ASGI:
            made.append("made")

            async def app(scope: Any, receive: Any, send: Any) -> None:
                made.append(scope)

            return app

        return LazyApp(make, runner)

    async def test_it_is_made_once_for_all_requests(self, made: list[str]) -> None:
        with ThreadRunner("making") as runner, trio.fail_after(10):
            lazy = self.lazy(made, runner)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lazy.made)
                nursery.start_soon(lazy, "a", None, None)
                nursery.start_soon(lazy, "b", None, None)
            await lazy("c", None, None)
        assert (made[0], sorted(made[1:])) == ("made", ["a", "b", "c"])

    async def test_nothing_is_made_before(self, made: list[str]) -> None:
        self.lazy(made, InlineRunner())
        assert made == []

    async def test_it_is_tried_again_while_descriptors_are_scarce(
        self, made: list[str], autojump_clock: MockClock
    ) -> None:
        failures = [OSError(errno.EMFILE, "too many open files")] * 2

        def make() -> ASGI:
            if failures:
                raise failures.pop()
            made.append("made")
            return LazyApp(make, InlineRunner())

        lazy = LazyApp(make, InlineRunner())
        await lazy.made()
        assert (made, failures) == (["made"], [])
