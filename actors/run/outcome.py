"""The outcome of a run from the record of its program's end, by the contract's table."""

import signal
from dataclasses import replace

from actors.host.shim import ExitRecord
from headway.model.run import ErrorCode, RunError, RunStatus
from storage.runs import Outcome

UNREPORTED_SIGNALS = {128 + signal.SIGINT: "SIGINT", 128 + signal.SIGPIPE: "SIGPIPE"}
"""Exit statuses that may stand for these two signals: the shim's shell does not report them."""


def outcome_of(record: ExitRecord, skip_codes: tuple[int, ...], *, killed: bool) -> Outcome:
    """The outcome for a record; `killed`: this server has sent KILL."""
    if record.exit_code == 0:
        return Outcome(status=RunStatus.COMPLETED, exit_code=0)
    if record.exit_code is not None:
        if record.exit_code in skip_codes:
            return Outcome(status=RunStatus.SKIPPED, exit_code=record.exit_code)
        message = f"the program ended with exit status {record.exit_code}"
        if record.exit_code in UNREPORTED_SIGNALS:
            message += f", or by {UNREPORTED_SIGNALS[record.exit_code]}: a shell reports both alike"
        return replace(failed("exit_status", message), exit_code=record.exit_code)
    if record.signal is not None:
        message = f"the program was ended by signal {record.signal}"
        return replace(failed("signal", message), signal=record.signal)
    if killed:
        return replace(failed("signal", "the program was ended by signal 9"), signal=9)
    return failed("interrupted", "no exit status was recorded: the host or the shim was ended")


def failed(code: ErrorCode, message: str) -> Outcome:
    """The outcome of a run that failed."""
    return Outcome(status=RunStatus.FAILED, error=RunError(code=code, message=message))
