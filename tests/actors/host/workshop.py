"""Real processes below a directory of a test: the helper of the tests of this folder."""

import os
from pathlib import Path
from typing import Any

import trio

from actors.host import process_tree
from actors.host.launch import Launch
from actors.host.linux_host import LinuxHost
from actors.host.shim import ExitRecord
from actors.run.run_files import RunFiles
from storage.intents import digest_of

DEADLINE_S = 10


# Who looks for a run id looks at the whole host, and the teardown below kills what it finds: each
# test process has ids of its own, or two at once kill each other's programs.
RUN_1, RUN_2 = (f"run-{number}-of-{os.getpid()}" for number in (1, 2))


SEAL = "seal-1"


PATH = "/usr/local/bin:/usr/bin:/bin"


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


def lives(pid: int) -> bool:
    seen = process_tree.look(pid)
    return seen is not None and seen.lives


# Says the process id of a child that tries to get away.
ESCAPES = {
    "child": "sleep 60 & echo $!; wait",
    "session": "setsid sleep 60 & echo $!; sleep 0.01; wait",
    "clean": "env -i setsid sleep 60 & echo $!; sleep 0.01; wait",
    "orphan": "(setsid sh -c 'echo $$; exec env -i /bin/sleep 60' &) ; exec sleep 60",
}
