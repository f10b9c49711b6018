"""Decide the status of a run that headway itself had a reason to end."""

from collections.abc import Mapping
from dataclasses import replace

from headway.model.run import RunError, RunStatus, StopReason
from storage.runs import TOO_MUCH_OUTPUT, Outcome

STOPPED: Mapping[StopReason, tuple[RunStatus, RunError | None]] = {
    "cancel": (RunStatus.CANCELLED, None),
    "timeout": (
        RunStatus.FAILED,
        RunError(code="timeout", message="it ran longer than its timeout allows"),
    ),
    "output_limit": (RunStatus.FAILED, TOO_MUCH_OUTPUT),
    "shutdown": (
        RunStatus.FAILED,
        RunError(code="interrupted", message="the server shut down before it ended"),
    ),
}
"""The end of a run that headway ended, regardless of the exit status of its program."""


def judge(seen: Outcome, stop_reason: StopReason | None) -> Outcome:
    """What a run ended as: what the executor saw, unless headway itself had ended it.

    A recorded end takes precedence over the reason to end it: a program that came to its end before
    it was sent any signal had not been ended.
    """
    is_recorded = seen.exit_code is not None or seen.signal is not None
    if stop_reason is None or (is_recorded and not seen.signalled):
        return seen
    status, error = STOPPED[stop_reason]
    return replace(seen, status=status, error=error)
