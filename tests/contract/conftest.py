"""The servers of the tests: one that they share, and those of a single test."""

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.server import CONFIG, Server
from tests.gate import Gate

TEST_DEADLINE_S = 60

living: list[Server] = []
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Print the log of every server that lives when a test fails."""
    report = yield
    if call.excinfo is not None:  # also where that was expected
        item.stash[FAILED] = True
    if report.failed:
        for server in living:
            if server.stderr.exists():
                lines = server.log().splitlines()[-12:]
                report.sections.append((f"log of {server.directory}", "\n".join(lines)))
    return report


@contextmanager
def lives(server: Server, check: Callable[[], bool]) -> Iterator[Server]:
    living.append(server)
    try:
        yield server
    finally:
        try:
            server.close(check=check())
        finally:
            living.remove(server)


@pytest.fixture(autouse=True)
def _deadline() -> Iterator[None]:
    """No test takes longer than this, whatever the server does."""

    def over(*_: object) -> None:
        raise TimeoutError(f"the test took longer than {TEST_DEADLINE_S} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(TEST_DEADLINE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def _next_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    """Provide a running server: while a test runs, the server of the next one starts.

    A start takes a second of one processor, and a test leaves the other one idle.
    """
    spares: list[Server] = []

    def spare() -> None:
        spares.append(Server(tmp_path_factory.mktemp("server")))
        spares[-1].spawn()

    def take() -> Server:
        taken = spares.pop()
        spare()
        return taken.await_ready()

    spare()
    yield take
    for unused in spares:
        unused.await_ready().close()


class Shared:
    """The server that tests share, replaced after a test that failed."""

    def __init__(self, take: Callable[[], Server]) -> None:
        self._take = take
        self._stack = ExitStack()
        self._server: Server | None = None
        self.is_sound = True

    def get(self) -> Server:
        if self._server is None:
            self.is_sound = True
            self._server = self._stack.enter_context(lives(self._take(), lambda: self.is_sound))
        return self._server

    def close(self) -> None:
        self._server = None
        self._stack.close()


@pytest.fixture(scope="session")
def _shared(_next_server: Callable[[], Server]) -> Iterator[Shared]:
    shared = Shared(_next_server)
    yield shared
    shared.close()


@pytest.fixture
def server(_shared: Shared, request: pytest.FixtureRequest) -> Iterator[Server]:
    """An idle server with its scheduler running, for tests that do not end it."""
    server = _shared.get()
    yield server
    try:
        assert not request.node.stash.get(FAILED, False)
        server.reset()
        assert server.is_sound(), server.log()
    except BaseException:
        _shared.is_sound = False
        _shared.close()
        if not request.node.stash.get(FAILED, False):
            raise


@pytest.fixture
def launch(
    tmp_path: Path, request: pytest.FixtureRequest, _next_server: Callable[[], Server]
) -> Iterator[Callable[..., Server]]:
    """Servers of the test's own: `launch()`, or with settings, tables or arguments.

    What they leave is checked, except after a test that is known to fail.
    """
    is_known = request.node.get_closest_marker("xfail") is not None
    with ExitStack() as stack:

        def make(
            settings: str = "", tables: str = "", *arguments: str, start: bool = True
        ) -> Server:
            if start and not (settings or tables or arguments):
                return stack.enter_context(lives(_next_server(), lambda: not is_known))
            config = CONFIG
            for line in settings.splitlines():
                key = re.escape(line.partition(" = ")[0])
                config = re.sub(rf"^{key} = .*\n", "", config, count=1, flags=re.M)
            config = config.replace("[server]\n", f"[server]\n{settings}\n") + tables
            made = Server(tmp_path / f"server-{len(living)}", config)
            stack.enter_context(lives(made, lambda: not is_known))
            return made.start(*arguments) if start else made

        yield make


@pytest.fixture
def new_gate(tmp_path: Path) -> Callable[[], Gate]:
    """Makes gates."""
    count = 0

    def make() -> Gate:
        nonlocal count
        count += 1
        return Gate(tmp_path / f"gate-{count}")

    return make


@pytest.fixture
def gate(new_gate: Callable[[], Gate]) -> Gate:
    return new_gate()


@pytest.fixture
def stopped(server: Server) -> Any:
    """The server with its scheduler stopped, so that what is queued stays QUEUED."""
    server.post("/scheduler/stop")
    return server
