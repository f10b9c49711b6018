"""A host that runs out of descriptors, processes, room for arguments; a program without measure."""

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

GUSH_BYTES = int(os.environ.get("HEADWAY_TEST_OUTPUT_BYTES", 200_000_000))
"""The matrix names 10 GB: `HEADWAY_TEST_OUTPUT_BYTES=10_000_000_000`."""
LIMIT_BYTES = 1 << 20
MEMORY_BYTES_MAX = 48 << 20

GUSH = f"""
[job_types.gush]
command = ["{{python}}", "-ISc", '''
import os, sys
left, block = int(sys.argv[2]), b"x" * 999_999 + b"\\n"
os.write(1, b"begin\\n")
while left > 0:
    left -= os.write(1, block)
os.write(1, b"end\\n")
''']
output_limit_bytes = {LIMIT_BYTES}
params.bytes = {{ type = "integer", positional = true }}
"""


def resident_bytes(pid: int, field: str) -> int:
    """A figure of /proc/PID/status that is given in kB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {field}")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_with_64_descriptors_it_serves_queues_and_recovers(launch: Callable[..., Any]) -> None:
    server = launch(start=False)
    server.prefix = ["prlimit", "--nofile=64:64"]
    server.start()
    assert server.run("ok")["status"] == "COMPLETED"
    before = descriptors(server.pid)
    with ExitStack() as stack:
        crowd = [stack.enter_context(server.connect()) for _ in range(60)]
        for connection in crowd:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert server.hear(crowd[0])[0] == 200
        # Whoever has come in is served; programs can be started beside the crowd.
        for _ in range(3):
            assert server.run("ok")["status"] == "COMPLETED"
        job = server.submit("sleeper", {"time": 300})["job_id"]
        server.until(job, "RUNNING")
        server.post(f"/jobs/{job}/cancel", status=202)
        assert server.until(job)["status"] == "CANCELLED"
        assert descriptors(server.pid) < 64
        # The idle make room for who waits.
        for connection in crowd[1:40]:
            assert server.hear(connection)[0] == 200
    server.eventually(lambda: descriptors(server.pid) <= before + 2, "it lets go of them")
    assert server.run("ok")["status"] == "COMPLETED"


CROWD = 252
EVENTS = b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", *headers)
    head = "".join(f"{line}\r\n" for line in lines)
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


CROWDS = {
    "streams": EVENTS,
    "direct runs": post("/direct/sleeper", b'{"params": {"time": 300}}'),
    "waits": post("/jobs", b'{"type": "sleeper", "params": {"time": 300}}', "Prefer: wait=60"),
    "bodies": post("/jobs", b'{"type": "ok"}')[:-1],
}


@pytest.mark.parametrize("name", CROWDS)
def test_short_requests_are_always_answered(launch: Callable[..., Any], name: str) -> None:
    server = launch(start=False)
    server.prefix = ["prlimit", "--nofile=300:300"]
    server.start()
    with ExitStack() as stack:
        crowd = [stack.enter_context(server.connect()) for _ in range(CROWD)]
        for connection in crowd:
            connection.sendall(CROWDS[name])
        for path in ("/health", "/ready", "/scheduler/status", "/jobs", "/metrics"):
            with server.connect() as connection:
                request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
                connection.sendall(request.encode())
                assert server.hear(connection)[0] == 200, path
        job = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
        server.post(f"/jobs/{job}/cancel", status=202)
        server.post("/scheduler/stop")
    server.settle()


def test_what_takes_long_is_limited_by_address(
    launch: Callable[..., Any],
) -> None:
    server = launch("max_streams = 3\nmax_streams_per_address = 2\n")
    ended = server.run("bytes", {"count": 500_000})["job_id"]
    held = server.submit("ok", run_at="2126-01-01T00:00:00Z")["job_id"]
    with ExitStack() as stack:

        def stream() -> Any:
            connection = stack.enter_context(server.connect())
            connection.sendall(EVENTS)
            return connection

        streams = [stream() for _ in range(2)]
        for connection in streams:
            assert connection.recv(20).startswith(b"HTTP/1.1 200")
        refused: list[Any] = [
            server.client.get("/events"),
            server.client.get(f"/jobs/{ended}/log"),
            server.client.get(f"/jobs/{held}/log", headers={"Accept": "text/event-stream"}),
            server.client.post("/direct/ok"),
            server.client.post("/jobs", json={"type": "ok"}, headers={"Prefer": "wait=5"}),
            server.client.post("/scheduler/stop", json={"wait_s": 5}),
        ]
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
            assert "max_streams_per_address" in answer.json()["detail"]
        assert server.status()["scheduler_running"] is True
        assert server.status()["queue_length"] == 1
        server.client.post("/jobs", json={"type": "ok"}).raise_for_status()
        server.post("/scheduler/stop")
        server.post("/scheduler/start")
        streams[0].close()
        log = f"/jobs/{ended}/log"
        server.eventually(lambda: server.client.get(log).status_code == 200, "one has room")


def test_arguments_that_are_too_long_together_fail_as_spawn(launch: Callable[..., Any]) -> None:
    server = launch(start=False)
    server.prefix = ["prlimit", "--stack=1048576"]  # of which a quarter is for arguments
    server.start()
    job = server.run("echo", {"tags": ["x" * 100_000] * 4})
    assert job["status"] == "FAILED"
    error = server.run_of(job["job_id"])["error"]
    assert error["code"] == "spawn"
    assert "too long" in error["message"]
    assert server.run("echo")["status"] == "COMPLETED"


def test_a_program_that_writes_without_end_fills_neither_disk_nor_memory(
    launch: Callable[..., Any],
) -> None:
    server = launch("", GUSH)
    server.run("gush", {"bytes": 1_000})
    before = resident_bytes(server.pid, "VmHWM")
    job = server.submit("gush", {"bytes": GUSH_BYTES})["job_id"]
    run = server.eventually(lambda: server.get(f"/jobs/{job}/runs")["runs"], "it runs")[0]
    log = server.data_dir / "runs" / run["run_id"] / "log"
    most = 0
    while server.job(job)["status"] not in server.terminal:
        if log.exists():
            most = max(most, log.stat().st_blocks * 512)
    assert server.job(job)["status"] == "COMPLETED"
    assert log.stat().st_size > GUSH_BYTES
    assert log.stat().st_blocks * 512 < 2 * LIMIT_BYTES
    assert most < GUSH_BYTES
    assert server.run_of(job)["log"]["truncated"] is True
    output = server.output(job)
    assert output.startswith(b"begin\n")
    assert output.endswith(b"end\n")
    assert len(output) < 2 * LIMIT_BYTES
    assert resident_bytes(server.pid, "VmHWM") - before < MEMORY_BYTES_MAX


@pytest.mark.parametrize("held", [3_000])
def test_3000_connections_are_held_and_let_go(launch: Callable[..., Any], held: int) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * held:
        pytest.skip(f"this host allows {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * held), hard))
    try:
        server = launch("", "\n")
        before = descriptors(server.pid)
        host, _, port = server.url.removeprefix("http://").partition(":")
        with ExitStack() as stack:
            # Of four one has asked, one is silent, one stops in its head, and one, whom the server
            # bears with for the shortest time, so it comes last, in its body.
            for opening in sorted(OPENINGS * (held // len(OPENINGS)), key=OPENINGS.index):
                connection = socket.create_connection((host, int(port)), timeout=server.deadline_s)
                stack.enter_context(connection).sendall(opening)
                if opening == OPENINGS[0]:
                    assert server.hear(connection)[0] == 200
            server.eventually(lambda: descriptors(server.pid) >= before + held, "all are in")
            assert server.run("ok")["status"] == "COMPLETED"
            assert server.get("/jobs")["jobs"]
            assert resident_bytes(server.pid, "VmRSS") < 400 << 20
        server.eventually(lambda: descriptors(server.pid) <= before + 2, "all are gone")
        assert server.run("ok")["status"] == "COMPLETED"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


OPENINGS = (
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"",
    b"GET /jobs HTTP/1.1\r\nHost: 127.",
    b"POST /jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 100\r\n\r\n{",
)
