"""What surrounds the peers, mostly without them: processes that end, the gate, who is left out."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import bare_peer, latency, peer, redis_peer, runs, xargs_peer
from bench.gate import Gate
from bench.redis_peer import PEERS
from bench.result import Figure

DEADLINE_S = 60.0


def is_gone(pid: int) -> bool:
    """Whether it has ended; nobody may be there to reap it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def program(directory: Path, name: str, text: str) -> None:
    """An executable, which stands for one that may not be installed."""
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(text)
    file.chmod(0o755)


class TestAnswer:
    def test_is_what_the_process_prints(self) -> None:
        assert peer.answer(["/bin/echo", "[1, 2]"]) == [1, 2]

    def test_a_process_that_fails_is_an_error(self) -> None:
        with pytest.raises(subprocess.CalledProcessError):
            peer.answer(["/bin/sh", "-c", "echo 1; exit 3"])

    def test_a_late_one_ends_with_its_worker(self, tmp_path: Path) -> None:
        file = tmp_path / "pid"
        script = f"sleep 600 >/dev/null & echo $! > {file}.new; mv {file}.new {file}; wait"
        for timeout_s in (0.2, 2, 20):  # a loaded machine may not be so far after the first
            with pytest.raises(subprocess.TimeoutExpired):
                peer.answer(["/bin/sh", "-c", script], timeout_s=timeout_s)
            if file.exists():
                break
        until(lambda: is_gone(int(file.read_text())))


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["a quick end", "one that stays"])
def test_a_worker_ends_with_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    monkeypatch.setattr(peer, "STOP_TIMEOUT_S", 0.2)
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    loop = f"{trap}echo $$ > {fifo}; while :; do read line < {fifo}; done"
    with peer.running(["/bin/sh", "-c", loop]):
        pid = int(fifo.read_text())
        assert not is_gone(pid)
    assert is_gone(pid)


def test_a_queue_keeps_status_and_output() -> None:
    assert peer.recorded(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"]) == [3, "out\nerr\n"]


class TestGate:
    def test_it_opens_when_every_slot_waits(self, tmp_path: Path) -> None:
        gate = Gate(tmp_path, 2)
        first, second = gate.commands
        with subprocess.Popen(first) as early:
            with pytest.raises(TimeoutError, match="no worker came"):
                gate.open(timeout_s=0.05)
            early.wait(DEADLINE_S)  # it was let go by the gate that gave up
        before = time.time()
        with subprocess.Popen(first) as one, subprocess.Popen(second) as other:
            assert before <= gate.open(timeout_s=DEADLINE_S) <= time.time()
            assert (one.wait(DEADLINE_S), other.wait(DEADLINE_S)) == (0, 0)

    def test_what_waits_there_is_bounded(self, tmp_path: Path) -> None:
        (command,) = Gate(tmp_path, 1).commands
        assert command[:3] == ["timeout", "120", "cat"]


FAKE_REDIS = f"""#!{sys.executable}
import os, socket, sys
from pathlib import Path
listening = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])))
directory = Path(sys.argv[sys.argv.index("--dir") + 1])
(directory / "seen").write_text("\\n".join([str(os.getpid()), *sys.argv[1:]]))
while True:
    listening.accept()
"""


class TestRedis:
    def test_is_ours_on_loopback_and_keeps_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        program(tmp_path / "bin", "redis-server", FAKE_REDIS)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        with redis_peer.redis(tmp_path) as url:
            seen = tmp_path / "seen"
            until(seen.exists)
            until(lambda: "appendonly" in seen.read_text())
            pid, *arguments = seen.read_text().split("\n")
            options = dict(zip(arguments[::2], arguments[1::2], strict=True))
            assert url == f"redis://127.0.0.1:{options['--port']}/0"
            assert options["--bind"] == "127.0.0.1"
            assert (options["--save"], options["--appendonly"]) == ("", "no")
            assert not is_gone(int(pid))
        assert is_gone(int(pid))

    @pytest.mark.parametrize(
        ("modules", "server", "missing"),
        [
            ({"celery", "rq", "redis"}, True, [[], []]),
            ({"rq", "redis"}, True, [["celery"], []]),
            ({"celery", "rq"}, False, [["redis", "redis-server"], ["redis", "redis-server"]]),
        ],
    )
    def test_who_cannot_be_measured_is_said(
        self,
        monkeypatch: pytest.MonkeyPatch,
        modules: set[str],
        server: bool,
        missing: list[list[str]],
    ) -> None:
        installed(monkeypatch, modules, server=server)
        assert [peer.missing for peer in PEERS] == missing
        assert [peer in redis_peer.measured(False) for peer in PEERS] == [not m for m in missing]
        notes = redis_peer.notes(False)
        assert len(notes) == sum(map(bool, missing))
        assert all(note.endswith(", not judged") for note in notes)

    def test_a_quick_run_leaves_them_out_and_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        installed(monkeypatch, {"celery", "rq", "redis"}, server=True)
        assert redis_peer.measured(True) == []
        assert redis_peer.notes(True) == ["quick: Celery and RQ are left out, and not judged"]


def installed(monkeypatch: pytest.MonkeyPatch, modules: set[str], *, server: bool) -> None:
    monkeypatch.setattr(redis_peer, "find_spec", lambda name: name if name in modules else None)
    which = dict.fromkeys(["tsp", "xargs"] + ["redis-server"] * server, "/bin/x").get
    monkeypatch.setattr(shutil, "which", which)


MOREUTILS = "#!/bin/sh\necho parallel: --version: no such file >&2\nexit 1\n"
GNU = """#!/bin/sh
[ "$1" = --version ] && echo GNU parallel 20221122 && exit
while [ "$1" != --joblog ]; do shift; done
echo Seq > "$2"
while read n || [ -n "$n" ]; do
    printf '1\\t:\\t0\\t0\\t0\\t0\\t%s\\t0\\ttrue\\n' STATUS >> "$2"
done
"""


class TestParallel:
    @pytest.mark.parametrize(("text", "is_it"), [(MOREUTILS, False), (GNU, True), (None, False)])
    def test_only_gnus_is_meant(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, is_it: bool
    ) -> None:
        if text is not None:
            program(tmp_path / "bin", "parallel", text)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        assert xargs_peer.parallel_is_here() is is_it

    @pytest.mark.parametrize("status", [0, 1])
    def test_every_run_must_be_recorded_as_succeeded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
    ) -> None:
        program(tmp_path / "bin", "parallel", GNU.replace("STATUS", str(status)))
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        if status == 0:
            assert xargs_peer.parallel(tmp_path / "data", 3) > 0
        else:
            with pytest.raises(RuntimeError, match="3 runs, and 0 recorded as succeeded"):
                xargs_peer.parallel(tmp_path / "data", 3)

    @pytest.mark.skipif(not xargs_peer.parallel_is_here(), reason="GNU parallel is not installed")
    def test_the_real_one_is_understood(self, tmp_path: Path) -> None:
        assert xargs_peer.parallel(tmp_path / "data", 3) > 0


