"""SIGHUP: the configuration is read again, as a whole or not at all; a lost terminal is the end."""

import json
import os
import pty
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.server import Server

ADDED = '[job_types.added]\ncommand = ["/bin/echo", "added"]\n'
TWO = '[job_types.two]\ncommand = ["/bin/sh", "-c", "exit 5"]\n'


def reload(
    server: Server, config: str | None = None, *, said: str = "configuration reloaded"
) -> Any:
    """Configure this and send SIGHUP; the lines of the log since then, when it has said so."""
    if config is not None:
        server.config.write_text(config)
    offset = len(server.log())
    server.signal(signal.SIGHUP)
    server.eventually(lambda: f'"{said}"' in server.log()[offset:], said)
    return [json.loads(line) for line in server.log()[offset:].splitlines() if line[-1:] == "}"]


def events_of(server: Server) -> list[Any]:
    rows = server.rows("SELECT data FROM events WHERE kind = 'server.reloaded' ORDER BY seq")
    return [json.loads(data) for (data,) in rows]


def names(server: Server) -> set[str]:
    return {entry["name"] for entry in server.get("/job-types")["job_types"]}


def test_job_types_come_change_and_go_everywhere_at_once(launch: Callable[..., Any]) -> None:
    server = launch(tables=TWO)
    before = names(server)
    config = server.config.read_text()
    reload(server, config.replace(TWO, ADDED).replace('command = ["true"]', 'command = ["false"]'))
    assert names(server) == before - {"two"} | {"added"}
    assert "added" in {entry["type"] for entry in server.get("/scheduler/metrics")["types"]}
    assert server.post("/job-types/added/preview")["argv"] == ["/bin/echo", "added"]
    assert server.run("added")["status"] == "COMPLETED"
    assert server.run("ok")["status"] == "FAILED"
    assert server.client.post("/jobs", json={"type": "two"}).status_code == 422
    assert server.client.post("/jobs/two/trigger").status_code == 422
    assert server.client.post("/direct/two").status_code == 422
    assert "added" in server.get("/scheduler/config")["types"]
    (event,) = events_of(server)
    assert event["changed"] == ["job_types.added", "job_types.ok", "job_types.two"]
    assert event["types"].keys() == names(server)


def test_higher_limits_let_what_waits_start(launch: Callable[..., Any], new_gate: Any) -> None:
    server = launch()
    gates = [new_gate() for _ in range(2)]
    first = server.hold(gates[0])
    second = server.submit("gate", {"path": gates[1].path})["job_id"]
    config = server.config.read_text()
    reload(server, f"{config}\n[scheduler]\nconcurrency = 2\nmax_queued = 1\n")
    server.until_printed(second, b"opened")
    assert server.get("/scheduler/config")["concurrency"] == 2
    server.submit("ok")
    assert server.client.post("/jobs", json={"type": "ok"}).status_code == 429
    (event,) = events_of(server)
    assert (event["concurrency"], event["changed"]) == (
        2,
        ["scheduler.concurrency", "scheduler.max_queued"],
    )
    for gate in gates:
        gate.open()
    server.until(first["job_id"])


@pytest.mark.parametrize(
    ("config", "faults"),
    [
        ("[server]\nport = 1\n[scheduler]\nconcurrency = 0\n", [":2: server.port", ":4: sched"]),
        ("[job_types.x]\n", [":1: job_types.x.command"]),
        ("no TOML", [":1: "]),
        (None, ["name a file that can be read"]),
    ],
)
def test_a_configuration_with_faults_changes_nothing(
    launch: Callable[..., Any], config: str | None, faults: list[str]
) -> None:
    server = launch()
    before = server.get("/job-types"), server.get("/scheduler/config"), server.last_seq()
    if config is None:
        server.config.unlink()
    lines = reload(server, config, said="configuration not reloaded")
    said = [line["fault"] for line in lines if line["event"] == "configuration fault"]
    assert len(said) == len(faults) == lines[-1]["faults"]
    assert all(fault in line for fault, line in zip(faults, said, strict=True)), said
    after = server.get("/job-types"), server.get("/scheduler/config"), server.last_seq()
    assert after == before
    assert server.run("ok")["status"] == "COMPLETED"


