"""Output through a pipe: no kill loses any of it, and nothing stays behind."""

import os
import select
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.host import process_tree
from actors.host.launch import Launch
from actors.host.linux_host import LinuxHost
from actors.host.log_writer import PID_NAME
from actors.host.log_writer_process import Writer
from actors.host.shim import ExitRecord
from storage.intents import digest_of

DEADLINE_S = 30.0
RUN = f"run-output-{os.getpid()}"
COUNT = 20_000
COUNTS = f"i=0; while [ $i -lt {COUNT} ]; do echo $i; i=$((i+1)); done"
COUNTED = "".join(f"{i}\n" for i in range(COUNT)).encode()


class Site:
    """A data directory and one server life after the other on it."""

    def __init__(self, root: Path, nursery: trio.Nursery) -> None:
        self.root = root
        self.run = root / RUN
        (self.run / "work").mkdir(parents=True)
        os.mkfifo(self.run / "work" / "go")
        self._gate = os.open(self.run / "work" / "go", os.O_RDWR)
        self._nursery = nursery
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        self.host: LinuxHost

    async def begin(self) -> None:
        self.host = LinuxHost(None, self.root)
        self._scope, self._ended = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(self._live, self.host, self._scope, self._ended)

    async def _live(self, host: LinuxHost, scope: trio.CancelScope, ended: trio.Event) -> None:
        with scope:
            await host.run()
        ended.set()

    def go(self) -> None:
        """Let a program go on that reads a line of the FIFO `go`, now or later."""
        os.write(self._gate, b"go\n")

    async def close(self) -> None:
        await self.crash()
        os.close(self._gate)

    async def crash(self) -> None:
        """As by kill -9: nothing is said to the log writer, its socket ends."""
        self._scope.cancel()
        with trio.CancelScope(shield=True):
            await self._ended.wait()  # nothing may wait for a descriptor that is closed
        self.host.close()

    def launch(self, script: str, **fields: Any) -> Any:
        return self.host.launch(
            Launch(
                run_id=RUN,
                argv=["sh", "-c", script],
                environment={"PATH": os.defpath, "HEADWAY_RUN_ID": RUN},
                work_dir=self.run / "work",
                log=self.run / "log",
                exit_file=self.run / "exit",
                seal="seal-1",
                **fields,
            )
        )

    async def end(self, process: Any) -> bytes:
        """Its output, when it has ended and been cleared up."""
        with trio.fail_after(DEADLINE_S):
            await process.wait()
            await process.end_rest(1.0, trio.Event())
            await process.drain_output()
        process.close()
        return (self.run / "log").read_bytes()

    async def until_written(self, size_bytes: int = 1) -> None:
        with trio.fail_after(DEADLINE_S):
            while (self.run / "log").stat().st_size < size_bytes:  # noqa: ASYNC110
                await trio.sleep(0.002)

    def writer(self) -> int:
        return int((self.root / PID_NAME).read_text().split()[0])

    def adopt(self) -> Any:
        process = self.host.adopt(RUN, ExitRecord(), (digest_of("seal-1"),))
        assert process is not None
        return process


@pytest.fixture
async def site(tmp_path: Path, nursery: trio.Nursery) -> AsyncIterator[Site]:
    site = Site(tmp_path, nursery)
    await site.begin()
    yield site
    await site.close()
    for seen in list(process_tree.carriers(frozenset({RUN}))):
        process_tree.send(seen, signal.SIGKILL)


REOPENING = """
echo one; echo two > /dev/stderr; echo three > /dev/stdout; echo four > /proc/self/fd/2
sh -c 'echo five > /dev/stderr'; echo six >&2
"""


@pytest.mark.parametrize("shim", [True, False])
async def test_a_program_may_open_its_output_anew(site: Site, shim: bool) -> None:
    output = await site.end(site.launch(REOPENING, shim=shim))
    assert output == b"one\ntwo\nthree\nfour\nfive\nsix\n"


