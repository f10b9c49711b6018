"""How a verb of the command line ends: one clear sentence, and the exit status that stands for it.

Exit status: 0 done, 1 failed or cancelled, 2 usage or a refused request, 3 no server that could
answer, 130 interrupted. This is the one place in which an exception becomes one of these.
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
    "unauthenticated": "The server wants credentials that this command line does not have.",
    "shutting_down": "The server is going down; try again when it is back.",
    "storage_full": "Free some space on the server's disk.",
}
"""What to do about a refusal, where the server's own words do not say it."""

P = ParamSpec("P")


def exit_with(verb: Callable[P, int]) -> Callable[P, int]:
    """Turn what a verb raises into one clear sentence and the exit status that stands for it."""

    @wraps(verb)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
        from headway.client.error import ApiError, ServerUnreachable

        if isinstance(sys.stdout, TextIOWrapper):  # a terminal without UTF-8 must not end the verb
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            status = verb(*args, **kwargs)
            sys.stdout.flush()
        except UsageError as error:
            say(f"headway: {error}.")
            return EXIT_USAGE
        except ApiError as refusal:
            _complain(refusal)
            return EXIT_USAGE if refusal.status < 500 else EXIT_UNREACHABLE
        except ServerUnreachable as error:
            say(f"headway: {error}.")
            say("Start one with `headway serve`, or name it with --url or HEADWAY_URL.")
            return EXIT_UNREACHABLE
        except BrokenPipeError:
            # What is still buffered has no reader; without this the interpreter complains at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_BROKEN_PIPE
        except KeyboardInterrupt:
            return EXIT_INTERRUPTED
        return status

    return guarded


def say(sentence: str) -> None:
    """One line to the person, on standard error."""
    print(clean(sentence), file=sys.stderr, flush=True)


def _complain(refusal: "ApiError") -> None:
    say(f"headway: {refusal.detail}")
    for fault in refusal.faults:
        say(f"  {fault.pointer or '(whole request)'}: {fault.message}")
    if refusal.code in ADVICE:
        say(ADVICE[refusal.code])
    if refusal.retry_after_s is not None:
        say(f"Try again in {refusal.retry_after_s:g} s.")
