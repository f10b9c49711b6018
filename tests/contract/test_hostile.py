"""What a program leaves behind to spite its server: it affects its own run, and nothing else."""

import os
import shutil
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.server import Server

pytestmark = pytest.mark.usefixtures("hostile")

LIMITED = """
[job_types.limited]
command = ["/bin/sh", "-c", 'cd "$HEADWAY_ARTIFACTS"; for n in a b c; do echo $n > $n; done']
artifact_limit_files = 2

[job_types.strict]
command = ["/bin/sh", "-c", 'head -c 100000 /dev/zero > "$HEADWAY_ARTIFACTS/x"']
artifact_limit_bytes = 50_000
on_artifact_limit = "fail"
"""
DEEP = """
import os
for top in (os.environ["HEADWAY_ARTIFACTS"], os.getcwd()):
    os.chdir(top)
    for _ in range(1100):
        os.mkdir("a")
        os.chdir("a")
"""
CLOSED = """
cd "$HEADWAY_ARTIFACTS"
mkdir -p good closed/below; echo x > good/x; echo x > closed/below/y; chmod 000 closed/below closed
cd "$OLDPWD"; mkdir -p closed/below; echo x > closed/below/y; chmod 000 closed/below closed .
"""
SPARSE = 'truncate -s 40G "$HEADWAY_ARTIFACTS/x"'


@pytest.fixture
def server(launch: Callable[..., Any]) -> Any:
    """One of the test's own, in a directory that is emptied by us."""
    return launch(tables=LIMITED)


@pytest.fixture
def powerless_server(launch: Callable[..., Any]) -> Any:
    """The same without root's power over files."""
    server = launch(tables=LIMITED, start=False)
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("without setpriv(1), root may read everything")
        server.prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    server.start()
    return server


def collection(server: Server, job_id: str) -> Any:
    return server.run_of(job_id)["collection"]


def final(server: Server, job_id: str) -> Any:
    """The run, when its collection is over."""
    sql = "SELECT 1 FROM job_runs WHERE collecting <> 0"
    server.eventually(lambda: not server.rows(sql), "all is collected")
    return server.run_of(job_id)


def left_to_remove(server: Server) -> list[str]:
    return os.listdir(server.data_dir / "runs" / ".trash")


def shell(server: Server, script: str) -> Any:
    return server.run("shell", {"script": script})


# ---- deep, closed, wide ------------------------------------------------------------------------


def test_directories_without_end_do_not_stop_the_server(server: Server) -> None:
    job = shell(server, f"python3 -c '{DEEP}'")
    assert job["status"] == "COMPLETED", server.output(job["job_id"])
    assert server.run("ok")["status"] == "COMPLETED"
    run = final(server, job["job_id"])
    assert run["collection"] == {
        "complete": False,
        "reason": "1 directories lie more than 100 deep and were not kept",
    }
    server.restart()
    assert server.run("ok")["status"] == "COMPLETED"
    server.eventually(lambda: not left_to_remove(server), "all of it is removed")
    assert not (server.data_dir / "runs" / run["run_id"] / "work").exists()