def test_what_needs_a_restart_is_named_and_keeps_its_value(launch: Callable[..., Any]) -> None:
    server = launch()
    wanted = server.config.read_text()
    wanted = wanted.replace("[server]\n", '[server]\nsunset = 2030-01-01\nlog_level = "debug"\n')
    lines = reload(server, wanted.replace("shutdown_grace_s = 3", "shutdown_grace_s = 4") + ADDED)
    needed = [line for line in lines if line["event"] == "setting kept until restart"]
    assert [(line["key"], line["in_force"]) for line in needed] == [
        ("server.shutdown_grace_s", "3.0"),
        ("server.sunset", "None"),
    ]
    assert lines[-1]["changed"] == ["server.log_level", "job_types.added"]
    assert lines[-1]["needs_restart"] == ["server.shutdown_grace_s", "server.sunset"]
    reload(server, said="setting kept until restart")


def test_a_lower_demand_for_free_space_lets_what_waits_start(launch: Callable[..., Any]) -> None:
    demand = "[scheduler]\nfree_space_bytes = {}\n"
    server = launch(tables=demand.format(1 << 50), start=False)
    server.prefix = ["env", "-u", "HEADWAY_SCHEDULER__FREE_SPACE_BYTES"]
    server.start()
    job_id = server.submit("ok")["job_id"]
    assert server.get(f"/jobs/{job_id}/explain")["waiting"]
    config = server.config.read_text()
    reload(server, config.replace(demand.format(1 << 50), demand.format(1)))
    assert server.until(job_id)["status"] == "COMPLETED"


def test_the_same_configuration_changes_nothing(launch: Callable[..., Any]) -> None:
    server = launch()
    server.run("echo")  # so that its type has made what it keeps
    seq = server.last_seq()
    for _ in range(2):
        assert reload(server)[-1]["changed"] == []
    assert server.last_seq() == seq


def test_what_runs_is_ended_and_judged_as_it_was_configured(
    launch: Callable[..., Any], gate: Any
) -> None:
    table = '[job_types.judged]\ncommand = ["/bin/sh", "-c", "{0} \\"$2\\"; exit 5", "x"]\n'
    table += "skip_exit_codes = [{1}]\nparams.path = {{ type = 'string', positional = true }}\n"
    old, new = table.format("echo opened; cat", 5), table.format("echo later", 6)
    server = launch(tables=old)
    running = server.submit("judged", {"path": gate.path})["job_id"]
    server.until_printed(running, b"opened")
    reload(server, server.config.read_text().replace(old, new))
    gate.open()
    assert server.until(running)["status"] == "SKIPPED"
    job = server.run("judged", {"path": "x"})
    assert job["status"] == "FAILED"
    assert server.output(job["job_id"]) == b"later x\n"


def test_the_log_level_changes(launch: Callable[..., Any]) -> None:
    server = launch()
    config = server.config.read_text()
    quiet = config.replace("[server]\n", '[server]\nlog_level = "error"\n')
    server.config.write_text(quiet)
    server.signal(signal.SIGHUP)
    server.eventually(lambda: len(events_of(server)) == 1, "it is reloaded")
    server.run("ok")
    reload(server, config)
    text = server.log()
    assert '"run ended"' not in text
    server.run("ok")
    server.eventually(lambda: '"run ended"' in server.log(), "it says more again")


def test_a_hangup_while_it_ends_delays_and_hastens_nothing(
    launch: Callable[..., Any], gate: Any
) -> None:
    server = launch("shutdown_grace_s = 60")
    running = server.hold(gate)["job_id"]
    server.signal(signal.SIGTERM)
    server.eventually(lambda: "shutdown started" in server.log(), "it has heard")
    server.signal(signal.SIGHUP)
    gate.open()
    assert server.wait() == 0
    assert server.rows(f"SELECT status FROM jobs WHERE job_id = '{running}'") == [("COMPLETED",)]


