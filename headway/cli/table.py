"""How Jobs, runs and the scheduler look to a person: rich renderables, and plain text in a pipe.

Invariant: each text in a cell is `clean`: it stays on its line and steers no terminal, nor is it
read as markup. What to show when is decided in `jobs.py`.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import IO, TYPE_CHECKING, Any, assert_never

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from headway.model.artifact import Artifact
from headway.model.explanation import Ending, Estimate, Explanation
from headway.model.history import History
from headway.model.job import Job, JobStatus
from headway.model.job_type import JobTypeView
from headway.model.reservation import Reservation
from headway.model.run import JobRun, Left
from headway.model.scheduler import SchedulerConfig, SchedulerStatus
from headway.terminal_text import clean

if TYPE_CHECKING:
    from storage.verify.invariants import Finding

WIDE_COLUMNS = 120
"""What a list of Jobs takes with a name and a note."""
PIPE_WIDTH_COLUMNS = 100_000
"""In a pipe nothing is wrapped or cut."""

STYLES = {
    "QUEUED": "cyan",
    "RUNNING": "blue",
    "COMPLETED": "green",
    "FAILED": "bold red",
    "SKIPPED": "yellow",
    "CANCELLED": "magenta",
}


def write(renderable: RenderableType, stream: IO[str] | None = None) -> None:
    """Print on `stream` (standard output): in colour on a terminal, as plain columns in a pipe."""
    stream = stream or sys.stdout
    console = Console(
        file=stream,
        width=None if stream.isatty() else PIPE_WIDTH_COLUMNS,
        highlight=False,
        emoji=False,
        markup=False,
    )
    with console.capture() as captured:
        console.print(renderable)
    stream.write("\n".join(line.rstrip() for line in captured.get().split("\n")))
    stream.flush()


def view(value: list[JobTypeView] | SchedulerStatus | SchedulerConfig) -> Table:
    """How an answer looks that looks the same wherever it is shown."""
    match value:
        case SchedulerStatus():
            return scheduler_view(value)
        case SchedulerConfig():
            return config_view(value)
        case list():
            return types_table(value)
        case _:
            assert_never(value)


def jobs_table(jobs: Iterable[Job], *, narrow: bool = False) -> Table:
    """One Job a line, in the order given; `narrow` leaves out when it was created."""
    times = () if narrow else ("CREATED",)
    table = _table("JOB", "TYPE", "STATUS", "PRIORITY", *times, "NAME", "NOTE", fluid=2)
    for job in jobs:
        _add(
            table,
            job.job_id,
            job.type,
            status_text(job.status),
            str(job.priority),
            *(moment(job.created_at) for _ in times),
            job.name or "",
            _note(job),
        )
    return table


def is_narrow(stream: IO[str]) -> bool:
    """A terminal on which a wide table would break every line."""
    return stream.isatty() and get_terminal_size().columns < WIDE_COLUMNS


def types_table(types: Iterable[JobTypeView]) -> Table:
    """One job type a line, with its parameters."""
    table = _table("TYPE", "TIMEOUT", "PARAMETERS", "DESCRIPTION", fluid=2)
    for kind in types:
        _add(table, kind.name, span(kind.timeout_s), _params(kind.params_schema), kind.description)
    return table


def findings_table(findings: "Iterable[Finding]") -> Table:
    """One invariant a line, and where it is broken."""
    table = _table("INVARIANT", "STATE", "WHERE", fluid=1)
    for finding in findings:
        first, *others = finding.breaches or ("",)
        state = Text("BROKEN", "bold red") if finding.breaches else Text("holds", "green")
        _add(table, finding.name, state, first)
        for breach in others:
            _add(table, "", "", breach)
    return table


def counts_line(counts: dict[str, int]) -> str:
    """`2 QUEUED, 1 RUNNING`: every status that has Jobs."""
    named = [f"{counts[status]} {status}" for status in JobStatus if counts.get(status)]
    return ", ".join(named) or "no Jobs"


def job_view(job: Job, run: JobRun | None, why: Explanation | None = None) -> RenderableType:
    """All that is known of one Job and its run, a line for each thing that has a value."""
    facts: list[tuple[str, str | Text]] = [
        ("Job", job.job_id),
        ("Type", job.type),
        ("Status", status_text(job.status)),
    ]
    facts += _given(
        ("Reason", job.reason),
        ("Name", job.name),
        ("Labels", ", ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))),
        ("Params", json.dumps(job.params, ensure_ascii=False)),
        ("Priority", job.priority),
        ("Position", job.position),
        ("Not before", job.run_at and moment(job.run_at)),
        ("Expires", job.expires_at and moment(job.expires_at)),
        ("Timeout", job.timeout_s and span(job.timeout_s)),
        ("Retry of", job.retry_of),
        ("Origin", job.origin),
        ("Created", moment(job.created_at)),
        ("Started", job.started_at and moment(job.started_at)),
        ("Finished", job.finished_at and moment(job.finished_at)),
        ("Progress", progress_text(job)),
    )
    facts += [] if why is None else _explained(why)
    return _facts(facts) if run is None else Group(_facts(facts), Text(), run_view(run))


def _explained(why: Explanation) -> list[tuple[str, str | Text]]:
    """What holds the Job back, its place, when it will probably start or end."""
    facts = _given(*(("Waits", reason.message) for reason in why.waiting))
    if why.ahead is not None:
        facts.append(("Ahead", f"{why.ahead:,}{'' if why.ahead_exact else ' or more'}"))
    if why.ending is not None:
        facts.append(("Ends", _expected(why.ending.end_at, why.ending)))
    elif why.estimate is not None:
        facts.append(("Starts", _expected(why.estimate.start_at, why.estimate)))
    elif why.waiting:
        facts.append(("Starts", "unknown"))
    return facts


def _expected(at: datetime, between: Estimate | Ending) -> str:
    return (
        f"about {moment(at)}, between {moment(between.earliest)} and {moment(between.latest)}"
        if between.earliest != between.latest
        else moment(at)
    )


def left_text(left: Left) -> str | None:
    """What was still alive when the program ended, and was ended then."""
    if left.processes == 0:
        return None
    killed = f", {left.killed} of them by KILL" if left.killed else ""
    return f"{left.processes}, ended with the run{killed}"


def run_view(run: JobRun) -> Table:
    """All that is known of one run."""
    facts: list[tuple[str, str | Text]] = [
        ("Run", run.run_id),
        ("Status", status_text(run.status)),
    ]
    log = f"{size(run.log.bytes)}{', its middle was dropped' if run.log.truncated else ''}"
    facts += _given(
        ("Error", run.error and f"{run.error.code}: {run.error.message}"),
        ("Exit code", run.exit_code),
        ("Signal", run.signal),
        ("Processes left", left_text(run.left)),
        ("Took", None if run.duration_s is None else span(run.duration_s)),
        ("Process", run.pid),
        ("Command", json.dumps(run.argv, ensure_ascii=False)),
        ("Result", None if run.result is None else json.dumps(run.result, ensure_ascii=False)),
        ("Log", log),
        *(("Artifact", artifact_text(each)) for each in run.artifacts),
        ("Collection", collection_text(run)),
    )
    return _facts(facts)


def artifact_text(artifact: Artifact) -> str:
    """Its name and size, and that it is not there, if it is not."""
    lost = "" if artifact.kept else ", not kept"
    return f"{artifact.name} ({size(artifact.size_bytes)}{lost})"


def collection_text(run: JobRun) -> str | None:
    """What of its artifacts is still to come, or why it will not. None: nothing."""
    if run.finished_at is None or run.collection.complete:
        return None
    if run.collection.reason is not None:
        return f"not complete: {run.collection.reason}"
    return "its checksums are still being computed" if run.artifacts else "under way"


def scheduler_view(status: SchedulerStatus) -> Table:
    """The scheduler in nine lines."""
    stats = status.cumulative_stats
    return _facts(
        [
            ("Scheduler", "running" if status.scheduler_running else "stopped"),
            *_given(("Starts nothing", status.host_condition and status.host_condition.reason)),
            ("Running", ", ".join(status.running_job_ids) or "nothing"),
            (
                "Queue",
                f"{status.queue_length} ({status.eligible} may start, {status.deferred} wait)",
            ),
            *_given(("Not configured", unconfigured_text(status))),
            ("Reservation", "yes" if status.has_active_reservation else "no"),
            ("Concurrency", str(status.concurrency)),
            ("Runs so far", f"{stats.total_executed}"),
            (
                "Of these",
                f"{stats.succeeded} succeeded, {stats.failed} failed, {stats.skipped} skipped",
            ),
            ("Cancelled", f"{stats.cancelled} Jobs"),
            ("Since", moment(status.started_at)),
        ]
    )


def unconfigured_text(status: SchedulerStatus) -> str:
    """How many Jobs wait for a type that is not configured."""
    return ", ".join(f"{n} of type {name}" for name, n in status.unconfigured.items())


def config_view(config: SchedulerConfig) -> Table:
    """The limits in force."""
    limits = {"All": config.concurrency, **config.types}
    return _facts(
        [
            (
                name,
                f"{'no limit of its own' if limit is None else f'at most {limit} at once'}",
            )
            for name, limit in limits.items()
        ]
    )


def reservations_table(found: Iterable[Reservation]) -> Table:
    """A claim a line, in their order."""
    table = _table("RESERVATION", "KIND", "STATE", "SINCE", "UNTIL", fluid=1)
    for one in found:
        since, until = one.held_at or one.created_at, one.ended_at or one.expires_at
        moments = (moment(since), "" if until is None else moment(until))
        _add(table, one.reservation_id, one.kind, one.state, *moments)
    return table


def history_table(history: History) -> Table:
    """A step a line; one in which nothing ended, and the queue stayed as it was, is left out."""
    table = _table(
        *("UNTIL", "QUEUED", "COMPLETED", "FAILED", "SKIPPED", "CANCELLED"),
        *("WAITED (p50, p95)", "RAN (p50, p95)"),
        fluid=2,
    )
    length = None
    for point in history.points:
        ended = (point.completed, point.failed, point.skipped, point.cancelled)
        if any(ended) or point.queue_length != length or point is history.points[-1]:
            times = (
                "" if each is None else f"{span(each.p50)}, {span(each.p95)}"
                for each in (point.wait_s, point.run_s)
            )
            numbers = map(str, (point.queue_length, *ended))
            _add(table, moment(point.at), *numbers, *times)
        length = point.queue_length
    return table


def status_text(status: str) -> Text:
    """The status in its colour; the word alone says it too."""
    return Text(status, style=STYLES.get(status, ""))


def progress_text(job: Job) -> str:
    """`40 % message`, or what there is of it."""
    if job.progress is None:
        return ""
    fraction = job.progress.fraction
    share = "" if fraction is None else f"{fraction:.0%} "
    return f"{share}{job.progress.message or ''}".strip()


def moment(at: datetime) -> str:
    """A time in UTC, to the second, as the API and the logs write it."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def span(seconds: float) -> str:
    """A duration in the two units that matter."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(count_bytes: int) -> str:
    """A size with its binary unit."""
    value = float(count_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.4g} GiB"


def _table(*columns: str, fluid: int) -> Table:
    """Only the last `fluid` columns give way when the terminal is narrow."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index < len(columns) - fluid, overflow="fold")
    return table