def test_what_a_killed_server_has_not_removed_the_next_one_does(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.kill()
    for name in (".trash/7", ".spare/deep", "run-of-an-earlier-life/artifacts"):
        top = server.data_dir / "runs" / name
        top.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(top)
        for _ in range(1100):
            os.mkdir("a")
            os.chdir("a")
    monkeypatch.undo()
    server.start()
    assert server.run("ok")["status"] == "COMPLETED"
    server.eventually(lambda: not left_to_remove(server), "all of it is removed")


def test_closed_directories_are_told_and_removed(powerless_server: Any) -> None:
    server = powerless_server
    job = shell(server, CLOSED)
    assert job["status"] == "COMPLETED", server.output(job["job_id"])
    run = final(server, job["job_id"])
    assert [one["name"] for one in run["artifacts"]] == ["good/x"]
    assert run["collection"] == {
        "complete": False,
        "reason": "1 names could not be read (closed: Permission denied)",
    }
    server.eventually(lambda: not left_to_remove(server), "the working directory is removed")
    server.restart()
    assert server.run("ok")["status"] == "COMPLETED"
    (server.data_dir / "runs" / run["run_id"] / "artifacts" / "closed").chmod(0o700)


def test_many_files_in_the_working_directory_go(server: Server) -> None:
    script = "import os; [os.mknod(str(n)) for n in range(30_000)]"
    job = server.submit("shell", {"script": f"python3 -ISc '{script}'"})["job_id"]
    assert server.until(job)["status"] == "COMPLETED", server.output(job)
    run = server.run_of(job)
    assert not (server.data_dir / "runs" / run["run_id"] / "work").exists()
    assert server.run("ok")["status"] == "COMPLETED"
    server.eventually(lambda: not left_to_remove(server), "all of it is removed")


# ---- large -------------------------------------------------------------------------------------


def test_a_sparse_file_holds_up_no_other_run_and_no_cancel_and_no_end(
    server: Server, gate: Any
) -> None:
    job = shell(server, SPARSE)
    assert job["status"] == "COMPLETED"
    held = server.hold(gate)["job_id"]
    server.post(f"/jobs/{held}/cancel", status=202)
    assert server.until(held)["status"] == "CANCELLED"
    run = server.eventually(
        lambda: (found := server.run_of(job["job_id"]))["artifacts"] and found, "it is listed"
    )
    assert run["artifacts"] == [
        {"name": "x", "size_bytes": 40 * 1024**3, "sha256": None, "kept": True}
    ]
    assert run["collection"] == {"complete": False, "reason": None}
    assert "\nheadway_runs_collecting 1.0\n" in server.client.get("/metrics").text
    path = f"/jobs/{job['job_id']}/artifacts/x"
    answer = server.client.get(path, headers={"Range": "bytes=-3"})
    assert (answer.status_code, answer.content) == (206, b"\0\0\0")
    assert "etag" not in answer.headers
    server.signal(signal.SIGTERM)
    assert server.wait(server.grace_s) == 0


def test_a_killed_server_leaves_the_checksums_to_the_next(server: Server) -> None:
    large = shell(server, SPARSE)["job_id"]
    small = shell(server, 'truncate -s 3G "$HEADWAY_ARTIFACTS/y"')["job_id"]
    (root,) = (server.data_dir / "runs").glob(f"{server.run_of(large)['run_id']}")
    server.kill()
    (root / "artifacts" / "x").unlink()  # which would take a minute
    server.start()
    assert server.run("ok")["status"] == "COMPLETED"
    (one,) = final(server, small)["artifacts"]
    assert (one["name"], len(one["sha256"])) == ("y", 64)
    assert collection(server, small) == {"complete": True, "reason": None}


def test_runs_that_have_ended_by_themselves_survive_a_shutdown(
    launch: Callable[..., Any],
) -> None:
    """With 4 GB of artifacts they were recorded as interrupted."""
    server = launch("shutdown_grace_s = 0.5")
    jobs = [server.submit("shell", {"script": SPARSE})["job_id"] for _ in range(2)]
    records = server.data_dir / "runs"
    server.eventually(lambda: len(list(records.glob("*/artifacts/x"))) == 2, "both have begun")
    server.eventually(
        lambda: server.rows("SELECT 1 FROM job_runs WHERE collecting <> 0"), "one has ended"
    )
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    ends = dict(server.rows("SELECT job_id, status FROM jobs"))
    assert [ends[job] for job in jobs] == ["COMPLETED", "COMPLETED"]


@pytest.mark.parametrize(
    "write",
    ["yes '{\"result\": 1}' | head -c 200000000 >> FILE", "truncate -s 4G FILE"],
    ids=["dense", "sparse"],
)
def test_a_large_report_does_not_block_the_server(server: Server, write: str) -> None:
    """Requests beside it are answered at once, compared with how long the run takes."""
    write = write.replace("FILE", '"$HEADWAY_REPORT"')
    last = 'echo; echo "{\\"result\\": 7}"'
    script = f'{write}; {{ {last}; }} >> "$HEADWAY_REPORT"; sleep 2'
    begun = time.monotonic()
    job = server.submit("shell", {"script": script})["job_id"]
    longest = 0.0
    while server.job(job)["status"] not in server.terminal:
        asked = time.monotonic()
        server.get("/health")
        longest = max(longest, time.monotonic() - asked)
        assert asked < begun + server.deadline_s
    assert longest < (time.monotonic() - begun) / 2
    run = server.run_of(job)
    assert (run["status"], run["result"]) == ("COMPLETED", 7)
    assert run["collection"]["reason"].startswith("its report has ")


# ---- links, FIFOs ------------------------------------------------------------------------------


def test_a_fifo_where_times_are_written_does_not_block_the_server(server: Server) -> None:
    job = shell(server, "mkfifo ../times.new; echo one; sleep 0.3; echo two")
    assert job["status"] == "COMPLETED"
    assert server.output(job["job_id"]) == b"one\ntwo\n"
    assert server.run("ok")["status"] == "COMPLETED"


@pytest.mark.parametrize("name", ["times", "times.new", "report", "log", "exit"])
def test_a_link_is_not_followed(server: Server, tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text('{"result": "stolen"}\n' * 100)
    before = victim.read_bytes()
    script = f"rm -f ../{name}; ln -s {victim} ../{name}; echo one; sleep 0.3; echo two"
    run = server.run_of(shell(server, script)["job_id"])
    assert run["result"] is None
    assert victim.read_bytes() == before
    assert server.run("ok")["status"] == "COMPLETED"


@pytest.mark.parametrize(
    "there", ["ln -s /etc", "mkfifo", "touch", "true"], ids=["link", "fifo", "file", "gone"]
)
def test_something_else_in_the_place_of_the_artifacts(server: Server, there: str) -> None:
    job = shell(server, f'rmdir "$HEADWAY_ARTIFACTS"; {there} "$HEADWAY_ARTIFACTS"')
    run = final(server, job["job_id"])
    assert (run["status"], run["artifacts"]) == ("COMPLETED", [])
    reason = None if there == "true" else "something else lies where its artifacts were"
    assert run["collection"] == {"complete": reason is None, "reason": reason}


def test_the_database_cannot_be_had_as_an_artifact(server: Server) -> None:
    database = server.data_dir / "headway.db"
    script = f'for s in "" -wal -shm; do ln {database}$s "$HEADWAY_ARTIFACTS/db$s"; done'
    job = shell(server, script)["job_id"]
    run = final(server, job)
    assert run["artifacts"] == []
    assert run["collection"]["reason"] == ("3 names of the server's own database were not kept")
    assert server.client.get(f"/jobs/{job}/artifacts/db").status_code == 404
    assert server.run("ok")["status"] == "COMPLETED"
    assert not server.breaches()


# ---- limits ------------------------------------------------------------------------------------


def test_what_is_beyond_the_limits_is_listed_and_not_kept(server: Server) -> None:
    job = server.run("limited")["job_id"]
    run = final(server, job)
    assert (run["status"], run["collection"]["complete"]) == ("COMPLETED", False)
    assert run["collection"]["reason"].startswith("1 files were not kept: its type keeps at most 2")
    assert [(one["name"], one["kept"]) for one in run["artifacts"]] == [
        ("a", True), ("b", True), ("c", False),
    ]  # fmt: skip
    assert server.client.get(f"/jobs/{job}/artifacts/a").text == "a\n"
    answer = server.client.get(f"/jobs/{job}/artifacts/c")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert "1 files were not kept" in answer.json()["detail"]


def test_a_strict_type_fails_beyond_its_limits(server: Server) -> None:
    job = server.run("strict")
    assert job["status"] == "FAILED"
    run = final(server, job["job_id"])
    assert (run["exit_code"], run["error"]["code"]) == (0, "output_limit")
    assert [(one["name"], one["kept"]) for one in run["artifacts"]] == [("x", False)]


def test_a_collection_that_comes_later_is_an_event(server: Server) -> None:
    after = server.last_seq()
    job = server.run("limited")["job_id"]
    events = server.events(lambda event: event["kind"] == "run.collected", after)
    assert [event["kind"] for event in events][-2:] == ["run.finished", "run.collected"]
    assert events[-1]["job_id"] == job
    assert events[-1]["data"] == {
        "type": "limited",
        "artifacts": 2,
        "size_bytes": 4,
        "complete": False,
        "reason": server.run_of(job)["collection"]["reason"],
    }


# ---- readers -----------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    """Put something else in its place."""
    path.unlink()
    if how == "link":
        path.symlink_to("/etc/passwd")
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()


@pytest.mark.parametrize("how", ["gone", "link", "fifo", "directory"])
def test_an_artifact_that_is_no_longer_one(server: Server, how: str) -> None:
    job = server.run("artifacts")["job_id"]
    root = server.data_dir / "runs" / server.run_of(job)["run_id"]
    spoil(root / "artifacts" / "plain.txt", how)
    answer = server.client.get(f"/jobs/{job}/artifacts/plain.txt")
    assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert answer.json()["detail"] == "the artifact 'plain.txt' is not there any more"
    shutil.rmtree(root)
    assert server.client.get(f"/jobs/{job}/artifacts/empty").status_code == 410


def test_a_file_that_becomes_shorter_while_it_is_read_ends_the_connection(server: Server) -> None:
    script = 'truncate -s 64M "$HEADWAY_ARTIFACTS/x"; echo small > "$HEADWAY_ARTIFACTS/y"'
    job = server.run("shell", {"script": script})["job_id"]
    server.client.get(f"/jobs/{job}/artifacts", headers={"Prefer": "wait=14"})
    path = server.data_dir / "runs" / server.run_of(job)["run_id"] / "artifacts" / "x"
    with server.connect() as connection:
        connection.sendall(
            f"GET /jobs/{job}/artifacts/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        )
        data = connection.recv(65_536)
        assert b"content-length: 67108864" in data.lower()
        # More of it than the sockets hold is still to be read.
        os.truncate(path, 1_000)
        received = 0
        while piece := connection.recv(1 << 20):
            received += len(piece)
    assert received < 64 << 20
    server.eventually(lambda: "response cut short" in server.log(), "the log says so")
    assert server.is_sound(), server.log()
    assert server.client.get(f"/jobs/{job}/artifacts/y").content == b"small\n"


@pytest.mark.parametrize("how", ["gone", "link", "fifo", "directory"])
def test_a_log_that_is_no_longer_one(server: Server, how: str) -> None:
    job = server.run("bytes", {"count": 100})["job_id"]
    root = server.data_dir / "runs" / server.run_of(job)["run_id"]
    spoil(root / "log", how)
    for path in (f"/jobs/{job}/log", f"/jobs/{job}/log?tail=10"):
        answer = server.client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (410, "gone")
    assert server.get(f"/jobs/{job}/log/times")["times"] is not None
    events = follow(server, job)
    assert events[-1][0] == "end"


def follow(server: Server, job: str) -> list[Any]:
    headers = {"Accept": "text/event-stream"}
    with server.client.stream("GET", f"/jobs/{job}/log", headers=headers) as stream:
        return list(server.read_events(stream.iter_lines()))


def test_followers_of_a_log_that_was_swapped_end_with_their_run(server: Server, gate: Any) -> None:
    script = f"rm ../log; mkfifo ../log; cat {gate.path}"
    job = server.submit("shell", {"script": script})["job_id"]
    root = server.data_dir / "runs"
    server.eventually(
        lambda: [log for log in root.glob("*/log") if stat.S_ISFIFO(log.lstat().st_mode)],
        "it is swapped",
    )
    following = server.background(follow, server, job)
    gate.open()
    assert following.result(server.deadline_s)[-1][0] == "end"


def test_an_artifact_that_may_not_be_read_says_so(powerless_server: Any) -> None:
    server = powerless_server
    job = server.run("artifacts")["job_id"]
    root = server.data_dir / "runs" / server.run_of(job)["run_id"]
    (root / "artifacts" / "plain.txt").chmod(0)
    (root / "log").chmod(0)
    answer: httpx.Response = server.client.get(f"/jobs/{job}/artifacts/plain.txt")
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert answer.json()["detail"].endswith("cannot be read: Permission denied")
    assert server.client.get(f"/jobs/{job}/log").status_code == 409
