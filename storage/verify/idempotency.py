"""The invariants that the stored answers of idempotency keys show."""

from collections.abc import Iterator

import apsw

from storage.verify.check import Checks


def idem_replay(connection: apsw.Connection) -> Iterator[str]:
    """An answer that is kept for a replay names Jobs or reservations that are there."""
    for key, location in connection.execute(
        "SELECT key, location FROM idempotency WHERE location IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM jobs WHERE job_id = substr(location, length('/jobs/') + 1))"
        " AND NOT EXISTS (SELECT 1 FROM reservations"
        " WHERE reservation_id = substr(location, length('/scheduler/reservations/') + 1))"
    ):
        yield f"the answer to key {key} leads to {location}, which is not there"
    for key, job_id in connection.execute(
        "SELECT idempotency.key, entry.value ->> 'job_id' AS named FROM idempotency,"
        " json_each(CAST(response AS TEXT), '$.jobs') AS entry WHERE location IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE job_id = named)"
    ):
        yield f"the answer to key {key} names {job_id}, which is not there"


CHECKS: Checks = {
    "IdemReplay": (idem_replay,),
}
