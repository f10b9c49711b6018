"""The job types of a simulated world."""

from functools import cache
from typing import Any

from config.job_type import JobType
from tests.simulation.shutdown import KILL_GRACE_S

TYPES: dict[str, dict[str, Any]] = {
    "free": {},
    "alone": {"concurrency": 1, "artifact_limit_files": 1},
    "pair": {
        "concurrency": 2,
        "kill_grace_s": 1.0,
        "artifact_limit_files": 2,
        "on_artifact_limit": "fail",
    },
    "bare": {"adopt": False},
}
ADOPTABLE = frozenset(name for name, table in TYPES.items() if table.get("adopt", True))
TIMEOUT_S = 30.0


@cache
def job_types() -> dict[str, JobType]:
    """The job types by name."""
    return {
        name: JobType.model_validate(
            {
                "name": name,
                "command": [name],
                "timeout_s": TIMEOUT_S,
                "kill_grace_s": KILL_GRACE_S,
                **table,
            }
        )
        for name, table in TYPES.items()
    }
