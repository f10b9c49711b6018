"""Real processes: started through the shim, found again, ended with all that they started."""

import ctypes
import errno
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.host import children, linux_host, process_tree, run_streams
from actors.host.cgroup import find_cgroup_root
from actors.host.children import PR_SET_CHILD_SUBREAPER
from actors.host.launch import HostUnfit, Launch, SpawnFailed
from actors.host.linux_host import LinuxHost
from actors.host.shim import ExitRecord, parse_exit_file
from actors.run.outcome import outcome_of
from actors.run.run_files import RunFiles
from headway.model.run import Left
from storage.intents import digest_of

ROOT = Path(__file__).parents[2]
DEADLINE_S = 10
# Who looks for a run id looks at the whole host, and the teardown below kills what it finds: each
# test process has ids of its own, or two at once kill each other's programs.
RUN_1, RUN_2 = (f"run-{number}-of-{os.getpid()}" for number in (1, 2))
SEAL = "seal-1"
PATH = "/usr/local/bin:/usr/bin:/bin"

# ---- the exit file -----------------------------------------------------------------------------

STARTED = "started 7\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("started 7", {}),
        ("started 7 x\n", {}),
        ("exit 0\n", {}),  # of what?
        (STARTED, {"pid": 7}),
        (STARTED + "exit 0", {"pid": 7}),
        (STARTED + "exit 0\n", {"pid": 7, "exit_code": 0}),
        (STARTED + "exit 3\nmore\n", {"pid": 7, "exit_code": 3}),
        (STARTED + "exit 0\nexit 1\n", {"pid": 7, "exit_code": 0}),
        (STARTED + "exit 137\n", {"pid": 7, "exit_code": 137}),
        (STARTED + "Killed\nexit 137\n", {"pid": 7, "signal": 9}),
        (STARTED + "Killed\nexit 0\n", {"pid": 7, "exit_code": 0}),
        (STARTED + "Segmentation fault (core dumped)\nexit 139\n",
         {"pid": 7, "signal": 11}),
        (STARTED + "exit 130\n", {"pid": 7, "exit_code": 130}),
        (STARTED + "exit 141\n", {"pid": 7, "exit_code": 141}),
        (STARTED + "exit 128\n", {"pid": 7, "exit_code": 128}),
        ("sh: a word before\n" + STARTED + "exit 137\n",
         {"pid": 7, "exit_code": 137}),
        (STARTED + "\nexit 137\n", {"pid": 7, "signal": 9}),
        (STARTED + "exit -1\n", {"pid": 7}),
        (STARTED + "started 8\nexit 1\n", {"pid": 7, "exit_code": 1}),
    ],
)  # fmt: skip
def test_only_what_the_shim_finished_writing_happened(text: str, expected: dict[str, Any]) -> None:
    record = parse_exit_file(text)
    assert record == ExitRecord(**expected)
    assert record.started == ("pid" in expected)
    assert record.ended == ("exit_code" in expected or "signal" in expected)


# ---- the workshop ------------------------------------------------------------------------------


