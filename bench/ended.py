"""A database with Jobs that have ended: the server's own transactions, without processes and HTTP.

A server would take five minutes for 300,000; this takes half a minute.
"""

from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from actors import messages as m
from actors.actor import Message
from actors.identity import Identity
from actors.randomness import Randomness
from actors.rules.core import Core
from config.job_type import JobType
from config.setup import Setup
from headway.model.job import NewJob
from headway.model.run import RunStatus
from storage.database import DATABASE_NAME, open_writer
from storage.runs import Outcome

AT_ONCE = 1_000
BEGIN = 1_800_000_000_000_000
ENDED = Outcome(status=RunStatus.COMPLETED, pid=4711, exit_code=0)


def end(data_dir: Path, jobs: int) -> None:
    """Submit, start and end so many Jobs of type `true`."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    true = JobType.model_validate({"name": "true", "command": ["/bin/true"]})
    core = Core(
        setup=Setup(job_types={"true": true}, concurrency=AT_ONCE),
        identity=Identity(boot_id="boot", server_id="srv-bench"),
        new_id=_ids(),
        random=Randomness(bytes),
    )
    with closing(open_writer(data_dir / DATABASE_NAME)) as connection:
        connection.execute("PRAGMA synchronous = OFF").fetchall()
        for number in range(0, jobs, AT_ONCE):
            now = BEGIN + number * 1_000
            batch = m.SubmitJobs(jobs=(NewJob(type="true"),) * AT_ONCE, batch=True)
            claimed = core.decide(connection, now, [batch])
            exits: list[Message] = [
                m.RunExited(run_id=effect.intent.run_id, outcome=ENDED)
                for effect in claimed.effects
                if isinstance(effect, m.EnsureRun)
            ]
            core.decide(connection, now + 500, exits)


def _ids() -> Callable[[str], str]:
    """Ids that grow with time, as the server's do."""
    numbers = count(1)

    def new_id(prefix: str) -> str:
        ticks = f"{next(numbers):015x}"
        return f"{prefix}-{ticks[:8]}-{ticks[8:12]}-7{ticks[12:]}-8000-000000000000"

    return new_id
