"""The shim that leads a run, and how what it writes down is read.

The shim is a few lines of /bin/sh. It says in the run's exit file that it has started (with its
process id), runs the program, and says how that ended. So the file tells what happened while no
server was there to see it. Who starts it is in `linux_host.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHIM_NAME = "headway-shim"
# $1 the exit file, $2 the working directory, then the argv.
# Signals are caught, not ignored, so that the program starts with the defaults. The shell's own
# words ("Killed") go to the exit file: they tell a death by signal from an exit status over 128.
# Only of SIGINT and SIGPIPE no shell says a word: these two are told as exit status 130 and 141.
# Where the disk is too full for the first line there is no run: it would be started again.
SHIM = """\
exec 2>>"$1"
trap : TERM INT HUP QUIT USR1 USR2
cd "$2" || exit 1
unset PWD OLDPWD
shift 2
echo "started $$" >&2 || exit 1
(exec "$@" 2>&1)
echo "exit $?" >&2
"""
SHELL = "/bin/sh"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """What the exit file says. Only lines that end in a newline count."""

    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None

    @property
    def started(self) -> bool:
        """Whether the shim came so far as to say so."""
        return self.pid is not None

    @property
    def ended(self) -> bool:
        """Whether the program's end is on record."""
        return self.exit_code is not None or self.signal is not None


def shim_argv(exit_file: Path, work_dir: Path, argv: Sequence[str]) -> list[str]:
    """The command line of a shim that runs `argv`."""
    return [SHELL, "-c", SHIM, SHIM_NAME, str(exit_file), str(work_dir), *argv]


def parse_exit_file(text: str) -> ExitRecord:
    """Read the shim's lines; what it did not finish writing did not happen."""
    pid = None
    spoke = False
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        if match := re.fullmatch(r"started (\d+)\n", line):
            pid = int(match[1])
            spoke = False
        elif (match := re.fullmatch(r"exit (\d+)\n", line)) and pid is not None:
            code = int(match[1])
            if code > 128 and spoke:
                return ExitRecord(pid=pid, signal=code - 128)
            return ExitRecord(pid=pid, exit_code=code)
        else:
            spoke = True
    return ExitRecord(pid=pid)
