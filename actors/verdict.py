"""What a program's end means for its run: the contract's table, as functions.

`outcome_of` reads what is on record of the end; `judge` adds why headway wanted it to end.
"""

import signal
from collections.abc import Mapping
from dataclasses import replace

from actors.shim import ExitRecord
from storage.job import ErrorCode, RunError, RunStatus, StopReason
from storage.runs import TOO_MUCH_OUTPUT, Outcome

UNTOLD_SIGNALS = {128 + signal.SIGINT: "SIGINT", 128 + signal.SIGPIPE: "SIGPIPE"}
"""Exit statuses that may stand for these two: of all others the shim's shell says a word."""


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
"""What a run ends as when headway ended it, whatever exit status the program then showed."""


def outcome_of(record: ExitRecord, skip_codes: tuple[int, ...], *, killed: bool) -> Outcome:
    """The table of the contract: what a program's end means for its run."""
    if record.exit_code == 0:
        return Outcome(status=RunStatus.COMPLETED, exit_code=0)
    if record.exit_code is not None:
        if record.exit_code in skip_codes:
            return Outcome(status=RunStatus.SKIPPED, exit_code=record.exit_code)
        message = f"the program ended with exit status {record.exit_code}"
        if record.exit_code in UNTOLD_SIGNALS:
            message += f", or by {UNTOLD_SIGNALS[record.exit_code]}: a shell tells both alike"
        return replace(failed("exit_status", message), exit_code=record.exit_code)
    if record.signal is not None:
        message = f"the program was ended by signal {record.signal}"
        return replace(failed("signal", message), signal=record.signal)
    if killed:
        return replace(failed("signal", "the program was ended by signal 9"), signal=9)
    return failed("interrupted", "no exit status was recorded: the host or the shim went down")


def failed(code: ErrorCode, message: str) -> Outcome:
    """A run that failed."""
    return Outcome(status=RunStatus.FAILED, error=RunError(code=code, message=message))


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
