"""The end of the server: what runs may finish, nothing hangs, no client is cut off."""

import json
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.contract.server import Server

PATIENT = "shutdown_grace_s = 60"
"""Longer than a test waits for anything: who waits for the grace is too late."""

ENDS = """
SELECT j.job_id, j.status, r.error_code FROM jobs AS j JOIN job_runs AS r ON r.job_id = j.job_id
"""


def terminate(server: Server) -> float:
    """SIGTERM; how long it took to end with 0."""
    begun = time.monotonic()
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    return time.monotonic() - begun


def test_signals_that_are_not_needed_change_nothing(launch: Callable[..., Any]) -> None:
    server = launch()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with suppress(ProcessLookupError):
            server.signal(number)
    assert server.wait() == 0
    assert "stopped" in server.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_job_finishes_within_the_grace(
    launch: Callable[..., Any], gate: Any, number: int
) -> None:
    server = launch()
    running = server.hold(gate)["job_id"]
    waiting = server.submit("ok", priority=100)["job_id"]
    server.signal(number)
    server.eventually(lambda: "shutdown started" in server.log(), "it has heard")
    gate.open()
    assert server.wait(server.grace_s) == 0
    assert not server.processes()
    rows = server.rows("SELECT job_id, status FROM jobs ORDER BY position")
    assert rows == [(running, "COMPLETED"), (waiting, "QUEUED")]
    (log,) = server.data_dir.glob("runs/*/log")
    assert log.read_bytes() == b"opened\nclosed\n"


def test_a_program_that_is_longer_than_the_grace_is_interrupted(
    launch: Callable[..., Any], gate: Any
) -> None:
    server = launch("shutdown_grace_s = 0.5")
    running = server.hold(gate)["job_id"]
    assert terminate(server) >= 0.5
    assert not server.processes()
    assert server.rows(ENDS) == [(running, "FAILED", "interrupted")]


def test_a_second_signal_ends_the_patience(launch: Callable[..., Any]) -> None:
    server = launch(PATIENT)
    running = server.submit("stubborn")["job_id"]
    server.eventually(lambda: server.output(running).count(b"\n") == 4, "all have forked")
    server.signal(signal.SIGTERM)
    server.eventually(lambda: "shutdown started" in server.log(), "it has heard")
    terminate(server)
    assert not server.processes()
    assert server.rows(ENDS) == [(running, "FAILED", "interrupted")]


def test_detach_leaves_the_program_to_the_next_server(
    launch: Callable[..., Any], gate: Any
) -> None:
    server = launch(PATIENT, "", "--detach")
    running = server.submit("gate", {"path": gate.path, "code": 6})["job_id"]
    server.until_printed(running, b"opened")
    run = server.run_of(running)
    terminate(server)
    assert server.processes()
    gate.write(b"alone\n")
    server.start()
    assert server.job(running)["status"] == "RUNNING"
    gate.open()
    assert server.until(running)["status"] == "FAILED"
    after = server.run_of(running)
    assert (after["run_id"], after["exit_code"]) == (run["run_id"], 6)
    assert server.output(running) == b"opened\nalone\nclosed\n"


def test_detach_ends_what_the_next_server_could_not_adopt(
    launch: Callable[..., Any], gate: Any
) -> None:
    bare = '[job_types.bare]\ncommand = ["sleep", "300"]\nadopt = false\n'
    server = launch("shutdown_grace_s = 0.2", bare, "--detach")
    server.client.patch("/scheduler/config", json={"concurrency": 2})
    kept = server.submit("gate", {"path": gate.path})["job_id"]
    server.until_printed(kept, b"opened")
    ended = server.submit("bare")["job_id"]
    server.eventually(lambda: len(server.status()["running_job_ids"]) == 2, "both run")
    terminate(server)
    assert server.rows(ENDS) == [(kept, "RUNNING", None), (ended, "FAILED", "interrupted")]
    server.start()
    gate.open()
    assert server.until(kept)["status"] == "COMPLETED"