class Workshop:
    """Starts runs below a directory, and knows what became of them."""

    def __init__(self, host: LinuxHost, root: Path) -> None:
        self.host = host
        self.root = root
        self.processes: list[Any] = []
        self.hosts = [host]

    def another_host(self) -> LinuxHost:
        """As a server that comes after a crash has it."""
        self.hosts.append(LinuxHost(self.host.cgroups))
        return self.hosts[-1]

    def files(self, run_id: str) -> RunFiles:
        return RunFiles(self.root / run_id)

    def start(self, *argv: str, run_id: str = RUN_1, **fields: Any) -> Any:
        files = self.files(run_id)
        files.create()
        process = self.host.launch(
            Launch(
                **{
                    "run_id": run_id,
                    "argv": list(argv),
                    "environment": {"PATH": PATH, "HEADWAY_RUN_ID": run_id},
                    "work_dir": files.work,
                    "log": files.log,
                    "exit_file": files.exit,
                    "seal": SEAL,
                    **fields,
                }
            )
        )
        self.processes.append(process)
        return process

    def shell(self, script: str, run_id: str = RUN_1, **fields: Any) -> Any:
        return self.start("sh", "-c", script, run_id=run_id, **fields)

    async def end(self, process: Any) -> None:
        """As the executor does it."""
        with trio.fail_after(DEADLINE_S):
            await process.wait()
            await process.kill()
            await process.drain_output()

    async def said(self, run_id: str = RUN_1, lines: int = 1) -> list[str]:
        """The first lines of the log, when they are there."""
        log = self.files(run_id).log
        with trio.fail_after(DEADLINE_S):
            while not (log.exists() and log.read_text().count("\n") >= lines):  # noqa: ASYNC110
                await trio.sleep(0.002)
        return log.read_text().splitlines()[:lines]

    def record(self, run_id: str = RUN_1) -> ExitRecord:
        return self.files(run_id).exit_record((digest_of(SEAL),))

    async def begun(self, run_id: str = RUN_1) -> None:
        """Wait for the word of the shim: in the middle of execve(2) it has no environment yet."""
        with trio.fail_after(DEADLINE_S):
            while not self.record(run_id).started:  # noqa: ASYNC110
                await trio.sleep(0.001)


@pytest.fixture(params=["tree", "cgroup"])
def host(request: pytest.FixtureRequest) -> Iterator[LinuxHost]:
    root = (
        find_cgroup_root(f"headway-test-process-{os.getpid()}")
        if request.param == "cgroup"
        else None
    )
    if request.param == "cgroup" and root is None:
        pytest.skip("this host has no writable cgroup v2 tree")
    yield LinuxHost(root)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    if root is not None:
        root.remove()


@pytest.fixture
def shop(host: LinuxHost, tmp_path: Path) -> Iterator[Workshop]:
    shop = Workshop(host, tmp_path)
    yield shop
    for process in shop.processes:
        for seen in process_tree.with_descendants([process.pid]):
            process_tree.send(seen, signal.SIGKILL)
        process.close()
    for seen in list(process_tree.carriers(frozenset({RUN_1, RUN_2}))):
        process_tree.send(seen, signal.SIGKILL)
    for each in shop.hosts:
        each.close()
    host.children.leaders.clear()
    deadline = time.monotonic() + 1
    while host.children.strays() and time.monotonic() < deadline:
        time.sleep(0.001)


def open_descriptors() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:  # that of the listing itself
            continue
        found.append(int(name))
    return found


def lives(pid: int) -> bool:
    seen = process_tree.look(pid)
    return seen is not None and seen.lives


# ---- start and end -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", {"exit_code": 0}),
        ("exit 3", {"exit_code": 3}),
        ("exit 137", {"exit_code": 137}),
        ("kill -KILL $$", {"signal": 9}),
        ("kill -TERM $$", {"signal": 15}),
        ("kill -SEGV $$", {"signal": 11}),
        ("kill -HUP $$", {"signal": 1}),
        ("kill -QUIT $$", {"signal": 3}),
        ("kill -XFSZ $$", {"signal": 25}),
        ("kill -INT $$", {"exit_code": 130}),  # no shell says a word of these two
        ("kill -PIPE $$", {"exit_code": 141}),
    ],
)
async def test_how_it_ended_is_on_record(shop: Workshop, script: str, expected: Any) -> None:
    process = shop.shell(script)
    await shop.end(process)
    process.close()
    record = shop.record()
    assert record.pid == process.pid
    assert {"exit_code": record.exit_code, "signal": record.signal} == {
        "exit_code": None,
        "signal": None,
        **expected,
    }


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", {"exit_code": 0}),
        ("exit 137", {"exit_code": 137}),
        ("exit 127", {"exit_code": 127}),
        ("kill -KILL $$", {"signal": 9}),
        ("kill -INT $$", {"signal": 2}),
        ("kill -PIPE $$", {"signal": 13}),
    ],
)
async def test_without_a_shim_the_kernel_says_how_it_ended(
    shop: Workshop, script: str, expected: Any
) -> None:
    process = shop.shell(script, shim=False)
    await shop.end(process)
    assert process.exit_record() == ExitRecord(pid=process.pid, **expected)
    process.close()
    assert shop.record() == ExitRecord()
    assert shop.host.children.leaders == {}


