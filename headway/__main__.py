"""The command `headway`. What its commands need is imported when they run.

A server is wired in `serve.py`, which takes most of a second to import; `--help` and the client
commands do without it.
"""

import os
import sys
from pathlib import Path

import cyclopts

from headway.cli import (
    admin_commands,
    demo,
    direct,
    job_types,
    jobs,
    logs,
    scheduler,
    serve,
)
from headway.cli.descriptors import occupy_standard_descriptors
from headway.terminal_text import for_stream


def usage_error(error: cyclopts.CycloptsError) -> object:
    """The panel for a command line that cannot be parsed; it repeats what was typed."""
    return cyclopts.CycloptsPanel(for_stream(str(error), sys.stderr))


app = cyclopts.App(
    name="headway",
    error_formatter=usage_error,
    help="A job server for one machine: durable jobs, one HTTP API, no broker.",
    version_flags=["--version"],
)
for commands in (jobs, direct, job_types, logs, scheduler, admin_commands, serve, demo):
    commands.register(app)


def main() -> None:
    """The console script."""
    occupy_standard_descriptors()
    # A project may have folders of the same names as the server's, which lie beside this package.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    try:
        sys.exit(app())
    except BrokenPipeError:
        # The reader of the output (head, less) has closed it: exit without a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        # The interpreter would flush once more, and exit with another status.
        try:
            sys.stderr.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


if __name__ == "__main__":
    main()
