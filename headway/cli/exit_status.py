"""How a command ends: one clear sentence on standard error, and its exit status.

Exit status: 0 done, 1 failed or cancelled, 2 usage or a rejected request, 3 no server that could
answer, 130 interrupted. Only this module turns an exception into one of these.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from io import TextIOWrapper
from typing import TYPE_CHECKING, ParamSpec

from headway.cli.arguments import UsageError
from headway.terminal_text import clean

if TYPE_CHECKING:
    from headway.client.error import ApiError

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""What a shell reports for a program that SIGPIPE ended."""

ADVICE = {
    "unknown_type": "`headway types` lists what may be run.",
    "unauthenticated": "The server requires credentials that this command line does not have.",
    "shutting_down": "The server is shutting down; try again when it is back.",
    "storage_full": "Free some space on the server's disk.",
}
"""What to do about a rejection, where the server's `detail` does not say it."""

P = ParamSpec("P")


def exit_with(command: Callable[P, int]) -> Callable[P, int]:
    """Turn what a command raises into one clear sentence and the exit status for it."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        from headway.client.error import ApiError, ServerUnreachable

        if isinstance(sys.stdout, TextIOWrapper):  # a terminal without UTF-8 is no error
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            status = command(*args, **kwargs)
            sys.stdout.flush()
        except UsageError as error:
            print_note(f"headway: {error}.")
            return EXIT_USAGE
        except ApiError as error:
            _print_rejection(error)
            return EXIT_USAGE if error.status < 500 else EXIT_UNREACHABLE
        except ServerUnreachable as error:
            print_note(f"headway: {error}.")
            print_note("Start one with `headway serve`, or name it with --url or HEADWAY_URL.")
            return EXIT_UNREACHABLE
        except BrokenPipeError:
            # What is still buffered has no reader; the interpreter would fail on it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_BROKEN_PIPE
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        return status

    return guarded


def print_note(sentence: str) -> None:
    """Print one line for people, on standard error."""
    print(clean(sentence), file=sys.stderr, flush=True)


def _print_rejection(error: "ApiError") -> None:
    print_note(f"headway: {error.detail}")
    for fault in error.faults:
        print_note(f"  {fault.pointer or '(whole request)'}: {fault.message}")
    if error.code in ADVICE:
        print_note(ADVICE[error.code])
    if error.retry_after_s is not None:
        print_note(f"Try again in {error.retry_after_s:g} s.")
