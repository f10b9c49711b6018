"""What is held for clients that do not read has a limit, and the slowest goes first."""

from contextlib import ExitStack

from web.server.unsent import Unsent


class StalledReader:
    """A connection that has been stalled for so long."""

    def __init__(self, stalled_s: float) -> None:
        self._stalled_s = stalled_s
        self.is_cut = False

    def stalled_s(self) -> float:
        return self._stalled_s

    def abort(self) -> None:
        self.is_cut = True


def test_the_one_that_has_read_nothing_for_longest_is_cut() -> None:
    unsent = Unsent(100)
    clients = [StalledReader(stalled_s) for stalled_s in (5.0, 9.0, 7.0)]
    with ExitStack() as stack:
        for client in clients:
            stack.enter_context(unsent.hold(client, 33))
        assert not any(client.is_cut for client in clients)
        with unsent.hold(new := StalledReader(0.0), 60):
            assert [client.is_cut for client in clients] == [False, True, True]
            assert unsent.size_bytes == 93
        assert not new.is_cut
        assert unsent.size_bytes == 33
    assert unsent.size_bytes == 0


def test_what_is_too_much_by_itself_is_cut() -> None:
    unsent = Unsent(100)
    with unsent.hold(client := StalledReader(0.0), 101):
        assert client.is_cut
        assert unsent.size_bytes == 0
    assert unsent.size_bytes == 0
