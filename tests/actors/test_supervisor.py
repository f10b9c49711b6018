"""Starting in order, stopping in reverse, restarting rest-for-one, and giving up loudly."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from actors.actor import Actor, Ask, Envelope, Mailbox, Message
from actors.supervisor import Child, Supervisor, SupervisorGaveUp, contains
from headway.model.problem import Refusal


@dataclass(frozen=True, slots=True)
class Crash(Message):
    error: Exception


@dataclass(frozen=True, slots=True)
class Hello(Ask[str]):
    pass


class Fatal(Exception):
    """An error that no restart mends."""


class Stage:
    """Three actors, and a diary of what happened to them."""

    def __init__(self, **options: Any) -> None:
        self.diary: list[str] = []
        self.mailboxes = {name: Mailbox(name, 10) for name in "abc"}
        self.fail_start: Callable[[str], None] = lambda name: None
        self.supervisor = Supervisor([self.child(name) for name in "abc"], **options)

    def child(self, name: str) -> Child:
        stage = self

        class Player(Actor):
            async def start(self, nursery: trio.Nursery) -> None:
                await trio.lowlevel.checkpoint()
                stage.fail_start(name)
                stage.diary.append(f"+{name}")

            async def run(self, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
                try:
                    await super().run(task_status)
                finally:
                    stage.diary.append(f"-{name}")

            async def handle(self, batch: list[Envelope]) -> None:
                for envelope in batch:
                    if isinstance(envelope.message, Crash):
                        raise envelope.message.error
                    assert envelope.reply is not None
                    envelope.reply.answer(f"I am {name}")

        return Child(name, self.mailboxes[name], lambda: Player(self.mailboxes[name]))

    def crash(self, name: str, error: Exception | None = None) -> None:
        assert self.mailboxes[name].tell_nowait(Crash(error or ZeroDivisionError(name)))

    def news(self) -> str:
        said, self.diary = " ".join(self.diary), []
        return said


@pytest.fixture
async def stage(nursery: trio.Nursery, autojump_clock: Any) -> Stage:
    stage = Stage()
    await nursery.start(stage.supervisor.run)
    return stage


async def test_children_start_in_order_and_stop_in_reverse(stage: Stage) -> None:
    assert stage.news() == "+a +b +c"
    stage.supervisor.stop()
    await stage.supervisor.stopped.wait()
    assert stage.news() == "-c -b -a"


async def test_after_the_end_every_ask_is_refused(stage: Stage) -> None:
    stage.supervisor.stop()
    await stage.supervisor.stopped.wait()
    for mailbox in stage.mailboxes.values():
        with pytest.raises(Refusal) as caught:
            await mailbox.ask(Hello())
        assert caught.value.code == "unavailable"


@pytest.mark.parametrize(
    ("crashed", "expected"),
    [("a", "-a -c -b +a +b +c"), ("b", "-b -c +b +c"), ("c", "-c +c")],
)
async def test_a_crash_restarts_the_child_and_those_after_it(
    stage: Stage, crashed: str, expected: str
) -> None:
    stage.news()
    stage.crash(crashed)
    await wait_all_tasks_blocked()
    assert stage.news() == expected
    for name in "abc":
        assert await stage.mailboxes[name].ask(Hello()) == f"I am {name}"


async def test_a_mailbox_survives_the_crash_of_its_actor(stage: Stage) -> None:
    answers: list[str] = []

    async def ask() -> None:
        answers.append(await stage.mailboxes["b"].ask(Hello()))

    async with trio.open_nursery() as nursery:
        stage.crash("b")
        for _ in range(3):
            nursery.start_soon(ask)
    assert answers == ["I am b"] * 3
    assert "-b" in stage.diary


async def test_two_that_crash_together_are_both_mended(stage: Stage) -> None:
    stage.news()
    stage.crash("a")
    stage.crash("c")
    await wait_all_tasks_blocked()
    for name in "abc":
        assert await stage.mailboxes[name].ask(Hello()) == f"I am {name}"


async def test_more_crashes_than_it_can_mend_end_it_with_the_reason(autojump_clock: Any) -> None:
    stage = Stage(intensity=3, period_s=10.0)

    async def crash_again_and_again() -> None:
        for n in range(4):
            stage.crash("b", ZeroDivisionError(f"crash {n}"))
            await trio.sleep(1)

    with pytest.raises(BaseException) as caught:  # noqa: PT011, PT012 - a group
        async with trio.open_nursery() as nursery:
            await nursery.start(stage.supervisor.run)
            nursery.start_soon(crash_again_and_again)
    gave_up: BaseException = caught.value
    while isinstance(gave_up, BaseExceptionGroup):
        (gave_up,) = gave_up.exceptions
    assert isinstance(gave_up, SupervisorGaveUp)
    assert "b crashed and 3 restarts within 10 s" in str(gave_up)
    assert "crash 3" in repr(gave_up.__cause__.exceptions)  # type: ignore[union-attr]
    assert stage.diary.count("+b") == 1 + 3
    assert stage.diary[-2:] == ["-c", "-a"]
    assert stage.supervisor.stopped.is_set()


async def test_crashes_that_lie_apart_are_mended_for_ever(stage: Stage) -> None:
    for _ in range(10):
        stage.crash("b")
        await trio.sleep(4)
    assert await stage.mailboxes["c"].ask(Hello()) == "I am c"


async def test_a_crash_while_starting_again_counts_as_one_more(stage: Stage) -> None:
    left = 2

    def fail_start(name: str) -> None:
        nonlocal left
        if name == "b" and left:
            left -= 1
            raise OSError("not yet")

    stage.news()
    stage.fail_start = fail_start
    stage.crash("a")
    await wait_all_tasks_blocked()
    assert stage.news() == "-a -c -b +a -b -b +b +c"
    assert await stage.mailboxes["c"].ask(Hello()) == "I am c"


async def test_a_start_that_never_succeeds_ends_it(autojump_clock: Any) -> None:
    stage = Stage()

    def fail_start(name: str) -> None:
        raise OSError("never")

    with pytest.raises(BaseException) as caught:  # noqa: PT011, PT012 - a group
        async with trio.open_nursery() as nursery:
            await nursery.start(stage.supervisor.run)
            stage.fail_start = fail_start
            stage.crash("c")
    assert contains(caught.value, (SupervisorGaveUp,))


async def test_the_first_start_that_fails_ends_it_at_once() -> None:
    stage = Stage()

    def fail_start(name: str) -> None:
        if name == "b":
            raise OSError("no")

    stage.fail_start = fail_start
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group
        await stage.supervisor.run()
    assert contains(caught.value, (OSError,))
    assert stage.diary == ["+a", "-b", "-a"]


@pytest.mark.parametrize("nested", [False, True])
async def test_a_fatal_error_ends_it_at_once(nested: bool, autojump_clock: Any) -> None:
    stage = Stage(fatal=(Fatal,))
    error = ExceptionGroup("", [ValueError(), Fatal("the disk")]) if nested else Fatal("the disk")
    with pytest.raises(BaseException) as caught:  # noqa: PT011, PT012 - a group
        async with trio.open_nursery() as nursery:
            await nursery.start(stage.supervisor.run)
            stage.crash("c", error)
    assert contains(caught.value, (Fatal,))
    assert not contains(caught.value, (SupervisorGaveUp,))
    assert stage.diary.count("+c") == 1


async def test_a_crash_while_stopping_is_no_crash(autojump_clock: Any) -> None:
    class Clumsy(Actor):
        async def handle(self, batch: list[Envelope]) -> None: ...

        async def run(self, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
            try:
                await super().run(task_status)
            finally:
                raise OSError("while tidying up")

    mailbox = Mailbox("clumsy", 1)
    supervisor = Supervisor([Child("clumsy", mailbox, lambda: Clumsy(mailbox))])
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            supervisor.stop()
    assert supervisor.stopped.is_set()


async def test_a_crash_at_the_moment_of_a_cancellation_hides_in_it() -> None:
    crash = trio.Event()

    class Torn(Actor):
        async def start(self, nursery: trio.Nursery) -> None:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(self.fall)

        async def fall(self) -> None:
            with trio.CancelScope(shield=True):
                await crash.wait()
            raise ValueError("at a bad moment")

        async def handle(self, batch: list[Envelope]) -> None: ...

    mailbox = Mailbox("torn", 10)
    supervisor = Supervisor([Child("torn", mailbox, lambda: Torn(mailbox))])
    with trio.fail_after(10), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            scope.cancel()
            crash.set()
    assert scope.cancelled_caught
