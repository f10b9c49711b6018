"""Progress bars of Jobs on a terminal."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from headway.cli.job_view import progress_text
from headway.model.job import Job
from headway.terminal_text import clean


class JobBars:
    """A progress bar for each Job that is shown; none where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "JobBars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: Job) -> None:
        """Draw the Job as it is now; without a known fraction the bar pulses."""
        state = clean(f"{job.status} {progress_text(job)}".strip())
        if job.job_id not in self._tasks:
            label = clean(job.name or job.type)
            self._tasks[job.job_id] = self._progress.add_task(label, total=None, state=state)
        fraction = job.progress.fraction if job.progress else None
        ended = job.finished_at is not None
        total = 1.0 if ended or fraction is not None else None
        done = 1.0 if ended else fraction or 0.0
        task = self._tasks[job.job_id]
        self._progress.update(task, total=total, completed=done, state=state)
