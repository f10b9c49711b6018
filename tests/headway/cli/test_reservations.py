"""`headway scheduler reservations` and `release` against an imagined server."""

import pytest

from tests.headway.cli.imagined_server import HELD, Server, headway


def test_reservations_are_listed_and_released(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server["GET /scheduler/reservations"] = {"reservations": [HELD]}
    server["DELETE /scheduler/reservations"] = {"reservations": [HELD]}
    server["DELETE /scheduler/reservations/rsv-1"] = HELD
    assert headway("scheduler", "reservations") == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split() == [
        *("rsv-1", "hold", "HELD", "2026-01-18", "08:00:01Z", "2026-01-18", "08:01:01Z")
    ]
    assert headway("scheduler", "release", "--all") == 0
    assert headway("scheduler", "release", "rsv-1", "--json") == 0
    assert server.sent("DELETE /scheduler/reservations")
    assert server.sent("DELETE /scheduler/reservations/rsv-1")
    capsys.readouterr()
    for wrong in ((), ("rsv-1", "--all")):
        assert headway("scheduler", "release", *wrong) == 2
        assert "or --all" in capsys.readouterr().err
