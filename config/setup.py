"""Setup: the part of the configuration that a reload replaces: job types, slots, limits.

One object, never changed in place: `Core` replaces it as a whole, between two messages. Code that
needs several parts of it reads them from one object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import apsw

from config.job_type import JobType
from config.limits import Limits
from headway.model.problem import Refusal
from headway.model.scheduler import SchedulerConfig
from storage import scheduler


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """`concurrency`: the slots as configured; a value set over HTTP overrides it.

    `free_space_bytes`: with less on the disk nothing starts; 0: no limit.
    """

    job_types: Mapping[str, JobType]
    concurrency: int = 1
    limits: Limits = field(default_factory=Limits)
    free_space_bytes: int = 0

    def job_type(self, name: str) -> JobType:
        """The type of this name, which may have been removed since the request.

        Raises:
            Refusal: `unknown_type`.
        """
        if (job_type := self.job_types.get(name)) is None:
            raise Refusal("unknown_type", f"the type {name} is no longer configured")
        return job_type

    def in_force(self, connection: apsw.Connection) -> SchedulerConfig:
        """The slots and the types' limits: what was set over HTTP, else what is configured."""
        concurrency, limits = scheduler.overrides(connection)
        return SchedulerConfig(
            concurrency=concurrency or self.concurrency,
            types={
                name: limits.get(name, job_type.concurrency)
                for name, job_type in self.job_types.items()
            },
            overridden=["concurrency"] * (concurrency is not None)
            + [f"types.{name}" for name in sorted(limits)],
        )
