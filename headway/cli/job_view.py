"""Tables of Jobs and their runs."""

import json
from collections.abc import Iterable
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headway.cli.table import (
    add_row,
    duration_text,
    fields_table,
    given,
    new_table,
    size_text,
    time_text,
)
from headway.model.artifact import Artifact
from headway.model.explanation import Ending, Estimate, Explanation
from headway.model.job import Job, JobStatus
from headway.model.run import JobRun, Left

STYLES = {
    "QUEUED": "cyan",
    "RUNNING": "blue",
    "COMPLETED": "green",
    "FAILED": "bold red",
    "SKIPPED": "yellow",
    "CANCELLED": "magenta",
}


def jobs_table(jobs: Iterable[Job], *, narrow: bool = False) -> Table:
    """One Job per line, in the given order; `narrow` leaves out when it was created."""
    times = () if narrow else ("CREATED",)
    table = new_table("JOB", "TYPE", "STATUS", "PRIORITY", *times, "NAME", "NOTE", fluid=2)
    for job in jobs:
        add_row(
            table,
            job.job_id,
            job.type,
            status_text(job.status),
            str(job.priority),
            *(time_text(job.created_at) for _ in times),
            job.name or "",
            _note(job),
        )
    return table


def _note(job: Job) -> str:
    """The most useful detail of a Job in a list."""
    if job.status == JobStatus.QUEUED:
        return f"not before {time_text(job.run_at)}" if job.run_at else f"position {job.position}"
    if job.status == JobStatus.RUNNING:
        return progress_text(job)
    if job.reason:
        return job.reason
    if job.duration_s is not None:
        return f"took {duration_text(job.duration_s)}"
    return ""


def counts_line(counts: dict[str, int]) -> str:
    """Such as `2 QUEUED, 1 RUNNING`: every status that has Jobs."""
    named = [f"{counts[status]} {status}" for status in JobStatus if counts.get(status)]
    return ", ".join(named) or "no Jobs"


def job_view(job: Job, run: JobRun | None, why: Explanation | None = None) -> RenderableType:
    """One Job and its run, a line for each field that has a value."""
    fields: list[tuple[str, str | Text]] = [
        ("Job", job.job_id),
        ("Type", job.type),
        ("Status", status_text(job.status)),
    ]
    fields += given(
        ("Reason", job.reason),
        ("Name", job.name),
        ("Labels", ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))),
        ("Params", json.dumps(job.params, ensure_ascii=False)),
        ("Priority", job.priority),
        ("Position", job.position),
        ("Not before", job.run_at and time_text(job.run_at)),
        ("Expires", job.expires_at and time_text(job.expires_at)),
        ("Timeout", job.timeout_s and duration_text(job.timeout_s)),
        ("Retry of", job.retry_of),
        ("Origin", job.origin),
        ("Created", time_text(job.created_at)),
        ("Started", job.started_at and time_text(job.started_at)),
        ("Finished", job.finished_at and time_text(job.finished_at)),
        ("Progress", progress_text(job)),
    )
    fields += [] if why is None else _explained(why)
    return (
        fields_table(fields) if run is None else Group(fields_table(fields), Text(), run_view(run))
    )


def _explained(why: Explanation) -> list[tuple[str, str | Text]]:
    """What the Job waits for, its position, and when it will probably start or end."""
    fields = given(*(("Waits", reason.message) for reason in why.waiting))
    if why.ahead is not None:
        fields.append(("Ahead", f"{why.ahead:,}{'' if why.ahead_exact else ' or more'}"))
    if why.ending is not None:
        fields.append(("Ends", _expected(why.ending.end_at, why.ending)))
    elif why.estimate is not None:
        fields.append(("Starts", _expected(why.estimate.start_at, why.estimate)))
    elif why.waiting:
        fields.append(("Starts", "unknown"))
    return fields


def _expected(at: datetime, between: Estimate | Ending) -> str:
    if between.earliest == between.latest:
        return time_text(at)
    earliest, latest = time_text(between.earliest), time_text(between.latest)
    return f"about {time_text(at)}, between {earliest} and {latest}"


def run_view(run: JobRun) -> Table:
    """One run, a line for each field that has a value."""
    fields: list[tuple[str, str | Text]] = [
        ("Run", run.run_id),
        ("Status", status_text(run.status)),
    ]
    log = f"{size_text(run.log.bytes)}{', its middle was dropped' if run.log.truncated else ''}"
    fields += given(
        ("Error", run.error and f"{run.error.code}: {run.error.message}"),
        ("Exit code", run.exit_code),
        ("Signal", run.signal),
        ("Processes left", left_text(run.left)),
        ("Took", None if run.duration_s is None else duration_text(run.duration_s)),
        ("Process", run.pid),
        ("Command", json.dumps(run.argv, ensure_ascii=False)),
        ("Result", None if run.result is None else json.dumps(run.result, ensure_ascii=False)),
        ("Log", log),
        *(("Artifact", artifact_text(each)) for each in run.artifacts),
        ("Collection", collection_text(run)),
    )
    return fields_table(fields)


def left_text(left: Left) -> str | None:
    """How many processes outlived the program, and were ended after it."""
    if left.processes == 0:
        return None
    killed = f", {left.killed} of them by KILL" if left.killed else ""
    return f"{left.processes}, ended with the run{killed}"


def artifact_text(artifact: Artifact) -> str:
    """The name and size of an artifact, and whether it was kept."""
    lost = "" if artifact.kept else ", not kept"
    return f"{artifact.name} ({size_text(artifact.size_bytes)}{lost})"


def collection_text(run: JobRun) -> str | None:
    """Why the artifacts of a run that has ended are not complete; None if they are."""
    if run.finished_at is None or run.collection.complete:
        return None
    if run.collection.reason is not None:
        return f"not complete: {run.collection.reason}"
    return "its checksums are still being computed" if run.artifacts else "under way"


def status_text(status: str) -> Text:
    """The status in its colour."""
    return Text(status, style=STYLES.get(status, ""))


def progress_text(job: Job) -> str:
    """The progress as `40 % message`, or the part of it that was reported."""
    if job.progress is None:
        return ""
    fraction = job.progress.fraction
    share = "" if fraction is None else f"{fraction:.0%} "
    return f"{share}{job.progress.message or ''}".strip()


def outcome_text(status: str, reason: str | None, run: JobRun | None) -> str:
    """How a Job ended, on one line, such as `FAILED after 3.2 s: exit_status: …`."""
    took = ""
    if run is not None and run.duration_s is not None:
        took = f" after {duration_text(run.duration_s)}"
    why = f"{run.error.code}: {run.error.message}" if run and run.error else reason
    return f"{status}{took}{f': {why}' if why else ''}"
