"""Start a program: what it is given, what it inherits, how it ended, and why it cannot start."""

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from actors.host import linux_host, run_streams
from actors.host.launch import HostUnfit, SpawnFailed
from actors.host.linux_host import LinuxHost
from actors.host.shim import ExitRecord
from actors.run.outcome import outcome_of
from tests.actors.host.workshop import RUN_1, RUN_2, Workshop


def open_descriptors() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:  # that of the listing itself
            continue
        found.append(int(name))
    return found


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
