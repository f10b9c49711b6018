"""Fixtures: a real browser, a real server, and a watch on every page in every test.

No request may leave the origin, nothing may be written to the console as an error, no exception may
go uncaught, and the policy may never be violated.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.server import CHROMIUM, FLAGS, BrowserServer, Pipe

EXPECT_MS = 15_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests where there is no browser; CI installs one."""
    if CHROMIUM is None:
        reason = "no chromium on this machine: apt-get install chromium-headless-shell"
        for item in items:
            if "browser" in Path(item.path).parts:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for the session."""
    with sync_playwright() as started:
        expect.set_options(timeout=EXPECT_MS)
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserServer]:
    """The server that most tests share: they name their Jobs differently."""
    server = BrowserServer(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserServer]:
    """A server that the tests of one module may kill, or fill."""
    server = BrowserServer(tmp_path_factory.mktemp("own"))
    yield server
    server.close()


@dataclass
class Watch:
    """Requests, console messages and exceptions of a context that are not allowed."""

    origin: str
    tolerated: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def attach(self, context: Any) -> None:
        """Watch every page of the context."""
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))

    def _request(self, request: Any) -> None:
        if not request.url.startswith(f"{self.origin}/"):
            self.faults.append(f"left the origin: {request.url}")

    def _console(self, message: Any) -> None:
        if message.type != "error" or any(text in message.text for text in self.tolerated):
            return
        self.faults.append(f"console: {message.text} {message.location}")


@pytest.fixture
def visit(browser: Any, server: BrowserServer) -> Iterator[Callable[..., Any]]:
    """Open a page in a context of its own: `visit("#/scheduler", locale="ko-KR")`."""
    opened: list[tuple[Any, Watch]] = []

    def open_page(
        path: str = "",
        *,
        at: BrowserServer | None = None,
        tolerated: tuple[str, ...] = (),
        **options: Any,
    ) -> Any:
        url = (at or server).url
        options = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options}
        context = browser.new_context(**options)
        context.set_default_timeout(EXPECT_MS)
        watch = Watch(url, tolerated=list(tolerated))
        watch.attach(context)
        opened.append((context, watch))
        page = context.new_page()
        page.goto(f"{url}/{path}")
        return page

    yield open_page
    for context, watch in opened:
        context.close()
        assert watch.faults == []


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    """A pipe that holds a program."""
    pipe = Pipe(tmp_path / "pipe")
    yield pipe
    pipe.drop()
