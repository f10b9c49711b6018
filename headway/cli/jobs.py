"""The client verbs of the command line: each asks the server over HTTP and prints the answer.

Standard output carries the answer alone (the id, the table, the JSON, the log); what is said about
it, and progress bars, go to standard error. What each exit status means is in `exit_status.py`.
Everything heavy is imported when a verb runs, so that `--help` stays quick.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from headway.cli import logs, scheduler
from headway.cli.arguments import UsageError, parse_labels, parse_moment, parse_params, split_pairs
from headway.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, exit_with, say
from headway.cli.options import (
    DEFAULT_URL,
    AsJson,
    JobId,
    Raw,
    Url,
    connect,
    print_json,
    print_view,
)
from headway.cli.output import show_text

if TYPE_CHECKING:
    from headway.client.client import Client
    from headway.model.job import Job, JobPage
    from headway.model.job_type import Preview
    from headway.model.run import JobRun

Wait = Annotated[
    bool,
    Parameter(negative="", help="Stay until the Job has ended; its outcome is the exit status."),
]
TypeName = Annotated[str, Parameter(help="The job type; see `headway types`.")]
Pairs = Annotated[
    list[str] | None,
    Parameter(name="--param", negative="", help="A parameter as KEY=VALUE; repeat to give more."),
]
ParamsJson = Annotated[str | None, Parameter(help="All parameters as one JSON object.")]
Labels = Annotated[
    list[str] | None, Parameter(name="--label", negative="", help="KEY=VALUE; may be repeated.")
]
Status = Literal["QUEUED", "RUNNING", "COMPLETED", "FAILED", "SKIPPED", "CANCELLED"]


def register(app: App) -> None:
    """Add the client verbs to `app`."""
    app.command(submit)
    app.command(list_jobs, name="list")
    app.command(show)
    logs.register(app)
    app.command(cancel)
    app.command(retry)
    app.command(priority)
    app.command(direct)
    app.command(types)
    scheduler.register(app)


@exit_with
def submit(
    type: TypeName,
    /,
    *,
    param: Pairs = None,
    params: ParamsJson = None,
    priority: Annotated[int, Parameter(help="0 to 100; higher goes first.")] = 0,
    run_at: Annotated[str | None, Parameter(help="Not before this RFC 3339 time.")] = None,
    expires_at: Annotated[
        str | None, Parameter(help="Skipped if it has not started by this RFC 3339 time.")
    ] = None,
    name: Annotated[str | None, Parameter(help="A name for people.")] = None,
    label: Labels = None,
    timeout_s: Annotated[float | None, Parameter(help="At most the type's own limit.")] = None,
    preview: Annotated[
        bool, Parameter(negative="", help="Queue nothing; print the command line it would run.")
    ] = False,
    wait: Wait = False,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Queue a Job; its id is printed."""
    begin = None if run_at is None else parse_moment("--run-at", run_at)
    expiry = None if expires_at is None else parse_moment("--expires-at", expires_at)
    labels = parse_labels(label or [])
    with connect(url) as client:
        given = _params(client, type, params, param)
        if preview:
            _print_preview(client.preview(type, given), json)
            return EXIT_DONE
        job = client.submit(
            type,
            given,
            priority=priority,
            run_at=begin,
            expires_at=expiry,
            name=name,
            labels=labels,
            timeout_s=timeout_s,
        )
        return _accepted(client, job, wait, json)


