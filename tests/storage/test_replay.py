"""A story told in facts: the right one passes, and each wrong turn is named."""

import json
from typing import Any

import pytest

from storage.replay import NAMES, Replay
from storage.transaction import Fact

Step = tuple[str, str | None, dict[str, Any]]


def server(concurrency: int = 2, **types: int | None) -> Step:
    return "server.started", None, {"concurrency": concurrency, "types": {"a": None, **types}}


def job(
    name: str, position: int, *, type_: str = "a", priority: int = 0, later: bool = False
) -> Step:
    return (
        "job.submitted",
        name,
        {"type": type_, "priority": priority, "position": position, "deferred": later},
    )


def run(name: str, *, type_: str = "a", lane: str = "queue") -> Step:
    return "run.started", name, {"type": type_, "lane": lane}


def end(name: str, status: str = "COMPLETED") -> Step:
    return "run.finished", name, {"type": "a", "lane": "queue", "status": status}


def claim(change: str, name: str = "r-1") -> Step:
    return f"reservation.{change}", None, {"reservation_id": name}


def breaches(*steps: Step) -> set[str]:
    replay = Replay()
    found = set()
    for seq, (kind, name, data) in enumerate(steps, 1):
        run_id = f"run-of-{name}" if kind.startswith("run.") else None
        fact = Fact(seq, 0, kind, name, run_id, json.dumps(data))  # type: ignore[arg-type]
        found |= {invariant for invariant, _ in replay.apply(fact)}
    return found


def test_the_right_story_breaks_nothing() -> None:
    story = (
        server(2, b=1),
        job("1", 1),
        job("2", 2, priority=5),
        job("3", 3, type_="b", priority=9),
        job("4", 4, type_="b", priority=9),
        job("5", 5, later=True),
        run("3", type_="b"),
        run("2"),  # "4" is more urgent, but its type is at its limit
        end("2"),
        ("job.updated", "1", {"priority": -1, "deferred": False}),
        ("job.due", "5", {}),
        run("5"),
        end("5", "FAILED"),
        claim("requested"),
        claim("held"),
        claim("ended"),
        run("1"),
        ("job.cancelled", "4", {}),
    )
    assert breaches(*story) == set()


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("LegalPath", [("job.cancelled", "1", {})]),
        ("LegalPath", [job("1", 1), job("1", 2)]),
        ("LegalPath", [job("1", 1), end("1")]),
        ("TerminalFinal", [job("1", 1), ("job.cancelled", "1", {}), run("1")]),
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
                ("job.updated", "2", {"priority": 9, "deferred": False}),
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
        ("ReservationOrder", [job("1", 1), ("scheduler.stopped", None, {}), run("1")]),
    ],
)  # fmt: skip
def test_a_wrong_turn_is_named(name: str, steps: list[Step]) -> None:
    assert breaches(server(2, b=1, c=None), *steps) >= {name}
    assert name in NAMES


def test_a_gap_is_named() -> None:
    replay = Replay()
    fact = Fact(2, 0, "scheduler.started", None, None, "{}")
    assert [name for name, _ in replay.apply(fact)] == ["FactsAtomic"]
