"""`headway log`: the output of a run, so far or as it is written, byte for byte or with times."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from headway.cli.arguments import UsageError
from headway.cli.exit_status import EXIT_DONE, exit_with
from headway.cli.options import DEFAULT_URL, AsJson, JobId, Raw, Url, connect
from headway.cli.output import show_pieces

if TYPE_CHECKING:
    from headway.client.log_reader import LogLine


def register(app: App) -> None:
    """Add the command to `app`."""
    app.command(log)


@exit_with
def log(
    job_id: JobId,
    /,
    *,
    follow: Annotated[
        bool,
        Parameter(name=["--follow", "-f"], negative="", help="Continue until the run has ended."),
    ] = False,
    tail: Annotated[
        int | None, Parameter(help="Begin at the first line of the last TAIL bytes.")
    ] = None,
    times: Annotated[
        bool, Parameter(negative="", help="Before each line, when it was written (UTC).")
    ] = False,
    raw: Raw = False,
    url: Url = DEFAULT_URL,
    json: AsJson = False,
) -> int:
    """Print the output of a Job's run; with --json as lines of {"text": …}.

    Byte for byte; on a terminal, escapes and control characters are made visible.
    """
    if tail is not None and tail < 0:
        raise UsageError("--tail wants a number of bytes, at least 0")
    with connect(url) as client:
        if times:
            lines = client.log_lines(job_id, follow=follow, tail=tail)
            pieces = _timed_json(lines) if json else _timed(lines)
        else:
            read = client.follow_log if follow else client.log
            pieces = read(job_id, tail=tail)
            pieces = _text_lines(pieces) if json else pieces
        show_pieces(pieces, raw=raw)
    return EXIT_DONE


def _text_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The output as JSON lines; a character in two pieces is not split."""
    from codecs import iterdecode
    from json import dumps

    for text in iterdecode(pieces, "utf-8", "replace"):
        yield dumps({"text": text}).encode() + b"\n"


def _timed(lines: "Iterable[LogLine]") -> Iterator[bytes]:
    for line in lines:
        at = "" if line.at is None else f"{line.at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + "Z"
        yield f"{at:24} ".encode() + line.line


def _timed_json(lines: "Iterable[LogLine]") -> Iterator[bytes]:
    from pydantic_core import to_json

    for line in lines:
        yield to_json({"at": line.at, "text": line.line.decode(errors="replace")}) + b"\n"