def test_clients_that_do_nothing_do_not_delay_the_end(
    launch: Callable[..., Any], gate: Any
) -> None:
    """An idle connection, half a request, open streams, a reader that reads nothing."""
    server = launch(PATIENT)
    job_id = server.run("bytes", {"count": 8_000_000})["job_id"]
    held = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    idle, silent, half, stalled = (server.connect() for _ in range(4))
    threads = []
    goodbyes: list[str] = []

    def follow(path: str) -> None:
        headers = {"Accept": "text/event-stream"}
        with server.client.stream("GET", path, headers=headers) as stream:
            for name, _, _ in server.read_events(stream.iter_lines()):
                goodbyes.append(name)

    try:
        idle.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert server.hear(idle)[0] == 200
        half.sendall(b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{")
        request = f"GET /jobs/{job_id}/log HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        stalled.sendall(request.encode())
        assert stalled.recv(1)  # and no more
        for path in ("/events", f"/jobs/{held}/log"):
            threads.append(threading.Thread(target=follow, args=(path,)))
            threads[-1].start()
        waiting = server.background(
            server.client.post, "/jobs", json={"type": "ok", "run_at": "2126-01-01T00:00:00Z"},
            headers={"Prefer": "wait=60"},
        )  # fmt: skip
        sql = "SELECT count(*) FROM jobs WHERE status = 'QUEUED'"
        server.eventually(lambda: server.rows(sql) == [(2,)], "the last has been queued")
        server.signal(signal.SIGTERM)
        assert waiting.result().json()["status"] == "QUEUED"
        assert server.wait() == 0
        for thread in threads:
            thread.join(server.deadline_s)
        assert goodbyes.count("goodbye") == 2
    finally:
        for connection in (idle, silent, half, stalled):
            connection.close()


def test_while_it_drains_it_says_so_and_starts_nothing(
    launch: Callable[..., Any], gate: Any
) -> None:
    server = launch()
    running = server.hold(gate)["job_id"]
    waiting = server.background(server.client.post, "/direct/ok")
    server.eventually(lambda: server.status()["has_active_reservation"], "a direct run waits")
    clients = [server.connect() for _ in range(4)]
    try:
        for connection in clients:
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert server.hear(connection)[0] == 200
        server.signal(signal.SIGTERM)
        server.eventually(lambda: "shutdown started" in server.log(), "it has heard")
        host = "Host: 127.0.0.1\r\n"
        post = f"{host}Content-Type: application/json\r\nContent-Length: "
        asked = []
        for connection, request in zip(
            clients,
            (
                f"GET /ready HTTP/1.1\r\n{host}\r\n",
                f"POST /direct/ok HTTP/1.1\r\n{post}2\r\n\r\n{{}}",
                f'POST /jobs HTTP/1.1\r\n{post}14\r\n\r\n{{"type": "ok"}}',
                f"GET /health HTTP/1.1\r\n{host}\r\n",
            ),
            strict=True,
        ):
            connection.sendall(request.encode())
            asked.append(server.hear(connection))
        for status, body in asked[:2]:
            assert (status, json.loads(body)["code"]) == (503, "shutting_down")
        assert waiting.result().json()["code"] == "shutting_down"
        assert asked[2][0] in (201, 503)
        assert asked[3][0] == 200
        with pytest.raises(ConnectionRefusedError):
            server.connect().close()
    finally:
        for connection in clients:
            connection.close()
    gate.open()
    assert server.wait(server.grace_s) == 0
    jobs = dict(server.rows("SELECT job_id, status FROM jobs"))
    assert jobs.pop(running) == "COMPLETED"
    assert jobs == ({json.loads(asked[2][1])["job_id"]: "QUEUED"} if asked[2][0] == 201 else {})


def test_under_load_no_request_is_reset_and_no_answer_is_a_lie(
    launch: Callable[..., Any],
) -> None:
    server = launch()
    server.post("/scheduler/stop")
    accepted: list[str] = []
    resets: list[str] = []
    odd: list[int] = []
    begun = threading.Event()

    def submit() -> None:
        limits = httpx.Limits(max_connections=1)
        options = {"timeout": server.deadline_s, "limits": limits, "verify": False}
        with httpx.Client(base_url=server.url, **options) as client:
            while True:
                try:
                    answer = client.post("/jobs", json={"type": "ok"})
                except httpx.ConnectError:
                    return  # the door is closed: nothing was sent
                except httpx.TransportError as error:
                    resets.append(repr(error))
                    return
                if answer.status_code == 201:
                    accepted.append(answer.json()["job_id"])
                elif answer.status_code != 503:
                    odd.append(answer.status_code)
                if len(accepted) > 150:
                    begun.set()
                if answer.headers.get("connection") == "close":
                    return

    threads = [threading.Thread(target=submit) for _ in range(12)]
    for thread in threads:
        thread.start()
    assert begun.wait(server.deadline_s)
    server.signal(signal.SIGTERM)
    assert server.wait(server.grace_s) == 0
    for thread in threads:
        thread.join(server.deadline_s)
    assert resets == []
    assert odd == []
    assert len(accepted) == len(set(accepted))
    there = {job_id for (job_id,) in server.rows("SELECT job_id FROM jobs")}
    assert set(accepted) <= there, "a 201 was not on disk"
    assert len(there - set(accepted)) == 0, "a Job without an answer"


def test_a_kill_under_load_loses_no_answer(launch: Callable[..., Any]) -> None:
    server = launch()
    accepted: list[str] = []
    begun = threading.Event()

    def submit() -> None:
        with (
            httpx.Client(base_url=server.url, verify=False) as client,
            suppress(httpx.TransportError),
        ):
            while True:
                accepted.append(client.post("/jobs", json={"type": "ok"}).json()["job_id"])
                if len(accepted) > 150:
                    begun.set()

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert begun.wait(server.deadline_s)
    server.kill()
    for thread in threads:
        thread.join(server.deadline_s)
    server.start()
    server.post("/scheduler/stop")
    there = {job_id for (job_id,) in server.rows("SELECT job_id FROM jobs")}
    assert set(accepted) <= there
    assert not server.breaches()
    assert server.rows("SELECT count(*), max(seq) FROM events")[0][0] == server.last_seq()