async def test_without_a_shim_it_runs_where_it_should(shop: Workshop) -> None:
    here = os.getcwd()
    await shop.end(shop.shell("pwd; ps -o sid= -p $$; echo $$; env", shim=False))
    assert os.getcwd() == here
    lines = shop.files(RUN_1).log.read_text().splitlines()
    assert lines[0] == str(shop.files(RUN_1).work)
    assert int(lines[1]) == int(lines[2])
    assert f"HEADWAY_RUN_ID={RUN_1}" in lines[3:]


async def test_without_a_shim_a_program_that_is_none_is_refused(shop: Workshop) -> None:
    script = shop.root / "script"
    script.write_bytes(b"\x7fELF nothing")
    script.chmod(0o700)
    with pytest.raises(SpawnFailed, match="Exec format error"):
        shop.start(str(script), shim=False)
    assert shop.host.children.leaders == {}


async def test_a_sweep_buries_a_child_without_a_shim(shop: Workshop) -> None:
    process = shop.start("sleep", "60", shim=False)
    assert process.exit_record() == ExitRecord(pid=process.pid)
    process.close()  # its executor has crashed
    with trio.fail_after(DEADLINE_S):
        await shop.host.sweep(frozenset({RUN_1}), 0, trio.Event())
    assert shop.host.children.leaders == {}
    assert shop.host.children.strays() == []
    assert process_tree.look(process.pid) is None


async def test_output_goes_to_the_log_byte_for_byte(shop: Workshop) -> None:
    await shop.end(shop.shell(r"printf 'a\000b\377'; printf err >&2; printf '\nlast'"))
    assert shop.files(RUN_1).log.read_bytes() == b"a\0b\xfferr\nlast"


async def test_it_starts_in_its_own_directory_with_nothing_but_its_environment(
    shop: Workshop,
) -> None:
    await shop.end(shop.shell("pwd; /usr/bin/env | sort"))
    where, *environment = shop.files(RUN_1).log.read_text().splitlines()
    assert where == str(shop.files(RUN_1).work)
    names = {line.partition("=")[0] for line in environment}
    assert names - {"PWD", "OLDPWD", "_", "SHLVL"} == {"PATH", "HEADWAY_RUN_ID"}


async def test_it_inherits_no_descriptor_and_an_empty_input(shop: Workshop, tmp_path: Path) -> None:
    inherited = {fd for fd in open_descriptors() if fd > 2 and os.get_inheritable(fd)}
    ours = os.open(tmp_path, os.O_RDONLY)
    await shop.end(shop.shell("cat; ls /proc/self/fd"))
    os.close(ours)
    found = set(map(int, shop.files(RUN_1).log.read_text().split()))
    # What this very process got from its parent is the next test's; one is the directory itself.
    assert len(found - inherited - {0, 1, 2}) == 1


async def test_it_inherits_nothing_of_the_servers_parent_either(
    shop: Workshop, tmp_path: Path
) -> None:
    from_parent = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(from_parent, True)
    LinuxHost(None)  # as at the start of a server
    await shop.end(shop.shell("ls -l /proc/self/fd"))
    os.close(from_parent)
    assert f"-> {tmp_path}\n" not in shop.files(RUN_1).log.read_text()


async def test_its_input_is_in_no_file(shop: Workshop) -> None:
    given = b"a secret\n" * 100_000
    await shop.end(shop.shell("cat; cat /dev/stdin", stdin=given))
    assert shop.files(RUN_1).log.read_bytes() == given * 2
    assert sorted(os.listdir(shop.files(RUN_1).root)) == ["artifacts", "exit", "log", "work"]


