"""How many connections may be taken for long: in all, and of one address."""

import resource

import pytest

from headway.model.problem import Refusal
from web.api.capacity import SHORT_KEPT, Streams, connections_max


@pytest.fixture(autouse=True)
def descriptors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    limit: int = getattr(request, "param", 1024)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    return limit


@pytest.mark.parametrize("descriptors", [16, 64, 300, 1024, 8192, -1], indirect=True)
@pytest.mark.parametrize("most", [None, 1, 10**6])
def test_some_connections_are_always_left_for_short_requests(
    descriptors: int, most: int | None
) -> None:
    streams = Streams(most, most)
    assert 1 <= streams.most_per_address <= streams.most <= connections_max() - SHORT_KEPT


def test_two_hundred_streams_of_one_address_are_possible_by_default() -> None:
    assert Streams(None, None).most_per_address >= 200


@pytest.mark.parametrize("descriptors", [8192], indirect=True)
def test_with_more_descriptors_there_are_more(descriptors: int) -> None:
    assert Streams(None, None).most_per_address >= 3_000


def test_each_address_has_its_share_of_the_whole() -> None:
    streams = Streams(3, 2)
    for address in ("a", "a", "b"):
        streams.take(address)
    for address, setting in (("a", "max_streams_per_address"), ("b", "max_streams")):
        with pytest.raises(Refusal, match=rf"\[server\] {setting} allows") as caught:
            streams.take(address)
        assert caught.value.code == "rate_limited"
    streams.give_back("a")
    streams.take("c")
    assert streams.taken == 3


def test_a_permit_is_taken_once_and_given_back() -> None:
    streams = Streams(1, 1)
    with streams.permit(("a", 1)) as permit:
        assert streams.taken == 0
        permit.take()
        permit.take()
        assert streams.taken == 1
        with streams.permit(None) as other, pytest.raises(Refusal):
            other.take()
    assert streams.taken == 0