def _facts(facts: Sequence[tuple[str, str | Text]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        _add(table, name, value)
    return table


def _add(table: Table, *cells: str | Text) -> None:
    """A row. What has a style was made here."""
    table.add_row(*(cell if isinstance(cell, Text) else Text(clean(cell)) for cell in cells))


def _given(*facts: tuple[str, object]) -> list[tuple[str, str | Text]]:
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _note(job: Job) -> str:
    """The one thing worth knowing about a Job in a list."""
    if job.status == JobStatus.QUEUED:
        return f"not before {moment(job.run_at)}" if job.run_at else f"position {job.position}"
    if job.status == JobStatus.RUNNING:
        return progress_text(job)
    if job.reason:
        return job.reason
    if job.duration_s is not None:
        return f"took {span(job.duration_s)}"
    return ""


def _params(schema: dict[str, Any]) -> str:
    """`topic (string), max_stories (integer, 1 if not given)`."""
    required = schema.get("required", [])
    named = []
    for name, rule in schema.get("properties", {}).items():
        kind = rule.get("type", "any") if isinstance(rule, dict) else "any"
        words = "|".join(kind) if isinstance(kind, list) else str(kind)
        if name in required:
            words += ", required"
        elif isinstance(rule, dict) and "default" in rule:
            words += f", {json.dumps(rule['default'], ensure_ascii=False)} if not given"
        named.append(f"{name} ({words})")
    return ", ".join(named)