@exit_with
def list_jobs(
    *,
    status: Annotated[list[Status] | None, Parameter(negative="", help="May be repeated.")] = None,
    type: Annotated[list[str] | None, Parameter(negative="", help="May be repeated.")] = None,
    label: Labels = None,
    query: Annotated[str | None, Parameter(name=["--query", "-q"], help="Search text.")] = None,
    retry_of: Annotated[str | None, Parameter(help="The id of a Job: only its retries.")] = None,
    limit: Annotated[int, Parameter(help="How many Jobs at most.")] = 50,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """List Jobs."""
    if limit < 1:
        raise UsageError("--limit wants at least 1")
    split_pairs("--label", label or [])
    with connect(url) as client:
        pages = list(
            client.list_pages(
                limit=limit,
                status=status or [],
                type=type or [],
                label=label or [],
                q=query,
                retry_of=retry_of,
            )
        )
    _print_pages(pages, json)
    return EXIT_DONE


@exit_with
def show(job_id: JobId, /, *, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """Show a Job and its run, why it waits, and when it will probably start or end."""
    with connect(url) as client:
        job, run = client.get_job(job_id), _run_of(client, job_id)
        why = client.explain(job_id) if job.finished_at is None else None
    if json:
        print_json({"job": job, "run": run, "explanation": why})
    else:
        from headway.cli.table import job_view, write

        write(job_view(job, run, why))
    return EXIT_DONE


@exit_with
def cancel(job_id: JobId, /, *, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """Cancel a Job; a running program is asked to end, then killed."""
    with connect(url) as client:
        job = client.cancel_job(job_id)
    _print_job(job, json)
    if job.finished_at is None:
        say("It runs, and was asked to end.")
    return EXIT_DONE


@exit_with
def retry(
    job_id: JobId, /, *, wait: Wait = False, url: Url = DEFAULT_URL, json: AsJson = False
) -> int:
    """Queue a new Job like one that has ended; its id is printed."""
    from headway.client.session import new_key

    with connect(url) as client:
        job = client.retry_job(job_id, idempotency_key=new_key())
        return _accepted(client, job, wait, json)


@exit_with
def priority(
    job_id: JobId,
    number: Annotated[int, Parameter(help="0 to 100; higher goes first.")],
    /,
    *,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Change the priority of a Job that has not started."""
    with connect(url) as client:
        job = client.patch_job(job_id, priority=number)
    _print_job(job, json)
    return EXIT_DONE


@exit_with
def direct(
    type: TypeName,
    /,
    *,
    param: Pairs = None,
    params: ParamsJson = None,
    raw: Raw = False,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Run ahead of the queue, wait for the end, print the end of the output. Ctrl-C cancels it."""
    from headway.model.run import RunStatus

    with connect(url) as client:
        given = _params(client, type, params, param)
        try:
            run = client.direct(type, given)
        except KeyboardInterrupt:
            say("The direct run is given up; the server ends it.")
            return EXIT_INTERRUPTED
    if json:
        print_json(run)
    else:
        show_text(run.log_tail, end="", raw=raw)
        say(_verdict(run.status, None, run))
    return EXIT_DONE if run.status in (RunStatus.COMPLETED, RunStatus.SKIPPED) else EXIT_FAILED


@exit_with
def types(*, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """List what may be run, with its parameters."""
    with connect(url) as client:
        print_view(client.job_types(), json)
    return EXIT_DONE


def _params(
    client: "Client", type_name: str, given: str | None, pairs: list[str] | None
) -> dict[str, Any]:
    """The schema is asked for only where it decides what a value means."""
    from headway.client.error import ApiError

    schema: dict[str, Any] = {}
    if pairs:
        try:
            schema = client.job_type(type_name).params_schema
        except ApiError as refusal:
            if refusal.code != "not_found":  # an unknown type is refused better by what follows
                raise
    return parse_params(given, pairs or [], schema)


def _print_preview(shown: "Preview", json: bool) -> None:
    """As a shell would take it; what the program reads comes after it."""
    from shlex import join

    if json:
        print_json(shown)
        return
    show_text(join(shown.argv))
    if shown.stdin is not None:
        say(f"On its standard input: {shown.stdin}")


def _accepted(client: "Client", job: "Job", wait: bool, json: bool) -> int:
    """Say that a Job was queued and, if asked, stay with it; the exit status."""
    if not wait:
        _print_job(job, json)
        if not json:
            say(f"Follow it with `headway log -f {job.job_id}`.")
        return EXIT_DONE
    if not json:
        show_text(job.job_id)
    try:
        job = _wait(client, job)
    except KeyboardInterrupt:
        say(f"Not waiting any more; {job.job_id} goes on. `headway cancel {job.job_id}` ends it.")
        return EXIT_INTERRUPTED
    if json:
        print_json(job)
    else:
        say(_verdict(job.status, job.reason, _run_of(client, job.job_id)))
    return EXIT_DONE if job.status in ("COMPLETED", "SKIPPED") else EXIT_FAILED


def _wait(client: "Client", job: "Job") -> "Job":
    """Stay with a Job to its end, behind a progress bar."""
    from rich.console import Console

    from headway.cli.job_bars import JobBars

    with JobBars(Console(stderr=True)) as bars:
        latest = job
        for latest in client.watch(job.job_id):
            bars.show(latest)
    return latest


def _run_of(client: "Client", job_id: str) -> "JobRun | None":
    runs = client.runs(job_id)
    return runs[0] if runs else None


def _verdict(status: str, reason: str | None, run: "JobRun | None") -> str:
    """How it ended, in a line: `FAILED after 3.2 s: exit_status: …`."""
    from headway.cli.table import span

    took = f" after {span(run.duration_s)}" if run and run.duration_s is not None else ""
    why = f"{run.error.code}: {run.error.message}" if run and run.error else reason
    return f"{status}{took}{f': {why}' if why else ''}"


def _print_job(job: "Job", json: bool) -> None:
    """The id alone is the answer, so that a script can keep it; the rest is for people."""
    if json:
        print_json(job)
    else:
        show_text(job.job_id)
        at = f", priority {job.priority}, position {job.position}" if job.status == "QUEUED" else ""
        say(f"{job.status}{at}.")


def _print_pages(pages: "list[JobPage]", json: bool) -> None:
    from headway.cli.table import counts_line, is_narrow, jobs_table, write

    jobs = [job for page in pages for job in page.jobs]
    last = pages[-1]
    if json:
        print_json({"jobs": jobs, "next_cursor": last.next_cursor, "counts": last.counts})
        return
    if jobs:
        write(jobs_table(jobs, narrow=is_narrow(sys.stdout)))
    say(f"{len(jobs)} shown. All Jobs: {counts_line(last.counts)}.")
    if last.next_cursor:
        say(f"There are more: --limit {len(jobs) * 10}.")