@pytest.mark.parametrize("shim", [True, False])
async def test_it_starts_with_the_umask_of_who_started_the_server(
    shop: Workshop, shim: bool
) -> None:
    ours = os.umask(0o077)
    try:
        shop.host = LinuxHost(None, umask=0o013)
        shop.hosts.append(shop.host)
        process = shop.shell("umask; touch made", shim=shim)
        assert os.umask(0o077) == 0o077
        await shop.end(process)
    finally:
        os.umask(ours)
    files = shop.files(RUN_1)
    assert files.log.read_text() == "0013\n"
    assert (files.work / "made").stat().st_mode & 0o777 == 0o664
    own = [path for path in files.root.iterdir() if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in own} == {0o600}


FORGERIES = {
    "a line": "echo 'exit 0' >> ../exit; exit 3",
    "a line with another seal": "echo 'exit 0 seal-2' >> ../exit; exit 3",
    "nothing left of it": ": > ../exit; exit 3",
    "no file": "rm ../exit; exit 3",
    "another file": "echo 'started 1' > ../new; echo 'exit 0' >> ../new; mv ../new ../exit; exit 3",
    "a directory": "rm ../exit; mkdir ../exit; exit 3",
    "a link": "ln -sf /etc/passwd ../exit; exit 3",
    "a large file": "head -c 1000000 /dev/zero >> ../exit; exit 3",
    "no directory": "cd /; rm -r $(dirname $OLDPWD); exit 3",
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("adopted", [False, True])
async def test_no_program_can_write_its_own_end(
    shop: Workshop, forgery: str, adopted: bool
) -> None:
    shop.files(RUN_1).create()
    os.mkfifo(shop.root / "go")
    gate = os.open(shop.root / "go", os.O_RDWR)
    process = shop.shell(f"read -r x < {shop.root}/go; cd . ; {FORGERIES[forgery]}")
    await shop.begun()
    if adopted:
        shop.host.children.leaders.clear()
        found = shop.another_host().adopt(RUN_1, shop.record(), (digest_of(SEAL),))
        assert found is not None
        process = found
    os.write(gate, b"go\n")
    await shop.end(process)
    os.close(gate)
    assert process.exit_record().exit_code == 3


async def test_a_shim_that_is_killed_leaves_no_end_that_a_program_could_write(
    shop: Workshop,
) -> None:
    process = shop.shell("kill -KILL $PPID; sleep 0.01; echo 'exit 0' >> ../exit; exec sleep 60")
    await shop.end(process)
    assert not process.exit_record().ended
    assert not shop.record().ended


SHELLS = {"dash": "dash", "bash": "bash", "busybox": "busybox"}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", ["KILL", "SEGV", "TERM", "INT", "PIPE"])
async def test_a_death_by_signal_is_no_exit_status(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, shell: str, name: str
) -> None:
    """Whatever /bin/sh is. Of two signals no shell says a word, and `verdict.py` says so."""
    if (path := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not here")
    (shop.root / "sh").symlink_to(path)
    monkeypatch.setattr(linux_host, "SHELL", str(shop.root / "sh"))
    number = signal.Signals[f"SIG{name}"]
    died = shop.shell(f"kill -{name} $$")
    exited = shop.shell(f"exit {128 + number}", run_id=RUN_2)
    for process in (died, exited):
        await shop.end(process)
    first, second = died.exit_record(), exited.exit_record()
    assert second.exit_code == 128 + number
    if name in ("INT", "PIPE"):
        error = outcome_of(first, (), killed=False).error
        assert error is not None
        assert f"or by SIG{name}" in error.message
    else:
        assert (first.signal, first.exit_code) == (number, None)


LEAVES = {
    "that end on TERM": ("sh -c 'echo x; exec sleep 60' &", 0),
    "that ignore it": ("sh -c 'trap \"\" TERM; echo x; exec sleep 60' &", 2),
    "that clean up": ("sh -c 'trap \"echo bye; exit\" TERM; echo x; read -r x < ../none' &", 0),
}


@pytest.mark.parametrize("what", LEAVES)
async def test_processes_that_a_program_leaves_get_a_term_and_its_grace(
    shop: Workshop, what: str
) -> None:
    script, killed = LEAVES[what]
    shop.files(RUN_1).create()
    os.mkfifo(shop.files(RUN_1).root / "none")
    wait = 'while [ "$(wc -l < ../log)" -lt 2 ]; do sleep 0.002; done; exit 0'
    process = shop.shell(f"{script} {script} {wait}")
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        left = await process.end_rest(0.2 if killed else DEADLINE_S, trio.Event())
        await process.drain_output()
    assert left == Left(processes=2, killed=killed)
    assert process.exit_record().exit_code == 0
    said = shop.files(RUN_1).log.read_text().split()
    assert said.count("bye") == (2 if what == "that clean up" else 0)


async def test_haste_shortens_the_grace_of_what_is_left(shop: Workshop) -> None:
    process = shop.shell("(trap '' TERM; exec sleep 60) & exit 0")
    hurry = trio.Event()
    hurry.set()
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        assert (await process.end_rest(10 * DEADLINE_S, hurry)).killed == 1


async def test_a_program_that_leaves_nothing_is_not_asked_again(shop: Workshop) -> None:
    process = shop.shell("exit 0")
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        assert await process.end_rest(0, trio.Event()) == Left(processes=0, killed=0)


async def test_each_run_leads_a_session_of_its_own(shop: Workshop) -> None:
    process = shop.shell("read -r s </proc/$$/stat; echo $s; exec sleep 60")
    (stat,) = await shop.said()
    session = int(stat.rpartition(") ")[2].split()[3])
    assert session == process.pid != os.getsid(0)


async def test_arguments_arrive_as_they_are(shop: Workshop) -> None:
    words = ["a b", "$(id)", "", "*", "'\"", "\n", "-x", "--", "바다", "\\"]
    await shop.end(shop.start("printf", "%s|", *words))
    assert shop.files(RUN_1).log.read_text() == "|".join(words) + "|"


async def disposition(shop: Workshop) -> dict[str, int]:
    """Which signals a program blocks and ignores; 32 and 33 are the C library's own."""
    await shop.end(shop.shell("grep -E '^Sig(Ign|Blk)' /proc/self/status"))
    lines = shop.files(RUN_1).log.read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1], 16) & 0x7FFFFFFF for line in lines}


