"""The commands on Jobs: `headway submit`, `list`, `show`, `cancel`, `retry`, `priority`.

Standard output carries the result alone (the id, the table, the JSON); notes and progress bars go
to standard error. What each exit status means is in `exit_status.py`. Everything heavy is imported
when a command runs, so that `--help` stays quick.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from headway.cli.arguments import UsageError, parse_labels, parse_time, split_pairs
from headway.cli.exit_status import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    exit_with,
    print_note,
)
from headway.cli.options import (
    DEFAULT_URL,
    AsJson,
    JobId,
    Pairs,
    ParamsJson,
    TypeName,
    Url,
    connect,
    print_json,
    read_params,
)
from headway.cli.output import show_text

if TYPE_CHECKING:
    from headway.client.client import Client
    from headway.model.job import Job, JobPage
    from headway.model.job_type import Preview
    from headway.model.run import JobRun

Wait = Annotated[
    bool,
    Parameter(negative="", help="Wait until the Job has ended; its outcome is the exit status."),
]
Labels = Annotated[
    list[str] | None, Parameter(name="--label", negative="", help="KEY=VALUE; may be repeated.")
]
Status = Literal["QUEUED", "RUNNING", "COMPLETED", "FAILED", "SKIPPED", "CANCELLED"]


def register(app: App) -> None:
    """Add the commands to `app`."""
    app.command(submit)
    app.command(list_jobs, name="list")
    for command in (show, cancel, retry, priority):
        app.command(command)


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
    begin = None if run_at is None else parse_time("--run-at", run_at)
    expiry = None if expires_at is None else parse_time("--expires-at", expires_at)
    labels = parse_labels(label or [])
    with connect(url) as client:
        given = read_params(client, type, params, param)
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
        from headway.cli.job_view import job_view
        from headway.cli.table import write

        write(job_view(job, run, why))
    return EXIT_DONE


@exit_with
def cancel(job_id: JobId, /, *, url: Url = DEFAULT_URL, json: AsJson = False) -> int:
    """Cancel a Job; a running program gets TERM, then KILL."""
    with connect(url) as client:
        job = client.cancel_job(job_id)
    _print_job(job, json)
    if job.finished_at is None:
        print_note("It is running, and is being ended.")
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


def _print_preview(shown: "Preview", json: bool) -> None:
    """Print the command line as for a shell; after it, the standard input of the program."""
    from shlex import join

    if json:
        print_json(shown)
        return
    show_text(join(shown.argv))
    if shown.stdin is not None:
        print_note(f"On its standard input: {shown.stdin}")


def _accepted(client: "Client", job: "Job", wait: bool, json: bool) -> int:
    """Print that a Job was queued and, with `wait`, wait for its end; the exit status."""
    if not wait:
        _print_job(job, json)
        if not json:
            print_note(f"Follow it with `headway log -f {job.job_id}`.")
        return EXIT_DONE
    if not json:
        show_text(job.job_id)
    try:
        job = _wait(client, job)
    except KeyboardInterrupt:
        print_note(f"No longer waiting; {job.job_id} continues.")
        print_note(f"End it with `headway cancel {job.job_id}`.")
        return EXIT_INTERRUPTED
    if json:
        print_json(job)
    else:
        from headway.cli.job_view import outcome_text

        print_note(outcome_text(job.status, job.reason, _run_of(client, job.job_id)))
    return EXIT_DONE if job.status in ("COMPLETED", "SKIPPED") else EXIT_FAILED


def _wait(client: "Client", job: "Job") -> "Job":
    """Wait for the end of a Job, and show a progress bar."""
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


def _print_job(job: "Job", json: bool) -> None:
    """Print the id alone on standard output, so that a script can use it."""
    if json:
        print_json(job)
    else:
        show_text(job.job_id)
        at = f", priority {job.priority}, position {job.position}" if job.status == "QUEUED" else ""
        print_note(f"{job.status}{at}.")


def _print_pages(pages: "list[JobPage]", json: bool) -> None:
    from headway.cli.job_view import counts_line, jobs_table
    from headway.cli.table import is_narrow, write

    jobs = [job for page in pages for job in page.jobs]
    last = pages[-1]
    if json:
        print_json(last.model_copy(update={"jobs": jobs}))
        return
    if jobs:
        write(jobs_table(jobs, narrow=is_narrow(sys.stdout)))
    print_note(f"{len(jobs)} shown. All Jobs: {counts_line(last.counts)}.")
    if last.next_cursor:
        print_note(f"There are more: --limit {len(jobs) * 10}.")
