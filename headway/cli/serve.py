"""`headway serve`: the command that runs a server. What it needs is imported when it runs."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts

from headway.cli.admin_commands import BindOption, ConfigOption, DataDirOption, load_settings

if TYPE_CHECKING:
    from concurrent.futures import Future

    import apsw


def register(app: cyclopts.App) -> None:
    """Add `serve` to `app`."""
    app.command(serve_command, name="serve")


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
    from actors.host import interpreter

    interpreter.prepare_imports()
    # What the server writes is for its owner only; programs start with the umask that it was given.
    umask = os.umask(0o077)
    from config.settings_source import SettingsSource
    from web.process.log_stream import logging_to_stderr
    from web.process.terminal import Terminal

    terminal = Terminal()
    with logging_to_stderr() as stream:
        source = SettingsSource(config, bind=bind, data_dir=data_dir)
        settings = load_settings(source)
        with opening(settings.server.data_dir) as database:
            import serve

            start = serve.StartOptions(
                settings=settings,
                source=source,
                stream=stream,
                terminal=terminal,
                umask=umask,
                detach=detach,
            )
            return serve.run(start, database)


@contextmanager
def opening(data_dir: Path) -> "Iterator[Future[apsw.Connection]]":
    """Hold the data directory; a thread locks it and opens the connection that may write.

    SQLite needs no interpreter to read the pages of a long queue, so modules are imported at the
    same time.
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