async def test_signals_that_python_ignores_have_their_defaults(shop: Workshop) -> None:
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    assert await disposition(shop) == {"SigBlk": 0, "SigIgn": 0}


async def test_signals_that_the_servers_parent_ignores_have_their_defaults(shop: Workshop) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert await disposition(shop) == {"SigBlk": 0, "SigIgn": 0}
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["no-such-program"], "not on the PATH"),
        (["/no/such/file"], "no such file"),
        (["/etc"], "not executable"),
        (["/etc/passwd"], "not executable"),
        (["./here"], "no such file"),
        (["true", *["x" * 100_000] * 40], "too long"),
    ],
)
def test_what_cannot_be_started_says_why(shop: Workshop, argv: list[str], why: str) -> None:
    with pytest.raises(SpawnFailed, match=why):
        shop.start(*argv)
    assert shop.host.children.leaders == {}


async def test_what_the_shell_cannot_start_stands_in_the_log(shop: Workshop) -> None:
    bad = shop.root / "bad"
    bad.write_text("#!/no/such/interpreter\n")
    bad.chmod(0o700)
    await shop.end(shop.start(str(bad)))
    assert shop.record().exit_code in (126, 127)
    assert shop.files(RUN_1).last_log_line().startswith("headway-shim: ")


async def test_its_age_counts_from_its_start(shop: Workshop) -> None:
    process = shop.shell("exec sleep 60")
    assert 0 <= process.age_s() < 5


# ---- ending a tree -----------------------------------------------------------------------------

# Says the process id of a child that tries to get away.
ESCAPES = {
    "child": "sleep 60 & echo $!; wait",
    "session": "setsid sleep 60 & echo $!; sleep 0.01; wait",
    "clean": "env -i setsid sleep 60 & echo $!; sleep 0.01; wait",
    "orphan": "(setsid sh -c 'echo $$; exec env -i /bin/sleep 60' &) ; exec sleep 60",
}


