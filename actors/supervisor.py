"""Supervisor: starts children in order, stops them in reverse, restarts them rest-for-one.

When a child crashes, it and all that were started after it (they may depend on it) are stopped in
reverse order and started again in order. After more than `intensity` restarts within `period_s`
the supervisor gives up loudly. The strategy and its names are Erlang/OTP's supervisor principles.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
import trio

from actors.actor import Actor, Mailbox

RESTARTS_MAX = 3
RESTART_PERIOD_S = 10.0

log = structlog.get_logger()


class SupervisorGaveUp(Exception):
    """A child crashed too often; `__cause__` is its last error."""


@dataclass(frozen=True, slots=True)
class Child:
    """How to make an actor anew. Its mailbox lives outside of it and survives its crashes."""

    name: str
    mailbox: Mailbox
    create: Callable[[], Actor]


@dataclass(slots=True)
class _Running:
    """One life of a child. `stopping` distinguishes a wanted end from a crash."""

    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)
    stopping: bool = False


class Supervisor:
    """Owns the actors of one server. Run it once, in a nursery, and `stop` it."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        intensity: int = RESTARTS_MAX,
        period_s: float = RESTART_PERIOD_S,
        fatal: tuple[type[Exception], ...] = (),
    ) -> None:
        self._fatal = fatal
        self.stopped = trio.Event()
        self._children = tuple(children)
        self._intensity = intensity
        self._period_s = period_s
        self._lives: dict[str, _Running] = {}
        self._restarts: deque[float] = deque()
        self._crashed: deque[tuple[Child, _Running, Exception]] = deque()
        self._news = trio.Event()
        self._stop_wanted = False
        self._nursery: trio.Nursery

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start all children, keep them alive until `stop`, then stop them in reverse.

        Raises:
            SupervisorGaveUp: the restart intensity was exceeded.
            Exception: a child's crash that is one of `fatal`, at once.
        """
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                for child in self._children:
                    await self._start(child)
                task_status.started()
                await self._watch()
            finally:
                with trio.CancelScope(shield=True):
                    await self._stop_from(0)
                    for child in self._children:
                        child.mailbox.close()
                    self.stopped.set()

    def stop(self) -> None:
        """Ask for the end; `run` returns when every child has stopped."""
        self._stop_wanted = True
        self._news.set()

    async def _watch(self) -> None:
        while True:
            await self._news.wait()
            if self._stop_wanted:
                return
            self._news = trio.Event()
            while self._crashed:
                child, life, error = self._crashed.popleft()
                # The crash of an earlier child may have replaced this life already.
                if self._lives.get(child.name) is life:
                    await self._restart(child, error)

    async def _restart(self, child: Child, error: Exception) -> None:
        if contains(error, self._fatal):
            raise error
        now = trio.current_time()
        self._restarts.append(now)
        while self._restarts[0] < now - self._period_s:
            self._restarts.popleft()
        log.error("actor crashed", actor=child.name, restarts=len(self._restarts), exc_info=error)
        if len(self._restarts) > self._intensity:
            raise SupervisorGaveUp(
                f"{child.name} crashed and {self._intensity} restarts within {self._period_s:g} s "
                f"did not mend it: {error!r}"
            ) from error
        first = self._children.index(child)
        await self._stop_from(first)
        for later in self._children[first:]:
            if not await self._start_again(later):
                return

    async def _start_again(self, child: Child) -> bool:
        """Start; a child that crashes while starting counts as crashed once more."""
        try:
            await self._start(child)
        except Exception as error:  # noqa: BLE001 - whatever it is, the intensity bounds it
            life = self._lives[child.name] = _Running()
            life.ended.set()
            self._crashed.append((child, life, error))
            self._news.set()
            return False
        return True

    async def _start(self, child: Child) -> None:
        life = self._lives[child.name] = _Running()
        await self._nursery.start(self._live, child, life)

    async def _live(
        self,
        child: Child,
        life: _Running,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        started = False

        class Started:
            def started(self, value: None = None) -> None:
                nonlocal started
                started = True
                task_status.started()

        try:
            with life.scope:
                await child.create().run(Started())
        except* Exception as error:  # also beside a cancellation, which goes its way
            if not started:
                raise
            if not life.stopping:
                self._crashed.append((child, life, error))
                self._news.set()
        finally:
            life.ended.set()

    async def _stop_from(self, first: int) -> None:
        for child in reversed(self._children[first:]):
            if life := self._lives.get(child.name):
                life.stopping = True
                life.scope.cancel()
                await life.ended.wait()


def contains(error: BaseException, kinds: tuple[type[Exception], ...]) -> bool:
    """Whether the error is, or groups, one of these kinds."""
    if isinstance(error, BaseExceptionGroup):
        return any(contains(inner, kinds) for inner in error.exceptions)
    return isinstance(error, kinds)