async def test_a_log_that_is_the_output_is_what_the_type_asks_for(site: Site) -> None:
    process = site.launch("readlink /proc/self/fd/1; echo end", output="file")
    assert await site.end(process) == f"{site.run}/log\nend\n".encode()


LOST = {
    "removed": "rm ../log",
    "a link": "ln -sf /etc/passwd ../log",
    "another file": "echo other > ../new; mv ../new ../log",
    "a FIFO": "rm ../log; mkfifo ../log",
    "a directory": "rm ../log; mkdir ../log; touch ../log/x",
    "no directory": "cd /; rm -r $(dirname $OLDPWD)",
    "a file in place of the directory": "cd /; run=$(dirname $OLDPWD); rm -r $run; echo x >$run",
    "another run in place of the directory": (
        "cd /; run=$(dirname $OLDPWD); rm -r $run; ln -s $run-other $run"
    ),
}


@pytest.mark.parametrize("what", LOST)
async def test_a_log_whose_name_a_program_takes_away_is_written_anew(site: Site, what: str) -> None:
    other = site.run.with_name(f"{RUN}-other")
    other.mkdir()
    (other / "log").write_text("of another run")
    process = site.launch(f"echo before; cd .; {LOST[what]}; echo after")
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        await process.drain_output()
    assert not process.has_log(site.run / "log")
    process.save_log(site.run / "log")
    process.close()
    assert (site.run / "log").read_bytes() == b"before\nafter\n"
    assert not (site.run / "log").is_symlink()
    assert not site.run.is_symlink()
    assert (other / "log").read_text() == "of another run"


async def test_a_log_that_is_written_anew_keeps_its_hole(site: Site) -> None:
    process = site.launch("echo begin; read -r x < go; rm ../log; echo end")
    await site.until_written()
    os.truncate(site.run / "log", 10_000_000)
    site.go()
    with trio.fail_after(DEADLINE_S):
        await process.wait()
        await process.drain_output()
    process.save_log(site.run / "log")
    process.close()
    written = (site.run / "log").read_bytes()
    assert (written[:6], len(written), written[-4:]) == (b"begin\n", 10_000_004, b"end\n")
    assert (site.run / "log").stat().st_blocks * 512 < 100_000


async def test_a_writer_that_is_killed_is_replaced(site: Site) -> None:
    process = site.launch(COUNTS)
    await site.until_written()
    first = site.writer()
    os.kill(first, signal.SIGKILL)
    assert await site.end(process) == COUNTED
    assert site.writer() != first


async def test_the_writer_outlives_its_server(site: Site) -> None:
    process = site.launch(f"{COUNTS}; read -r x < go")
    await site.until_written()
    first = site.writer()
    await site.crash()
    process.close()
    await site.begin()
    adopted = site.adopt()
    site.go()
    assert await site.end(adopted) == COUNTED
    with trio.fail_after(DEADLINE_S):
        while (seen := process_tree.look(first)) is not None and seen.lives:  # noqa: ASYNC110
            await trio.sleep(0.002)  # it ends with its last pipe


async def test_the_next_server_takes_over_from_a_writer_that_is_killed(site: Site) -> None:
    process = site.launch(f"{COUNTS}; read -r x < go; echo end")
    await site.until_written()
    first = site.writer()
    await site.crash()
    process.close()
    await site.begin()
    adopted = site.adopt()
    os.kill(first, signal.SIGKILL)
    site.go()
    assert await site.end(adopted) == COUNTED + b"end\n"


async def test_with_no_server_and_no_writer_the_shim_writes_the_rest(site: Site) -> None:
    process = site.launch("read -r x < go; echo the last words; exit 3")
    writer = site.writer()
    await site.crash()
    os.kill(writer, signal.SIGKILL)
    os.waitid(os.P_PID, writer, os.WEXITED)  # noqa: ASYNC222 - it is dead
    site.go()
    with trio.fail_after(DEADLINE_S):
        await process.wait()
    record = process.exit_record()
    process.close()
    assert record.exit_code == 3
    assert (site.run / "log").read_bytes() == b"the last words\n"


