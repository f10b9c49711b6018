"""headway: a job server for one machine, as a Python package. It speaks HTTP only.

    from headway import Client

    with Client("http://127.0.0.1:8787") as client:
        job = client.submit("story", {"topic": "lighthouse"})
        print(client.wait_job(job.job_id).status)

What it offers is imported when it is first used, so that the command line starts quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headway.client.client import AsyncClient, Client
    from headway.client.error import ApiError, ServerUnreachable
    from headway.model.job import Job, JobStatus, NewJob
    from headway.model.run import JobRun, RunStatus

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "Job",
    "JobRun",
    "JobStatus",
    "NewJob",
    "RunStatus",
    "ServerUnreachable",
]
_MODULES = {
    "headway.client.client": ("AsyncClient", "Client"),
    "headway.client.error": ("ApiError", "ServerUnreachable"),
    "headway.model.job": ("Job", "JobStatus", "NewJob"),
    "headway.model.run": ("JobRun", "RunStatus"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
