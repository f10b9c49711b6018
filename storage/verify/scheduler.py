"""The invariants of the figures that are kept, not counted."""

from collections.abc import Iterator

import apsw

from storage.rollup import recount
from storage.scheduler import cumulative_stats, recounted_stats
from storage.verify.check import Checks


def stats_recount(connection: apsw.Connection) -> Iterator[str]:
    """The kept figures equal a count of every row."""
    kept, counted = cumulative_stats(connection), recounted_stats(connection)
    if kept != counted:
        yield f"kept {kept!r}, counted {counted!r}"
    for row in connection.execute(
        "SELECT type, status, hold, n FROM job_counts WHERE n <> 0 EXCEPT"
        " SELECT type, status, hold, count(*) FROM jobs GROUP BY type, status, hold"
    ):
        yield f"kept count {row} differs from the rows"
    for row in connection.execute(
        "SELECT type, status, hold, count(*) FROM jobs GROUP BY type, status, hold EXCEPT"
        " SELECT type, status, hold, n FROM job_counts"
    ):
        yield f"counted {row}, which is not kept"


def history_recount(connection: apsw.Connection) -> Iterator[str]:
    """The sums by the minute, which the charts show, equal a count of the events."""
    for minute, *sums in recount(connection):
        yield f"the sums of minute {minute} differ from the events: {sums}"


CHECKS: Checks = {
    "StatsRecount": (stats_recount,),
    "HistoryRecount": (history_recount,),
}
