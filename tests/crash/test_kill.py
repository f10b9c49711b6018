"""One kill of the server at one chosen system call, in the middle of one thing."""

from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("strace")


@pytest.mark.parametrize(
    ("call", "number", "happened"),
    [
        ("pwrite64", 1, False),  # the first page of the write-ahead log
        ("pwrite64", 2, False),
        ("fdatasync", 1, True),  # all is written, and a kill takes nothing back
    ],
)
async def test_a_submission_that_dies_is_there_or_not_and_can_be_asked_again(
    place: Any, call: str, number: int, happened: bool
) -> None:
    await place.start()
    await place.post("/scheduler/stop")
    place.checker.journal.moving = False
    before = await place.submit()
    await place.kill_at(call, number)
    with pytest.raises(place.lost):
        await place.submit()
    await place.dead()
    asked = place.checker.journal.submissions[-1]

    await place.start()
    place.check()
    answer = await place.wire.ask("GET", "/jobs")
    names = [job["name"] for job in answer.json()["jobs"]]
    assert names == ["token-2", "token-1"][not happened :]
    for again in (asked, asked, before):
        await place.send(again)
    place.check()


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("pwrite64", 1),  # the claim is not written
        ("fdatasync", 1),  # it is, and was not acknowledged
        ("mkdir", 1),  # the run's directory
        ("mkdir", 2),
        ("mkdir", 3),
        ("pidfd_open", 1),  # the program runs, and nobody watches it
        ("pwrite64", 8),
        ("fdatasync", 2),
    ],
)
async def test_a_start_that_dies_becomes_one_run(place: Any, call: str, number: int) -> None:
    await place.start()
    await place.post("/scheduler/stop")
    asked = await place.submit(seconds=0.4)
    await place.kill_at(call, number)
    with pytest.raises(place.lost):
        await place.run_to_end(asked)
    await place.dead()
    place.checker.journal.moving = None

    await place.start()
    assert await place.run_to_end(asked) == "COMPLETED"
    assert place.starts() == [1]
    place.check()


@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("renameat", 1),  # the working directory of the run that has ended
        ("pwrite64", 1),  # its end is not written
        ("fdatasync", 1),  # its end is written, and was not acknowledged
        ("wait4", 1),
    ],
)
async def test_an_end_that_dies_is_told_by_the_next_life(
    place: Any, call: str, number: int
) -> None:
    await place.start()
    asked = await place.submit(seconds=0.5, code=7)
    await place.shown(asked)
    await place.kill_at(call, number)
    with pytest.raises(place.lost):
        await place.ended(asked)
    await place.dead()

    await place.start()
    assert await place.ended(asked) == "FAILED"
    assert (await place.run_of(asked))["exit_code"] == 7
    assert place.starts() == [1]
    place.check()


@pytest.mark.parametrize(("call", "number"), [("pwrite64", 1), ("fdatasync", 1), ("mkdir", 1)])
async def test_a_recovery_that_dies_is_begun_again(place: Any, call: str, number: int) -> None:
    await place.start()
    asked = await place.submit(seconds=2.5, code=75)
    run_id = await place.begun()
    await place.kill()
    for _ in range(2):
        life = place.server.begin(place.at(call, number))
        ready = await place.server.ready(life)
        if call != "mkdir":  # there is none: the run has its directory
            assert not ready
        life.send(9)
        assert await place.server.reap(life) == -9
    assert place.carriers(run_id)

    await place.start()
    assert await place.ended(asked) == "SKIPPED"
    assert place.starts() == [1]
    place.check()


@pytest.mark.parametrize(
    ("call", "number"),
    [("pwrite64", 1), ("pwrite64", 4), ("fdatasync", 1), ("fdatasync", 2), ("ftruncate", 1)],
)
async def test_a_migration_that_dies_is_whole_or_not_there(
    place: Any, migration: str, call: str, number: int
) -> None:
    await place.start()
    await place.post("/scheduler/stop")
    place.checker.journal.moving = False
    asked = await place.submit()
    await place.kill()
    place.server.seams["migration"] = migration
    for _ in range(2):
        life = place.server.begin(place.at(call, number))
        assert not await place.server.ready(life)
        assert await place.server.reap(life) == -9
        place.check()

    await place.start()
    assert not place.checker.migrates(True)
    assert await place.run_to_end(asked) == "COMPLETED"
    place.checker.journal.moving = True
    place.check()
