"""A sequence of events: a legal one passes, and each illegal step is named."""

import json
from typing import Any

import pytest

from storage.events import Event
from storage.verify.replay import NAMES, Replay

Step = tuple[str, str | None, dict[str, Any]]


def server(concurrency: int = 2, life: str = "srv-1", **types: int | None) -> Step:
    limits = {"a": None, **types}
    return (
        "server.started",
        None,
        {"server_id": life, "concurrency": concurrency, "types": limits},
    )


def reload(concurrency: int = 2, **types: int | None) -> Step:
    return "server.reloaded", None, {"concurrency": concurrency, "types": types, "changed": []}


def job(
    name: str, position: int, *, type_: str = "a", priority: int = 0, later: bool = False
) -> Step:
    return (
        "job.submitted",
        name,
        {
            "type": type_,
            "priority": priority,
            "position": position,
            "hold": "time" if later else "none",
        },
    )


def run(name: str | None, *, type_: str = "a", lane: str = "queue") -> Step:
    return "run.started", name, {"type": type_, "lane": lane}


def end(name: str | None, status: str = "COMPLETED") -> Step:
    return "run.finished", name, {"type": "a", "lane": "queue", "status": status}


def claim(change: str, name: str = "r-1", of: str = "hold", reason: str = "released") -> Step:
    data = {"reservation_id": name, "claim": of, "reason": reason}
    return f"reservation.{change}", None, data


def direct(step: str, name: str = "r-1", reason: str = "started") -> Step:
    return claim(step, name, "direct", reason)


def breaches(*steps: Step) -> set[str]:
    replay = Replay()
    found = set()
    for seq, (kind, name, data) in enumerate(steps, 1):
        run_id = f"run-of-{name}" if kind.startswith("run.") else "run-of-None"
        event = Event(seq, 0, kind, name, run_id, json.dumps(data))  # type: ignore[arg-type]
        found |= {invariant for invariant, _ in replay.apply(event)}
    return found


def test_the_right_story_breaks_nothing() -> None:
    story: tuple[Step, ...] = (
        server(2, b=1),
        job("1", 1),
        job("2", 2, priority=5),
        job("3", 3, type_="b", priority=9),
        job("4", 4, type_="b", priority=9),
        job("5", 5, later=True),
        run("3", type_="b"),
        run("2"),  # "4" is more urgent, but its type is at its limit
        end("2"),
        ("job.updated", "1", {"priority": -1, "hold": "none"}),
        ("job.due", "5", {}),
        run("5"),
        end("5", "FAILED"),
        claim("requested"),
        claim("held"),
        claim("ended"),
        run("1"),
        ("job.cancelled", "4", {}),
        end("1"),
        direct("requested"),
        direct("ended"),
        run(None, lane="direct"),
        ("run.process", None, {}),
        ("run.stopping", None, {}),
        end(None),
        direct("requested", "r-2"),
        server(2, b=1),  # the same life: its scheduler was started anew
        direct("ended", "r-2"),
        server(2, "srv-2", b=1),
        end("3"),
        job("6", 6, type_="b"),
        job("7", 7, priority=5),
        job("8", 8, type_="b"),
        reload(b=2),  # a is gone, and waits
        run("6", type_="b"),
        run("8", type_="b"),
        reload(3, a=1, b=1),  # b runs on above its new limit
        run("7"),
    )
    assert breaches(*story) == set()


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("LegalPath", [("job.cancelled", "1", {})]),
        ("LegalPath", [job("1", 1), job("1", 2)]),
        ("LegalPath", [job("1", 1), end("1")]),
        ("LegalPath", [("job.updated", "1", {"priority": 1, "hold": "none"})]),
        ("LegalPath", [job("1", 1), run("1"), ("job.due", "1", {})]),
        ("OneRun", [job("1", 1), run("1"), run("1")]),
        ("OneRun", [job("1", 1), run("1"), end("1"), run("1")]),
        ("IntentFirst", [("run.process", "1", {"pid": 1})]),
        ("IntentFirst", [("run.stopping", "1", {})]),
        ("IntentFirst", [job("1", 1), ("job.progress", "1", {})]),
        ("TerminalFinal", [job("1", 1), run("1"), end("1"), ("run.process", "1", {"pid": 1})]),
        ("TerminalFinal", [job("1", 1), run("1"), end("1"), ("job.progress", "1", {})]),
        ("TerminalFinal", [job("1", 1), ("job.cancelled", "1", {}), ("job.due", "1", {})]),
        ("StablePaging", [job("1", 2), job("2", 1)]),
        ("StablePaging", [job("1", 1), job("2", 1)]),
        ("SingleWriter", [server(2, "srv-2"), server(2, "srv-1")]),
        ("RecoveryIdempotent", [direct("requested"), server(2, "srv-2"), direct("ended")]),
        ("ReservationOrder", [run(None, lane="direct")]),
        ("ReservationOrder", [claim("requested"), direct("requested", "r-2"),
                              direct("ended", "r-2")]),
        ("CancelBeforeStart", [job("1", 1), ("job.cancelled", "1", {}), run("1")]),
        ("TerminalFinal", [job("1", 1), run("1"), end("1"), end("1")]),
        ("DispatchOrder", [job("1", 1), job("2", 2), run("2")]),
        ("DispatchOrder", [job("1", 1), job("2", 2, priority=1), run("1")]),
        ("DispatchOrder", [job("1", 1, later=True), run("1")]),
        ("DispatchOrder", [job("1", 1), job("2", 2, type_="c"), run("2", type_="c")]),
        (
            "DispatchOrder",
            [
                job("1", 1),
                job("2", 2),
                ("job.updated", "2", {"priority": 9, "hold": "none"}),
                run("1"),
            ],
        ),
        ("Limit", [job("1", 1), job("2", 2), job("3", 3), run("1"), run("2"), run("3")]),
        ("Limit", [job("1", 1, type_="b"), job("2", 2, type_="b"),
                   run("1", type_="b"), run("2", type_="b")]),
        ("Limit", [claim("requested"), claim("held"), job("1", 1), job("2", 2),
                   run("1"), run("2")]),
        ("ReservationOrder", [job("1", 1), claim("requested"), run("1")]),
        ("ReservationOrder", [claim("requested"), claim("requested", "r-2"), claim("held", "r-2")]),
        ("ReservationOrder", [claim("requested"), claim("ended"), claim("ended")]),
        ("ReservationOrder", [claim("ended")]),
        ("DispatchOrder", [job("1", 1), reload(b=1), run("1")]),
        ("Limit", [job("1", 1), job("2", 2), reload(1, a=None), run("1"), run("2")]),
        ("Limit", [job("1", 1), job("2", 2), reload(2, a=1), run("1"), run("2")]),
        ("ReservationOrder", [job("1", 1), ("scheduler.stopped", None, {}), run("1")]),
    ],
)  # fmt: skip
def test_a_wrong_turn_is_named(name: str, steps: list[Step]) -> None:
    assert breaches(server(2, b=1, c=None), *steps) >= {name}
    assert name in NAMES


def test_a_gap_is_named() -> None:
    replay = Replay()
    event = Event(2, 0, "scheduler.started", None, None, "{}")
    assert [name for name, _ in replay.apply(event)] == ["EventsAtomic"]
