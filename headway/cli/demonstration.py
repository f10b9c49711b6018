"""The demo: research and stories on a running server, with the `Client` only.

It is also an example of how the client is used. Its caller starts and stops the server.
"""

from pathlib import Path
from shlex import quote
from typing import Any

from pydantic_core import from_json
from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from headway.cli.exit_status import EXIT_DONE, EXIT_FAILED, exit_with
from headway.cli.job_bars import JobBars
from headway.cli.table import duration_text
from headway.client.client import Client
from headway.model.job import Job, JobStatus
from headway.model.run import JobRun
from headway.terminal_text import clean

TOPIC = "lighthouse"
STORIES = 3
COLLECT_S = 30
"""How long the demo waits for the artifacts of a Job; they are usually there at once."""
ARTIFACT_BYTES_MAX = 1024 * 1024
"""The most that the demo prints of a file; a story has a few thousand bytes."""


@exit_with
def demo(url: str, console: Console, data_dir: Path | None = None) -> int:
    """Run the demo against the server at `url`; 0 if both Jobs ended COMPLETED or SKIPPED.

    `data_dir` is the server's, if it is known and on this machine: files are then named by their
    path, and the commands at the end start a server on it first.
    """
    with Client(url) as client:
        _print(console, f"First a Job that researches “{TOPIC}”, then one that tells stories.")
        # One after the other, whatever the server's concurrency: the stories use the card.
        params: dict[str, Any] = {"topic": TOPIC}
        research = _run_job(client, client.submit("research", params, name="a card"), console)
        params = {"max_stories": STORIES, "topic": TOPIC, "enable_dedup": True}
        story = _run_job(client, client.submit("story", params, name="stories"), console)
        if research.status == JobStatus.COMPLETED:
            _show_card(client, research, console, data_dir)
        if story.status == JobStatus.COMPLETED:
            _show_story(client, story, console, data_dir)
    _show_next_steps(url, research, story, console, data_dir)
    good = (JobStatus.COMPLETED, JobStatus.SKIPPED)
    return EXIT_DONE if research.status in good and story.status in good else EXIT_FAILED


def _run_job(client: Client, job: Job, console: Console) -> Job:
    """Wait for the Job behind a progress bar, and print a line on how it ended."""
    with JobBars(console) as bars:
        latest = job
        for latest in client.watch(job.job_id):
            bars.show(latest)
    _print_end(client, latest, console)
    return latest


def _print_end(client: Client, job: Job, console: Console) -> None:
    run = _run(client, job)
    took = f" in {duration_text(run.duration_s)}" if run and run.duration_s is not None else ""
    error = f"{run.error.code}: {run.error.message}" if run and run.error else job.reason
    match job.status:
        case JobStatus.COMPLETED:
            line = f"{job.type}: done{took}."
        case JobStatus.SKIPPED if run is None:
            line = f"{job.type}: it never started: {error or 'no reason is recorded'}."
        case JobStatus.SKIPPED:
            line = f"{job.type}: nothing to do: all that it could write is in the library already."
        case JobStatus.CANCELLED:
            line = f"{job.type}: it was cancelled{took}; start the demo again."
        case JobStatus.FAILED:
            line = (
                f"{job.type}: failed{took}: {error}. `headway log {job.job_id}` shows its output."
            )
        case JobStatus.QUEUED | JobStatus.RUNNING:
            line = f"{job.type}: is still {job.status}."
    _print(console, line)


def _show_card(client: Client, job: Job, console: Console, data_dir: Path | None) -> None:
    for artifact in client.artifacts(job.job_id, wait_s=COLLECT_S):
        if not artifact.name.endswith(".json"):
            continue
        card = from_json(_read(client, job, artifact.name))
        tags = ", ".join(map(str, card.get("tags", [])))
        _print(console, f"\nThe card “{card.get('topic')}”, tags: {tags}")
        for passage in card.get("passages", [])[:1]:
            _print(console, f"  {passage['text']}\n  ({passage['source']})")
        _print(console, f"Its file: {_location(client, job, artifact.name, data_dir)}")


def _show_story(client: Client, job: Job, console: Console, data_dir: Path | None) -> None:
    names = [
        each.name
        for each in client.artifacts(job.job_id, wait_s=COLLECT_S)
        if each.name.endswith(".md")
    ]
    if not names:
        _print(console, "The Job left no story among its artifacts.")
        return
    text = _read(client, job, names[0]).decode(errors="replace")
    console.print()
    console.print(Markdown("\n".join(map(clean, text.splitlines()))))
    _print(console, f"{len(names)} of {STORIES} are new. Their files:")
    for name in names:
        _print(console, f"  {_location(client, job, name, data_dir)}")


def _show_next_steps(
    url: str, research: Job, story: Job, console: Console, data_dir: Path | None
) -> None:
    at = f" --url {url}" if data_dir is None else ""
    serve = [] if data_dir is None else [f"headway serve --data-dir {quote(str(data_dir))} &"]
    _print(console, "\nGo on with:")
    for command in (
        *serve,
        f"headway show {story.job_id}{at}",
        f"headway log {research.job_id}{at}",
        f"headway submit story --param topic={TOPIC} --wait{at}",
        f"headway list{at}",
    ):
        _print(console, f"  {command}")


def _location(client: Client, job: Job, name: str, data_dir: Path | None) -> str:
    """The path of an artifact if it is known, else its URL."""
    run = _run(client, job)
    if data_dir is not None and run is not None:
        return str(data_dir / "runs" / run.run_id / "artifacts" / name)
    return f"{client.url}/jobs/{job.job_id}/artifacts/{name}"


def _run(client: Client, job: Job) -> JobRun | None:
    runs = client.runs(job.job_id)
    return runs[0] if runs else None


def _read(client: Client, job: Job, name: str) -> bytes:
    content = b""
    for piece in client.artifact(job.job_id, name):
        content += piece
        if len(content) >= ARTIFACT_BYTES_MAX:
            break
    return content[:ARTIFACT_BYTES_MAX]


def _print(console: Console, text: str) -> None:
    console.print(Text("\n".join(map(clean, text.split("\n")))), soft_wrap=True)