@pytest.mark.parametrize("shim", [True, False])
def test_the_bare_loop_records_what_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shim: bool
) -> None:
    loop = bare_peer.Loop(tmp_path / "good.db", shim=shim)
    assert loop.drain(5) > 0
    assert len(list((tmp_path / "good.d").glob("*.exit"))) == (5 if shim else 0)
    monkeypatch.setattr(bare_peer, "PROGRAM", ["/bin/false"])
    with pytest.raises(RuntimeError, match="5 runs, and 0 recorded as succeeded"):
        bare_peer.Loop(tmp_path / "bad.db", shim=shim).drain(5)


@pytest.mark.parametrize("each", PEERS, ids=lambda each: each.module)
def test_the_real_ones_drain_their_queue(each: redis_peer.RedisPeer, tmp_path: Path) -> None:
    if each.missing:
        pytest.skip(f"not installed: {', '.join(each.missing)}")
    assert each.drain(tmp_path / "peer", 3) > 0


class TestReports:
    def test_a_quick_drain_has_no_peer_that_needs_redis(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        installed(monkeypatch, {"celery", "rq", "redis"}, server=True)
        quick, whole = (set(runs._peers(tmp_path, 1, quick)) for quick in (True, False))
        assert whole - quick == {"Celery, Redis", "RQ, Redis"}
        assert quick == {runs.TSP, runs.XARGS}

    def test_runs_names_a_ratio_for_each_peer_and_a_note_for_each_other(self) -> None:
        names = [
            runs.HEADWAY,
            runs.FILED,
            runs.BARE,
            runs.HUEY,
            *runs.FLOORS,
            "RQ, Redis",
            runs.XARGS,
        ]
        pipe = runs._pipe({runs.HEADWAY: [3.0], runs.FILED: [2.5]})
        assert (pipe.values, pipe.met) == ((0.5,), True)
        figures = {name: Figure(name, "runs/s", (1.0,)) for name in names}
        report = runs._report(figures, pipe, True)
        assert [figure.name for figure in report.figures if figure.unit == "ratio"] == [
            "headway, adopt = false / Huey",
            "headway / Huey",
            'headway / headway, output = "file"',
            "bare loop / Huey",
            "the same rows and files on Trio / Huey",
            "headway / bare loop with the shim",
            "headway, adopt = false / bare loop",
            "headway, adopt = false / the same rows and files on Trio",
            "headway / RQ, Redis",
            "headway / xargs",
        ]
        assert report.notes == (
            "quick: Celery and RQ are left out, and not judged",
            "task-spooler (tsp): not installed, not judged",
            "GNU parallel: not installed, not judged",
        )

    def test_latency_judges_each_peer_but_not_the_floor(self) -> None:
        names = (latency.OURS, latency.BARE, "RQ, Redis", latency.SPAWN)
        found = {name: [[1.0]] for name in names}
        report = latency._report(found, False)
        judged = [figure.name for figure in report.figures if figure.goal is not None]
        assert judged == [f"headway, over HTTP / RQ, Redis: p{p}" for p in (50, 99)]
        beside = [f.name for f in report.figures if f.unit == "ratio" and "adopt" in f.name]
        assert beside == [f"headway, adopt = false / RQ, Redis: p{p}" for p in (50, 99)]