@pytest.mark.parametrize("escape", list(ESCAPES))
async def test_kill_leaves_nothing(shop: Workshop, escape: str) -> None:
    process = shop.shell(ESCAPES[escape])
    child = int((await shop.said())[0])
    assert lives(child)
    with trio.fail_after(DEADLINE_S):
        await process.kill()
    assert not lives(child)
    assert not lives(process.pid)
    await shop.end(process)
    process.close()
    assert process_tree.look(process.pid) is None
    assert not shop.record().ended


@pytest.mark.parametrize("escape", list(ESCAPES))
async def test_what_is_left_behind_ends_with_its_run(shop: Workshop, escape: str) -> None:
    script = ESCAPES[escape].replace("; wait", "").replace("; exec sleep 60", "")
    process = shop.shell(script + "; while ! [ -s ../log ]; do sleep 0.002; done; exit 5")
    await shop.end(process)
    child = int(shop.files(RUN_1).log.read_text().split()[0])
    assert not lives(child)
    assert shop.record().exit_code == 5


@pytest.mark.parametrize("escape", ["child", "session"])
async def test_term_reaches_the_whole_tree(shop: Workshop, escape: str) -> None:
    process = shop.shell(ESCAPES[escape])
    child = int((await shop.said())[0])
    process.terminate()
    await shop.end(process)
    assert not lives(child)
    assert shop.record().signal == signal.SIGTERM


async def test_a_program_may_end_well_on_term(shop: Workshop) -> None:
    process = shop.shell("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done")
    await shop.said()
    process.terminate()
    await shop.end(process)
    assert shop.record().exit_code == 4
    assert "bye" in shop.files(RUN_1).log.read_text()


