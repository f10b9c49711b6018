"""A run waits for descriptors, says so, and goes on when there are some."""

import errno

import pytest
import trio
from trio.testing import MockClock

from actors.run.host_retry import RETRY_S, HostRetry


class Noted:
    def __init__(self) -> None:
        self.reasons: list[str | None] = []
        self.patience = HostRetry("run-1", self.note)

    async def note(self, run_id: str, reason: str | None) -> None:
        assert run_id == "run-1"
        self.reasons.append(reason)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_what_cannot_be_looked_at_is_looked_at_again(
    autojump_clock: MockClock, number: int
) -> None:
    noted, errors = Noted(), [OSError(number, "Too many open files")] * 3

    def look() -> str:
        if errors:
            raise errors.pop()
        return "seen"

    assert await noted.patience.look(look) == "seen"
    assert noted.reasons == ["a run cannot be watched: Too many open files"] * 3 + [None]
    assert trio.current_time() == pytest.approx(RETRY_S[0] * (1 + 2 + 4))


async def test_what_is_seen_at_once_is_not_noted() -> None:
    noted = Noted()
    assert await noted.patience.look(lambda: 1) == 1
    assert noted.reasons == []


async def test_another_error_is_not_waited_for() -> None:
    noted = Noted()

    def look() -> None:
        raise OSError(errno.EACCES, "Permission denied")

    with pytest.raises(OSError, match="Permission denied"):
        await noted.patience.look(look)
    assert noted.reasons == []
