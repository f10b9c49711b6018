"""The shim that leads a run, and the exit file that it writes.

The shim is a few lines of /bin/sh. It writes to the run's exit file that it has started (with its
process id), runs the program, and writes how that ended. So the file records what happened while
there was no server. `linux_host.py` starts it.

A program can write to the file as well: it runs as the same user. Therefore the line about the end
carries a seal, a random word that the shim reads from a pipe and that no file contains; the
database has its SHA-256. Only a program that reads the shim's memory (ptrace(2)) can forge it.
"""

import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.intents import digest_of

SHIM_NAME = "headway-shim"
EXIT_FILE_FD, PIPE_FD, LOG_FD, SEAL_FD = 2, 3, 4, 5
# $1 the log writer's pid file or nothing, $2 the working directory, then the argv.
# Standard output is the output's pipe, or the log itself; the other descriptors are named above,
# and the program is given none of them.
# Only without POSIX mode does bash write how a child was ended.
# Signals are caught, not ignored, so that the program starts with the defaults. The shell's own
# messages ("Killed") go to the exit file: they distinguish a death by signal from an exit status
# over 128. No shell reports SIGINT and SIGPIPE: these two appear as exit status 130 and 141.
# Without its directory, its first line or a process for the program (then a shell exits) there is
# no run: what the trap writes lets it be started again.
# At the end, with no log writer alive (`log_writer.py`), what is in the pipe would be lost. One
# that is starting may not have the pipe yet: the shim keeps it until then, 5 s at most.
SHIM = """\
[ -z "$BASH_VERSION" ] || set +o posix
trap : TERM INT HUP QUIT USR1 USR2
unset HEADWAY_SHIM_SEAL HEADWAY_SHIM_CODE HEADWAY_SHIM_WRITER HEADWAY_SHIM_STATE
unset HEADWAY_SHIM_PID HEADWAY_SHIM_PHASE HEADWAY_SHIM_LOOKS
read -r HEADWAY_SHIM_SEAL <&5
exec 5<&-
trap 'echo "unstarted $HEADWAY_SHIM_SEAL" >&2; kill -KILL $$' EXIT
cd "$2" && echo "started $$" >&2 || exit
unset PWD OLDPWD
HEADWAY_SHIM_WRITER=$1
shift 2
(exec "$@" 2>&1 3<&- 4>&-)
HEADWAY_SHIM_CODE=$?
trap - EXIT
echo "exit $HEADWAY_SHIM_CODE $HEADWAY_SHIM_SEAL" >&2
if [ -n "$HEADWAY_SHIM_WRITER" ]; then
    HEADWAY_SHIM_LOOKS=0
    while
        HEADWAY_SHIM_STATE=
        read -r HEADWAY_SHIM_PID HEADWAY_SHIM_PHASE <"$HEADWAY_SHIM_WRITER"
        read -r _ _ HEADWAY_SHIM_STATE _ <"/proc/$HEADWAY_SHIM_PID/stat"
        case $HEADWAY_SHIM_STATE in
        "" | Z | X) exec cat </proc/$$/fd/3 >>/proc/$$/fd/4 ;;
        esac
        [ "$HEADWAY_SHIM_PHASE" = starting ] && [ $((HEADWAY_SHIM_LOOKS += 1)) -le 250 ]
    do
        sleep 0.02
    done
fi 2>/dev/null
exit $HEADWAY_SHIM_CODE
"""
SHELL = "/bin/sh"
HEAD_BYTES = 4096
TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """What is known of a start and an end. Only lines that end in a newline count."""

    pid: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    unstarted: bool = False
    """The shim could not start the program, so the program never ran."""

    @property
    def started(self) -> bool:
        """Whether the shim has recorded its start."""
        return self.pid is not None and not self.unstarted

    @property
    def ended(self) -> bool:
        """Whether the program's end is on record."""
        return self.exit_code is not None or self.signal is not None


def shim_argv(writer_file: str, work_dir: Path, argv: Sequence[str]) -> list[str]:
    """The command line of a shim that runs `argv`. `writer_file`: empty without a pipe."""
    return [SHELL, "-c", SHIM, SHIM_NAME, writer_file, str(work_dir), *argv]


def read_exit_file(descriptor: int, digests: Collection[str]) -> ExitRecord:
    """The record in an open exit file, regardless of what a program has added to it."""
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    if size > TAIL_BYTES:
        text = os.pread(descriptor, HEAD_BYTES, 0) + b"\n" + text
    return parse_exit_file(text.decode(errors="replace"), digests)


def parse_exit_file(text: str, digests: Collection[str] = ()) -> ExitRecord:
    """Parse the shim's lines; an incomplete line does not count.

    Without `digests` (of the seals that the run's shims received) a line needs no seal: the run was
    started by a headway without seals.
    """
    pid = None
    spoke = False
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        if match := re.fullmatch(r"started (\d{1,9})\n", line):
            pid = int(match[1]) if pid is None else pid
            spoke = False
        elif (code := _exit_code(line, digests)) is not None and (pid is not None or digests):
            if code > 128 and spoke:
                return ExitRecord(pid=pid, signal=code - 128)
            return ExitRecord(pid=pid, exit_code=code)
        elif _is_unstarted(line, digests):
            return ExitRecord(pid=pid, unstarted=True)
        else:
            spoke = True
    return ExitRecord(pid=pid)


def _is_unstarted(line: str, digests: Collection[str]) -> bool:
    match = re.fullmatch(r"unstarted (\S{1,100})\n", line)
    return match is not None and digest_of(match[1]) in digests


def _exit_code(line: str, digests: Collection[str]) -> int | None:
    if not digests:
        match = re.fullmatch(r"exit (\d{1,3})\n", line)
        return int(match[1]) if match else None
    match = re.fullmatch(r"exit (\d{1,3}) (\S{1,100})\n", line)
    return int(match[1]) if match and digest_of(match[2]) in digests else None
