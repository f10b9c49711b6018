"""A reader of the event stream notices what it missed."""

import socket
from collections.abc import Iterator

import pytest

from bench.listeners import Stream


@pytest.fixture
def wire() -> Iterator[tuple[socket.socket, Stream]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, Stream(theirs, 4)


def event(number: int) -> bytes:
    return b"event: job.submitted\nid: %d\ndata: {}\n\n" % number


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def hear(wire: tuple[socket.socket, Stream], *pieces: bytes) -> Stream:
    ours, stream = wire
    ours.sendall(b"HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b": welcome\n\n"))
    stream.hear()
    for piece in pieces:
        ours.sendall(piece)
        stream.hear()
    return stream


def test_events_in_order_are_followed(wire: tuple[socket.socket, Stream]) -> None:
    stream = hear(wire, chunk(event(5) + event(6)), chunk(event(7)))
    assert (stream.seq, stream.odd) == (7, False)


@pytest.mark.parametrize("numbers", [(6,), (5, 7), (5, 5), (4,), (6, 5)])
def test_a_gap_a_repeat_and_a_swap_are_odd(
    wire: tuple[socket.socket, Stream], numbers: tuple[int, ...]
) -> None:
    assert hear(wire, *(chunk(event(number)) for number in numbers)).odd


@pytest.mark.parametrize("at", range(1, 60))
def test_a_piece_may_end_anywhere(wire: tuple[socket.socket, Stream], at: int) -> None:
    data = chunk(event(5)) + chunk(event(6))
    stream = hear(wire, data[:at], data[at:])
    assert (stream.seq, stream.odd) == (6, False)


def test_the_end_of_a_stream_is_an_error(wire: tuple[socket.socket, Stream]) -> None:
    ours, stream = wire
    ours.close()
    with pytest.raises(ConnectionError):
        stream.hear()
