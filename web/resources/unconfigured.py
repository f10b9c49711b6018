"""Jobs that wait for a type which is not configured: the warnings to the operator.

They are not eligible, and start when their type is configured again.
"""

import structlog

from storage.scheduler import queue_counts
from web.context import Context

log = structlog.get_logger()


def warnings(context: Context) -> list[str]:
    """A sentence for each type."""
    waiting = queue_counts(context.reader, context.job_types).unconfigured
    return [
        f"{n} queued {'Job waits' if n == 1 else 'Jobs wait'} for the type {name}, which is not"
        " configured: add it to the configuration and reload, or cancel the Jobs"
        for name, n in waiting.items()
    ]


def log_warnings(context: Context) -> None:
    """For the log: at the start, and after a reload."""
    for why in warnings(context):
        log.warning("type not configured", why=why)