async def test_a_shim_keeps_its_pipe_while_a_writer_is_starting(site: Site) -> None:
    """It may be killed, with its server, before it has read what it was sent."""
    process = site.launch("read -r x < go; echo the last words; exit 3")
    writer = site.writer()
    await site.crash()
    os.kill(writer, signal.SIGKILL)
    os.waitid(os.P_PID, writer, os.WEXITED)  # noqa: ASYNC222 - it is dead
    starting = subprocess.Popen(["sleep", "1000"])  # noqa: ASYNC220
    (site.root / PID_NAME).write_text(f"{starting.pid} starting\n")
    site.go()
    with trio.fail_after(DEADLINE_S):
        while not process.exit_record().ended:  # noqa: ASYNC110
            await trio.sleep(0.002)
        starting.kill()
        starting.wait()
        await process.wait()
    process.close()
    assert (site.run / "log").read_bytes() == b"the last words\n"


async def test_a_writer_that_has_its_pipes_says_so(site: Site) -> None:
    process = site.launch("echo said; read -r x < go")
    await site.until_written()
    assert (site.root / PID_NAME).read_text().split() == [str(site.writer()), "ready"]
    site.go()
    assert await site.end(process) == b"said\n"


async def test_a_pipe_that_a_stranger_holds_delays_no_end(site: Site) -> None:
    process = site.launch("echo said; read -r x < go")
    await site.until_written()
    stranger = os.open(f"/proc/{process.pid}/fd/1", os.O_WRONLY)
    site.go()
    try:
        assert (await site.end(process)).startswith(b"said\n")
    finally:
        os.close(stranger)


async def test_what_has_ended_does_not_keep_the_writer_busy() -> None:
    """The server has the pipe open as well, so close(2) alone leaves it in the epoll set."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    writer = Writer(theirs)
    read_end, write_end = os.pipe()
    log = os.memfd_create("log")
    os.write(write_end, b"words")
    os.close(write_end)
    socket.send_fds(ours, [b"run-1"], [read_end, log])
    writer._receive(theirs)
    for _ in range(2):  # the words, and their end
        for descriptor, _events in writer._epoll.poll(0):
            writer._move(writer._outputs[descriptor])
    writer._send()
    assert ours.recv(100) == b"run-1"
    assert writer._epoll.poll(0) == []
    assert os.pread(log, 100, 0) == b"words"
    ours.close()
    theirs.close()
    for descriptor in (read_end, log):
        os.close(descriptor)


async def test_a_log_that_takes_nothing_keeps_the_program_waiting_and_loses_nothing() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    writer = Writer(theirs)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.write(write_end, b"words")
    full, log = os.open("/dev/full", os.O_WRONLY), os.memfd_create("log")
    socket.send_fds(ours, [b"run-1"], [read_end, full])
    writer._receive(theirs)
    (output,) = writer._outputs.values()
    writer._move(output)
    assert writer._stuck == [output]
    assert writer._epoll.poll(0) == []
    os.dup2(log, output.log)  # there is space again
    writer._stuck = []
    writer._move(output, was_stuck=True)
    assert os.pread(log, 100, 0) == b"words"
    os.close(write_end)
    assert [events for _, events in writer._epoll.poll(0)] == [select.EPOLLHUP]
    writer._move(output)
    assert writer._outputs == {}
    ours.close()
    theirs.close()
    for descriptor in (read_end, full, log):
        os.close(descriptor)


async def test_what_a_log_can_never_take_is_dropped() -> None:
    """Its program has made it as long as a file may be: the run must come to its end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    writer = Writer(theirs)
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    log = os.memfd_create("log")
    os.ftruncate(log, 2**63 - 1)
    os.write(write_end, b"words")
    socket.send_fds(ours, [b"run-1"], [read_end, log])
    writer._receive(theirs)
    (output,) = writer._outputs.values()
    writer._move(output)
    os.write(write_end, b"more of them")
    writer._move(output)
    os.close(write_end)
    writer._move(output)
    assert writer._outputs == {}
    assert writer._stuck == []
    ours.close()
    theirs.close()
    for descriptor in (read_end, log):
        os.close(descriptor)
