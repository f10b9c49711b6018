"""Reservations through the client."""

from tests.headway.client.scripted import (
    HELD,
    Server,
)


def test_all_reservations_are_released_in_one_request() -> None:
    server = Server({"reservations": []})
    with server.client() as client:
        assert client.release_all() == []
    assert [(r.method, r.url.raw_path) for r in server.requests] == [
        ("DELETE", b"/scheduler/reservations")
    ]


def test_reservations_are_listed_and_read() -> None:
    server = Server({"reservations": [HELD]}, HELD)
    with server.client() as client:
        (claim,) = client.reservations()
        assert client.get_reservation(claim.reservation_id) == claim
    assert claim.state == "HELD"
    paths = [request.url.raw_path for request in server.requests]
    assert paths == [b"/scheduler/reservations", b"/scheduler/reservations/claim%2F1"]
