"""The helper that starts servers, with programs that behave like one."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from tests.eventually import eventually
from tests.gate import Gate
from tests.server_process import (
    BUG_EVENTS,
    HEADWAY,
    ROOT,
    NotReady,
    ServerProcess,
    StillRunning,
    broken_invariants,
    environment,
    serve_arguments,
)

URL = "http://127.0.0.1:8787"
DEADLINE_S = 60.0
Start = Callable[[str], ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a shell script."""
    started: list[ServerProcess] = []

    def start(script: str) -> ServerProcess:
        command = ["/bin/sh", "-c", script]
        started.append(ServerProcess.execute(command, tmp_path / "log", directory=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def test_it_is_ready_when_its_line_is_complete(start: Start, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    process = start(f"cat {gate.path} >&2; exec sleep 60")
    gate.write(b"headway listening on http://127.0.0.1:")
    eventually(process.stderr, "its line has begun")
    assert not process.look_ready()
    gate.write(b"8787\n")
    assert process.await_ready(DEADLINE_S).url == URL
    gate.drop()


def test_an_earlier_process_of_the_same_log_does_not_count(start: Start) -> None:
    assert start(f"echo headway listening on {URL} >&2; echo Traceback >&2").wait() == 0
    second = start("exec sleep 60")
    assert second.stderr() == ""
    assert not second.accidents()
    with pytest.raises(NotReady):
        second.await_ready(0.0)


def test_one_that_ends_while_starting_is_named_with_its_words(start: Start) -> None:
    with pytest.raises(NotReady, match="the disk is gone"):
        start("echo the disk is gone >&2; exit 3").await_ready(DEADLINE_S)


def test_it_is_stopped_or_killed_and_reaped_once(start: Start) -> None:
    polite = start("trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done")
    eventually(lambda: "up" in polite.stderr(), "its trap is set")
    assert polite.stop() == polite.wait() == polite.status == 7
    assert start("exec sleep 60").kill() == -signal.SIGKILL


def test_one_that_does_not_end_in_time_goes_on(start: Start) -> None:
    process = start("exec sleep 60")
    with pytest.raises(StillRunning):
        process.wait(0.0)
    assert not process.ended


async def test_several_tasks_wait_for_its_end(start: Start) -> None:
    process = start("exec sleep 60")
    with trio.fail_after(DEADLINE_S):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(process.until_ended)
            process.send(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM


def test_a_headway_serves_and_leaves_a_sound_database(tmp_path: Path) -> None:
    config = tmp_path / "headway.toml"
    config.write_text("")
    process = ServerProcess.execute(
        [HEADWAY, *serve_arguments(tmp_path / "data", config)],
        tmp_path / "log",
        directory=tmp_path,
        environ=environment(HEADWAY_SCHEDULER__FREE_SPACE_BYTES="0"),
    )
    try:
        with process.await_ready(DEADLINE_S).client() as client:
            assert client.get("/ready").status_code == 200
        assert process.stop() == 0
        assert not process.accidents()
        assert not broken_invariants(tmp_path / "data")
    finally:
        process.kill()


def test_the_settings_of_another_headway_are_not_inherited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWAY_SERVER__PORT", "1")
    made = environment(OWN="yes")
    assert "HEADWAY_SERVER__PORT" not in made
    assert made["OWN"] == "yes"
    assert made["PATH"] == os.environ["PATH"]
    assert serve_arguments(Path("d"), Path("c"), "--bind", "127.0.0.1:9").count("--bind") == 1


@pytest.mark.parametrize("event", BUG_EVENTS)
def test_a_sign_of_a_bug_is_an_event_that_the_server_logs(event: str) -> None:
    """A renamed event would let every campaign pass."""
    code = [*(ROOT / "actors").rglob("*.py"), *(ROOT / "web").rglob("*.py")]
    assert any(f'"{event}"' in path.read_text(encoding="utf-8") for path in code)
