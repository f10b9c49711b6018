"""Hearing of changed files from the kernel: every waiter, at once, and nothing left behind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.host.inotify import FileWatcher, Inotify

DEADLINE_S = 10


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / name for name in ("a", "b")]
    for path in made:
        path.touch()
    return made


@pytest.fixture
async def watcher() -> AsyncIterator[FileWatcher]:
    watcher = FileWatcher()
    async with trio.open_nursery() as nursery:
        await nursery.start(watcher.run)
        with trio.fail_after(DEADLINE_S):
            yield watcher
        nursery.cancel_scope.cancel()


async def test_a_change_is_heard_with_the_number_of_its_watch(files: list[Path]) -> None:
    with Inotify() as inotify, trio.fail_after(DEADLINE_S):
        a, b = (inotify.watch(path) for path in files)
        assert a != b
        files[1].write_text("x")
        assert await inotify.changes() == {b}
        files[0].write_text("x")
        files[1].write_text("y")
        assert await inotify.changes() == {a, b}


async def test_it_waits_while_nothing_changes(files: list[Path]) -> None:
    with Inotify() as inotify:
        inotify.watch(files[0])
        files[1].write_text("x")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(inotify.changes)
            await wait_all_tasks_blocked()
            assert len(nursery.child_tasks) == 1
            nursery.cancel_scope.cancel()


async def test_what_is_no_longer_watched_is_silent(files: list[Path]) -> None:
    with Inotify() as inotify, trio.fail_after(DEADLINE_S):
        a, b = (inotify.watch(path) for path in files)
        inotify.unwatch(a)
        await inotify.changes()  # the kernel says that the watch has gone
        files[0].write_text("x")
        files[1].write_text("x")
        assert await inotify.changes() == {b}


def test_a_file_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with Inotify() as inotify, pytest.raises(FileNotFoundError):
        inotify.watch(tmp_path / "none")


async def test_every_waiter_on_a_file_is_woken(watcher: FileWatcher, files: list[Path]) -> None:
    with watcher.watching(files[0]) as one, watcher.watching(files[0]) as two:
        files[0].write_text("x")
        await one.wait()
        await two.wait()


async def test_only_the_waiters_on_that_file(watcher: FileWatcher, files: list[Path]) -> None:
    with watcher.watching(files[0]) as one, watcher.watching(files[1]) as other:
        files[0].write_text("x")
        await one.wait()
        assert not other.is_set()


async def test_who_stays_goes_on_hearing(watcher: FileWatcher, files: list[Path]) -> None:
    with watcher.watching(files[0]) as stays:
        with watcher.watching(files[0]):
            pass
        files[0].write_text("x")
        await stays.wait()


async def test_nothing_is_left_when_the_last_has_gone(
    watcher: FileWatcher, files: list[Path]
) -> None:
    with watcher.watching(files[0]):
        assert watcher._waiters
    assert not watcher._waiters
    with watcher.watching(files[0]) as again:
        files[0].write_text("x")
        await again.wait()