async def test_who_ignores_term_goes_on_until_kill(shop: Workshop) -> None:
    process = shop.shell("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    await shop.said()
    process.terminate()
    with trio.move_on_after(0.05) as scope:
        await process.wait()
    assert scope.cancelled_caught
    await process.kill()
    await shop.end(process)
    assert not shop.record().ended


async def test_killing_one_run_leaves_the_other(shop: Workshop) -> None:
    one = shop.shell(ESCAPES["session"])
    two = shop.shell(ESCAPES["session"], run_id=RUN_2)
    child_of_one = int((await shop.said())[0])
    child_of_two = int((await shop.said(RUN_2))[0])
    await one.kill()
    assert not lives(child_of_one)
    assert lives(child_of_two)
    assert lives(two.pid)


async def test_closing_buries_the_shim(shop: Workshop) -> None:
    first = shop.shell("exit 0", run_id=RUN_2)  # the log writer is there from now on
    await shop.end(first)
    first.close()
    descriptors = len(os.listdir("/proc/self/fd"))
    process = shop.shell("exit 0")
    await shop.end(process)
    seen = process_tree.look(process.pid)
    assert seen is not None  # its id stays taken until then
    assert not seen.lives
    process.close()
    assert process_tree.look(process.pid) is None
    assert len(os.listdir("/proc/self/fd")) == descriptors


async def test_dead_orphans_are_buried(shop: Workshop, nursery: trio.Nursery) -> None:
    nursery.start_soon(shop.host.run)
    await trio.testing.wait_all_tasks_blocked()
    shop.shell("(setsid sh -c 'echo $$' &) ; exec sleep 60")
    orphan = int((await shop.said())[0])
    with trio.fail_after(DEADLINE_S):
        while process_tree.look(orphan) is not None:  # noqa: ASYNC110 - the kernel tells nobody
            await trio.sleep(0.002)


async def test_between_two_looks_the_host_is_deaf_and_python_keeps_its_handler(
    shop: Workshop, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that comes while Python puts its handler away is an error in the server's log."""
    monkeypatch.setattr(children, "REAP_PAUSE_S", 3600)
    nursery.start_soon(shop.host.run)
    await trio.testing.wait_all_tasks_blocked()
    assert is_caught(signal.SIGCHLD)
    handler = signal.getsignal(signal.SIGCHLD)
    os.kill(os.getpid(), signal.SIGCHLD)
    await trio.testing.wait_all_tasks_blocked()
    assert not is_caught(signal.SIGCHLD)
    assert signal.getsignal(signal.SIGCHLD) is handler


def is_caught(number: int) -> bool:
    """Whether this process has a handler for the signal: see proc_pid_status(5)."""
    (caught,) = re.findall(r"SigCgt:\s*(\w+)", Path("/proc/self/status").read_text())
    return bool(int(caught, 16) >> number - 1 & 1)


# ---- fences ------------------------------------------------------------------------------------


async def test_a_fenced_tree_is_in_its_cgroup(shop: Workshop) -> None:
    process = shop.shell(ESCAPES["clean"])
    child = int((await shop.said())[0])
    process.fence()
    process.fence()
    if shop.host.cgroups is None:
        return
    cgroup = shop.host.cgroups.of_process(child, RUN_1)
    assert cgroup is not None
    assert {process.pid, child} <= set(cgroup.members())
    await process.kill()
    await shop.end(process)
    process.close()
    assert not cgroup.path.exists()


async def test_a_sweep_finds_in_the_fence_what_hides_its_id(shop: Workshop) -> None:
    """As when a program ended while no server was there, and left a daemon without environment."""
    if shop.host.cgroups is None:
        pytest.skip("without a fence nothing tells whose such a process is")
    process = shop.shell(ESCAPES["clean"])
    child = int((await shop.said())[0])
    process.fence()
    for seen in process_tree.with_descendants([process.pid]):
        if seen.pid != child:
            process_tree.send(seen, signal.SIGKILL)
    await process.wait()
    later = shop.another_host()
    with trio.fail_after(DEADLINE_S):
        await later.sweep(frozenset({RUN_1}), 0, trio.Event())
    assert not lives(child)
    assert not shop.host.cgroups.of_run(RUN_1).path.exists()


async def test_a_run_that_is_just_starting_is_nobodys_orphan(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.shell("exec sleep 60")
    real: Callable[[int], int] = os.pidfd_open
    taken: list[int] = []

    def look_meanwhile(pid: int) -> int:
        # The kernel call lets go of the interpreter's lock: here the other thread runs.
        taken.extend(first._orphans())
        return real(pid)

    monkeypatch.setattr(os, "pidfd_open", look_meanwhile)
    second = shop.shell("exec sleep 60", run_id=RUN_2)
    assert second.pid not in taken


async def test_an_orphan_in_the_middle_of_an_exec_is_looked_at_again(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.shell("exec sleep 60", run_id=RUN_2)  # so that not every stray is the first one's
    process = shop.shell("setsid sh -c 'echo $$; exec sleep 60' & wait", shim=False)
    orphan = int((await shop.said())[0])
    real = process_tree.run_id_of
    looks: list[int] = []

    def run_id_of(pid: int) -> str | None:
        looks.append(pid)
        return None if pid == orphan and looks.count(pid) < 4 else real(pid)

    monkeypatch.setattr(process_tree, "run_id_of", run_id_of)
    os.kill(process.pid, signal.SIGKILL)
    await shop.end(process)
    assert not lives(orphan)
    assert looks.count(orphan) >= 4


async def test_what_a_former_servers_run_left_is_looked_for_more_than_once(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = shop.shell("exec sleep 60")
    first: Iterator[list[process_tree.ProcessState]] = iter(
        [[]]
    )  # in the middle of an exec it is not found
    real = process._members
    monkeypatch.setattr(process, "_child", False)
    monkeypatch.setattr(process, "_members", lambda: [] if next(first, None) == [] else real())
    await process.kill()
    monkeypatch.undo()
    assert not lives(process.pid)


async def test_who_hides_for_ever_is_not_waited_for_for_ever(shop: Workshop) -> None:
    shop.shell("exec sleep 60", run_id=RUN_2)
    process = shop.shell("env -i setsid sleep 60 & echo $!; sleep 0.05")
    hidden = int((await shop.said())[0])
    await shop.end(process)
    os.kill(hidden, signal.SIGKILL)


# ---- finding again -----------------------------------------------------------------------------


async def test_a_living_run_is_adopted(shop: Workshop) -> None:
    shop.files(RUN_1).create()
    os.mkfifo(shop.files(RUN_1).root / "go")
    process = shop.shell("read -r x < ../go; exit 6")
    shop.host.children.leaders.clear()
    await shop.begun()
    later = shop.another_host()
    found = later.adopt(RUN_1, shop.record())
    assert found is not None
    assert found.pid == process.pid
    (shop.files(RUN_1).root / "go").write_text("go\n")
    await shop.end(found)
    found.close()
    assert shop.record().exit_code == 6
    assert later.children.leaders == {}


async def test_a_disk_that_is_too_full_for_the_word_of_the_shim_is_the_hosts(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_streams, "_EXIT", os.O_RDWR | os.O_CLOEXEC)
    with pytest.raises(HostUnfit, match="No space left"):
        shop.shell("echo ran", exit_file=Path("/dev/full"))
    assert shop.files(RUN_1).log.read_bytes() == b""


async def test_a_program_that_cannot_be_watched_is_not_started(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pidfd_open(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as poor:
        poor.setattr(os, "pidfd_open", pidfd_open)
        with pytest.raises(HostUnfit, match="Too many open files"):
            shop.shell("echo ran")
    assert shop.host.children.leaders == {}
    assert shop.files(RUN_1).log.read_bytes() == b""


async def test_a_run_without_a_word_is_found_by_its_id(shop: Workshop) -> None:
    process = shop.shell("exec sleep 60")
    await shop.begun()
    found = shop.another_host().adopt(RUN_1, ExitRecord())
    assert found is not None
    assert found.pid == process.pid
    assert shop.another_host().adopt(RUN_2, ExitRecord()) is None


async def test_what_only_has_the_same_id_is_not_adopted(shop: Workshop) -> None:
    process = shop.shell("exec sleep 60")
    other = shop.shell("exec sleep 60", run_id=RUN_2)
    await shop.begun()
    later = shop.another_host()
    descriptors = len(os.listdir("/proc/self/fd"))
    assert later.adopt(RUN_1, ExitRecord(pid=other.pid)) is None
    assert later.adopt(RUN_1, ExitRecord(pid=os.getpid())) is None
    assert later.adopt(RUN_1, ExitRecord(pid=2**22 + 1)) is None
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert later.adopt(RUN_1, ExitRecord(pid=process.pid)) is not None


async def test_the_dead_are_not_adopted(shop: Workshop) -> None:
    process = shop.shell("exit 0")
    with trio.fail_after(DEADLINE_S):
        await process.wait()
    assert shop.another_host().adopt(RUN_1, shop.record()) is None


async def test_a_sweep_ends_what_carries_the_id(shop: Workshop) -> None:
    process = shop.shell(ESCAPES["session"])
    other = shop.shell("exec sleep 60", run_id=RUN_2)
    child = int((await shop.said())[0])
    with trio.fail_after(DEADLINE_S):
        await shop.host.sweep(frozenset({RUN_1, "run-none"}), 0, trio.Event())
    assert not lives(child)
    assert not lives(process.pid)
    assert lives(other.pid)


async def test_a_run_of_a_server_that_has_died_is_adopted_and_ended(
    shop: Workshop, tmp_path: Path
) -> None:
    """The former parent is gone, so the run is init's child, and only init can bury it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    server = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from actors.host.launch import Launch
from actors.host.linux_host import LinuxHost
root = Path({str(tmp_path)!r}) / {RUN_1!r}
(root / "work").mkdir(parents=True)
LinuxHost(None).launch(Launch(run_id={RUN_1!r}, argv=["sh", "-c", {ESCAPES["session"]!r}],
    environment={{"PATH": {PATH!r}, "HEADWAY_RUN_ID": {RUN_1!r}}}, work_dir=root / "work",
    log=root / "log", exit_file=root / "exit", seal={SEAL!r}))
"""
    with trio.fail_after(DEADLINE_S):
        await trio.run_process([sys.executable, "-c", server])
    child = int((await shop.said())[0])
    found = shop.host.adopt(RUN_1, shop.record())
    assert found is not None
    assert lives(child)
    found.terminate()
    await shop.end(found)
    found.close()
    assert not lives(child)
    assert shop.record().signal == signal.SIGTERM
