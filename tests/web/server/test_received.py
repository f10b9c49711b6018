"""What arrives has a limit for all together, and the connection that sends nothing goes first."""

from trio.testing import MockClock

from web.server.received import Received


class BodySender:
    """A connection."""

    def __init__(self) -> None:
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True


async def test_the_one_that_has_sent_nothing_for_longest_is_cut(mock_clock: MockClock) -> None:
    received, clients = Received(100), [BodySender() for _ in range(4)]
    for client in clients[:3]:
        received.note(client, 30)
        mock_clock.jump(1)
    received.note(clients[0], 31)
    assert received.size_bytes == 91
    received.note(clients[3], 20)
    assert [client.is_cut for client in clients] == [False, True, False, False]
    assert received.size_bytes == 81
    for client in clients:
        received.release(client)
    assert received.size_bytes == 0


async def test_what_is_whole_is_not_cut(mock_clock: MockClock) -> None:
    received, whole, late = Received(100), BodySender(), BodySender()
    received.note(whole, 90)
    received.complete(whole)
    mock_clock.jump(9)
    received.note(late, 20)
    assert (whole.is_cut, late.is_cut) == (False, True)
    assert received.size_bytes == 90
