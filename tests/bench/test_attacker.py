"""Hostile connections: what they send is no whole request, and those that were cut are missed."""

import re

import pytest

from bench.attacker import held_ports, openings

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid ..."
HEADS = [opening for kind, opening in openings("h:1", "j") if kind == "slow head"]
BODIES = [opening for kind, opening in openings("h:1", "j") if kind == "stalled body"]


def line(local: str, remote: str, state: str = "01", inode: int = 4711) -> str:
    return (
        f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0"
        f" {inode} 1 0000000000000000 20 4 30 10 -1"
    )


def test_each_kind_is_a_third() -> None:
    kinds = [kind for kind, _ in openings("h:1", "j")]
    assert {kinds.count(kind) for kind in kinds} == {len(kinds) // 3}
    assert set(kinds) == {"slow head", "stalled body", "stalled reader"}


@pytest.mark.parametrize("head", HEADS)
def test_a_slow_head_has_no_end(head: bytes) -> None:
    assert b"\r\n\r\n" not in head
    assert head.endswith(b"\r\nX: ")


@pytest.mark.parametrize("opening", BODIES)
def test_a_stalled_body_is_shorter_than_it_says(opening: bytes) -> None:
    head, _, body = opening.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert body
    assert len(body) < int(length[1]) if length else not body.endswith(b"0\r\n\r\n")


def test_only_what_the_server_holds_is_held() -> None:
    server, client = "0100007F:1F90", "0100007F:{:04X}"
    table = "\n".join(
        [
            HEADER,
            line(server, client.format(1)),
            line(server, client.format(2), inode=0),  # not accepted yet
            line(server, client.format(3), state="04"),  # closed by the server, not read out
            line(client.format(4), server),  # the client's own end
            line("0100007F:1F91", client.format(5)),  # another server
            line(server, "00000000:0000", state="0A"),  # the listener
        ]
    )
    assert held_ports(table, 0x1F90) == {1}
