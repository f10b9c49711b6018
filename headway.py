"""headway: the command line. What its verbs do is imported when they run.

A server is put together in `wiring.py`, which takes most of a second to import; `--help` and the
verbs of a client do without.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts

from web.commands import register as register_client_verbs
from web.log_stream import logging_to_stderr, occupy_standard_descriptors
from web.operate import BindOption, ConfigOption, DataDirOption, fail, load_settings
from web.operate import register as register_operator_verbs
from web.output import seen
from web.ready_line import ready_url
from web.settings_source import SettingsSource
from web.terminal import Terminal

if TYPE_CHECKING:
    from concurrent.futures import Future

    import apsw


def usage_error(error: cyclopts.CycloptsError) -> object:
    """What is shown of a command line that cannot be understood: it repeats what was typed."""
    return cyclopts.CycloptsPanel(seen(str(error), sys.stderr))


app = cyclopts.App(
    name="headway",
    error_formatter=usage_error,
    help="A job server for one machine: durable jobs, one HTTP API, no broker.",
    version_flags=["--version"],
)
register_client_verbs(app)
register_operator_verbs(app)


@app.command(name="serve")
def serve_command(
    *,
    config: ConfigOption = None,
    bind: BindOption = None,
    data_dir: DataDirOption = None,
    detach: Annotated[
        bool,
        cyclopts.Parameter(
            negative="", help="On shutdown leave running programs to the next server."
        ),
    ] = False,
) -> int:
    """Run the server until SIGTERM or SIGINT; SIGHUP reads the configuration again."""
    # Nothing of what an import makes is garbage: a tenth of the start went into looking for some.
    gc.disable()
    # What the server writes is for its owner only; programs start with the umask that it was given.
    umask = os.umask(0o077)
    terminal = Terminal()
    with logging_to_stderr() as stream:
        source = SettingsSource(config, bind=bind, data_dir=data_dir)
        settings = load_settings(source)
        with opening(settings.server.data_dir) as database:
            import wiring

            start = wiring.Start(
                settings=settings,
                source=source,
                stream=stream,
                terminal=terminal,
                umask=umask,
                detach=detach,
            )
            return wiring.run(start, database)


@contextmanager
def opening(data_dir: Path) -> "Iterator[Future[apsw.Connection]]":
    """Hold the data directory; a thread locks it and opens the connection that may write.

    SQLite needs no interpreter to read the pages of a long queue, so a start imports meanwhile.
    The future raises what `directory_lock` and `open_writer` raise.
    """
    from concurrent.futures import ThreadPoolExecutor

    from storage.database import DATABASE_NAME, directory_lock, open_writer

    with ExitStack() as held, ThreadPoolExecutor(1, "opening") as thread:

        def open_it() -> "apsw.Connection":
            held.enter_context(directory_lock(data_dir))
            connection = open_writer(data_dir / DATABASE_NAME)
            held.callback(connection.close)
            return connection

        opened = thread.submit(open_it)
        thread.shutdown(wait=False)  # it ends with its work
        yield opened


@app.command
def demo(*, data_dir: DataDirOption = None) -> int:
    """Start a server on a free port, run a research Job and stories, show what came of them."""
    # Here, since they cost `serve` a tenth of a second at its start and 10 MB.
    import rich.console

    from web.demo import demo as run_demo

    directory = (data_dir or Path("headway-demo")).absolute()
    command = [sys.executable, __file__, "serve", "--bind", "127.0.0.1:0"]
    environ = {**os.environ, "HEADWAY_SERVER__LOG_LEVEL": "error"}
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with subprocess.Popen(
        [*command, "--data-dir", str(directory)],
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        cwd=directory,  # not where a headway.toml with other job types may lie
    ) as server:
        assert server.stderr is not None
        try:
            line = server.stderr.readline()
            if (url := ready_url(line)) is None:
                fail(f"the server did not start: {line}{server.stderr.read()}")
            return run_demo(url, rich.console.Console(), directory)
        finally:
            server.terminate()


def main() -> None:
    """The console script."""
    occupy_standard_descriptors()
    try:
        sys.exit(app())
    except BrokenPipeError:
        # The reader of our output (head, less) has what it wanted; say nothing while leaving.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        # The interpreter would try once more, and end with another status.
        try:
            sys.stderr.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


if __name__ == "__main__":
    main()
