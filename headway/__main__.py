"""headway: the command line. What its commands do is imported when they run.

A server is put together in `serve.py`, which takes most of a second to import; `--help` and the
commands of a client do without.
"""

import os
import sys
from pathlib import Path

import cyclopts

from headway.cli import admin_commands, demo, jobs, serve
from headway.cli.descriptors import occupy_standard_descriptors
from headway.terminal_text import seen


def usage_error(error: cyclopts.CycloptsError) -> object:
    """What is shown of a command line that cannot be understood: it repeats what was typed."""
    return cyclopts.CycloptsPanel(seen(str(error), sys.stderr))


app = cyclopts.App(
    name="headway",
    error_formatter=usage_error,
    help="A job server for one machine: durable jobs, one HTTP API, no broker.",
    version_flags=["--version"],
)
for commands in (jobs, admin_commands, serve, demo):
    commands.register(app)


def main() -> None:
    """The console script."""
    occupy_standard_descriptors()
    # A project may have folders of the same names as the server's, which lie beside this package.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    try:
        sys.exit(app())
    except BrokenPipeError:
        # The reader of our output (head, less) has what it wanted; say nothing while leaving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        # The interpreter would try once more, and end with another status.
        try:
            sys.stderr.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


if __name__ == "__main__":
    main()