# ---- a type that is gone -----------------------------------------------------------------------


def test_jobs_of_a_type_that_is_gone_are_not_eligible_and_run_when_it_is_back(
    launch: Callable[..., Any],
) -> None:
    server = launch(tables=TWO)
    with_it = server.config.read_text()
    server.post("/scheduler/stop")
    gone = server.submit("two", priority=9)["job_id"]
    server.submit("two", run_at="2126-01-01T00:00:00Z")
    other = server.submit("ok")["job_id"]
    assert server.status()["unconfigured"] == {}
    assert server.get("/ready")["warnings"] == []

    def assert_it_waits(lines: str) -> None:
        status = server.status()
        assert (status["queue_length"], status["eligible"], status["deferred"]) == (3, 1, 0)
        assert status["unconfigured"] == {"two": 2}
        figures = server.client.get("/metrics").text.splitlines()
        assert 'headway_unconfigured_jobs{type="two"} 2.0' in figures
        assert 'headway_oldest_eligible_job_age_seconds{type="two"} 0.0' in figures
        (warning,) = server.get("/ready")["warnings"]
        assert "2 queued Jobs wait for the type two, which is not configured: add it" in warning
        assert warning in lines
        (first, *_) = server.get(f"/jobs/{gone}/explain")["waiting"]
        assert first["code"] == "unknown_type"
        assert "add it to the configuration" in first["message"]

    lines = reload(server, with_it.replace(TWO, ""), said="type not configured")
    assert_it_waits(json.dumps(lines))
    offset = len(server.log())
    server.restart()
    assert_it_waits(server.log()[offset:])
    server.post("/scheduler/start")
    server.until(other)
    assert server.job(gone)["status"] == "QUEUED"
    assert (server.status()["eligible"], server.status()["queue_length"]) == (0, 2)
    reload(server, with_it)
    assert server.until(gone)["status"] == "FAILED"
    status = server.status()
    assert (status["deferred"], status["unconfigured"]) == (1, {})
    assert server.get("/ready")["warnings"] == []


# ---- a terminal --------------------------------------------------------------------------------

BEHIND_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
terminal = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
os.dup2(terminal, 0)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Window:
    """A terminal that a server is started from, as its controlling one."""

    def __init__(self) -> None:
        window, terminal = pty.openpty()
        self.prefix = [sys.executable, "-c", BEHIND_A_TERMINAL, os.ttyname(terminal)]
        self._ends = [terminal, window]

    def close(self) -> None:
        """As a person closes it."""
        while self._ends:
            os.close(self._ends.pop(0))


@pytest.fixture
def window() -> Iterator[Window]:
    window = Window()
    yield window
    window.close()


def test_without_its_terminal_a_server_ends_in_order(
    launch: Callable[..., Any], window: Window, gate: Any
) -> None:
    server = launch(start=False)
    server.prefix = window.prefix
    server.start()
    running = server.hold(gate)["job_id"]
    reload(server, server.config.read_text() + ADDED)
    assert "added" in names(server), "with its terminal it reloads"
    window.close()
    server.eventually(lambda: '"shutdown started"' in server.log(), "it has lost it")
    gate.open()
    assert server.wait() == 0
    assert server.rows(f"SELECT status FROM jobs WHERE job_id = '{running}'") == [("COMPLETED",)]


def test_with_nohup_a_server_goes_on_without_its_terminal(
    launch: Callable[..., Any], window: Window
) -> None:
    server = launch(start=False)
    server.prefix = [*window.prefix, "nohup"]
    server.start()
    window.close()
    server.eventually(lambda: '"terminal lost"' in server.log(), "it has lost it")
    assert server.run("ok")["status"] == "COMPLETED"
    reload(server, server.config.read_text() + ADDED)
    assert "added" in names(server)
