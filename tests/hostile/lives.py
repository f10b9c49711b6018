"""The server of an episode across its lives, and requests that outlast a life.

Invariant: while `pulse` knows of a life, that life must answer.
"""

import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import trio

from tests.crash.server import Breach, KilledServer, Life
from tests.hostile.pulse import announce
from tests.hostile.scene import boot_s

ANSWER_TIMEOUT_S = 60.0
RETRY_S = 0.05
LOST_MAX = 20
"""So many answers of one request may be lost although the server lives."""

# RuntimeError: the client was closed at the end of its life.
LOSSES = (httpx.TransportError, httpx.StreamError, RuntimeError)


@dataclass(frozen=True, slots=True)
class End:
    """The end of a life."""

    kind: str
    at: float
    """On the boot-time clock."""
    took_s: float = 0.0


@dataclass(slots=True)
class Lives:
    """One data directory, served by one process after another."""

    server: KilledServer
    ends: list[End] = field(default_factory=list)
    answering: list[tuple[float, float]] = field(default_factory=list)
    """When, on the monotonic clock, a server had to answer."""
    requests: int = 0
    memory_bytes: int = 0
    _life: Life | None = None
    _is_detached: bool = False
    _client: httpx.AsyncClient | None = None
    _up: trio.Event = field(default_factory=trio.Event)

    @property
    def is_down(self) -> bool:
        """Whether no server is there."""
        return self._life is None

    async def begin(self, *options: str) -> None:
        """A life that is ready."""
        life = self.server.begin(None, *options)
        self._is_detached = "--detach" in options
        if not await self.server.ready(life):
            status = await self.server.reap(life)
            raise Breach(f"it ended with {status} while starting:\n{life.stderr()}")
        self._life = life
        self._client = httpx.AsyncClient(base_url=life.url, timeout=None, verify=False)
        announce(self.server.directory, life.url, life.pid)
        self.answering.append((time.monotonic(), float("inf")))
        self._up.set()

    async def kill(self) -> None:
        """KILL the server."""
        life = self._leave()
        life.send(signal.SIGKILL)
        await self._ended(life, "kill", -signal.SIGKILL)

    async def terminate(self) -> None:
        """Let it end in order; `detach`: it leaves its programs to the next one."""
        life = self._leave()
        life.send(signal.SIGTERM)
        await self._ended(life, "detach" if self._is_detached else "stop", 0)

    def _leave(self) -> Life:
        life = self._life
        assert life is not None
        self._remember_memory(life)
        (self.server.directory / "life").unlink()
        self.answering[-1] = (self.answering[-1][0], time.monotonic())
        self._up = trio.Event()
        self._life = None
        return life

    async def _ended(self, life: Life, kind: str, expected: int) -> None:
        begin = boot_s()
        status = await self.server.reap(life)
        self.ends.append(End(kind, begin, boot_s() - begin))
        if status != expected:
            raise Breach(f"it ended with {status} at {kind}:\n{life.stderr()[-3000:]}")
        assert self._client is not None
        with suppress(httpx.TransportError):
            await self._client.aclose()

    def _remember_memory(self, life: Life) -> None:
        with suppress(OSError), open(f"/proc/{life.pid}/status") as file:
            for line in file:
                if line.startswith("VmHWM:"):
                    self.memory_bytes = max(self.memory_bytes, int(line.split()[1]) * 1024)

    # ---- requests ----------------------------------------------------------------------------

    async def ask(
        self, method: str, path: str, body: Any = None, *statuses: int, **headers: str
    ) -> httpx.Response:
        """Ask until there is an answer, over the ends of lives.

        Raises:
            Breach: none in a minute of one life, 5xx, or a status that is not in `statuses`.
        """
        lost = 0
        while True:
            await self._up.wait()
            life, client = self._life, self._client
            assert client is not None
            self.requests += 1
            try:
                with trio.fail_after(ANSWER_TIMEOUT_S):
                    answer = await client.request(method, path, json=body, headers=headers)
            except trio.TooSlowError:
                raise Breach(f"{method} {path}: no answer in {ANSWER_TIMEOUT_S:g} s") from None
            except LOSSES as error:
                lost += self._life is life
                self._must_live()
                if lost > LOST_MAX:
                    raise Breach(f"{method} {path}: {error!r}, {lost} times") from None
                await trio.sleep(RETRY_S)
                continue
            if answer.status_code == 503 and self._life is not life:
                continue
            if answer.status_code >= 500 or (statuses and answer.status_code not in statuses):
                raise Breach(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
            return answer

    def _must_live(self) -> None:
        if (life := self._life) is not None and life.ended:
            raise Breach(f"the server ended by itself:\n{life.stderr()[-3000:]}")

    async def follow(self, path: str, seconds: float) -> None:
        """Read a stream for a while, or until the end of the life."""
        await self._up.wait()
        assert self._client is not None
        self.requests += 1
        headers = {"Accept": "text/event-stream"}
        with trio.move_on_after(seconds), suppress(*LOSSES):
            async with self._client.stream("GET", path, headers=headers) as answer:
                if answer.status_code >= 500 and self._up.is_set():
                    raise Breach(f"GET {path} as a stream: {answer.status_code}")
                async for _ in answer.aiter_raw():
                    pass
