"""The operator's commands beside `serve`: init, check, verify, backup; none needs a running server.

What they need is imported when they run, so that `--help` and the client commands stay quick.
"""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import cyclopts

from headway.cli.output import show_text
from headway.terminal_text import for_stream, print_errors

if TYPE_CHECKING:
    from config.settings import Settings
    from config.settings_source import SettingsSource

ConfigOption = Annotated[
    Path | None, cyclopts.Parameter(help="Configuration file; else ./headway.toml if it is there.")
]
DataDirOption = Annotated[
    Path | None,
    cyclopts.Parameter(
        help="The directory of the database, logs and artifacts; overrides the configuration."
    ),
]
BindOption = Annotated[str | None, cyclopts.Parameter(help="HOST:PORT; port 0 takes a free one.")]


def register(app: cyclopts.App) -> None:
    """Add the commands to `app`."""
    for command in (init, check, verify, backup):
        app.command(command)


def init(path: Path = Path("headway.toml")) -> None:
    """Write a commented headway.toml."""
    from config.template import TEMPLATE
    from storage.new_file import new_file

    try:
        with new_file(path) as beside:
            beside.write_text(TEMPLATE, encoding="utf-8")
    except FileExistsError:
        fail(f"{path} is there already and was not changed: name another file")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    show_text(f"wrote {path}; edit it, then: headway check {path}")


def check(
    path: Annotated[
        Path | None, cyclopts.Parameter(help="Configuration file, as with --config.")
    ] = None,
    /,
    *,
    config: ConfigOption = None,
    bind: BindOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Report every fault of the configuration that `serve` would use, each with its line."""
    from config.settings import warnings
    from config.settings_source import SettingsSource

    if path is not None and config is not None:
        fail("name the configuration file once: with --config, or without", status=2)
    settings = load_settings(SettingsSource(path or config, bind=bind, data_dir=data_dir))
    for warning in warnings(settings):
        print(f"warning: {for_stream(str(warning), sys.stderr)}", file=sys.stderr)
    show_text(f"good: {len(settings.job_types)} job types: {', '.join(sorted(settings.job_types))}")


def verify(*, config: ConfigOption = None, data_dir: DataDirOption = None) -> int:
    """Check the invariants on a database, also of a running server; exit 1 if one is broken."""
    import apsw

    from headway.cli.table import findings_table, write
    from storage.database import open_reader, refuse_older
    from storage.errors import NewerDatabase, OlderDatabase
    from storage.verify import invariants

    path = existing_database(config, data_dir)
    try:
        with closing(open_reader(path)) as connection:
            refuse_older(connection)
            findings = invariants.verify(connection)
    except (NewerDatabase, OlderDatabase) as error:
        fail(str(error))
    except (apsw.NotADBError, apsw.CorruptError) as error:
        fail(
            f"{path} is broken: {error}. It was only read. Keep a copy of it and of its -wal file, "
            "and go back to the last backup"
        )
    except apsw.Error as error:
        fail(f"{path} cannot be read: {error}")
    write(findings_table(findings))
    return int(any(finding.breaches for finding in findings))


def backup(file: Path, *, config: ConfigOption = None, data_dir: DataDirOption = None) -> None:
    """Copy the database, also of a running server, into FILE: a whole, checked copy or none."""
    import signal

    from storage.backup import BackupFailed, back_up

    path = existing_database(config, data_dir)
    # As Ctrl-C, each of them ends the copy and removes it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        size_bytes = back_up(path, file)
    except FileExistsError:
        fail(f"{file} is there already and was not changed: name another file", status=2)
    except BackupFailed as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(f"stopped: nothing was written to {file}", status=130)
    show_text(f"wrote {file} ({size_bytes} bytes); logs and artifacts stay in {path.parent}")


def existing_database(config: Path | None, data_dir: Path | None) -> Path:
    """The path of the database; exits with 2 if there is none."""
    from config.settings_source import SettingsSource
    from storage.database import DATABASE_NAME

    settings = load_settings(SettingsSource(config, data_dir=data_dir))
    path = settings.server.data_dir / DATABASE_NAME
    try:
        is_there = path.exists()
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")
    if not is_there:
        fail(f"there is no database at {path}: name its directory with --data-dir", status=2)
    return path


def load_settings(source: "SettingsSource") -> "Settings":
    """The configuration; exits with 2 if it is wrong."""
    from config.settings import ConfigurationError

    try:
        return source.read()
    except ConfigurationError as error:
        fail(*(str(fault) for fault in error.faults), status=2)
    except OSError as error:
        fail(f"cannot read {source.path}: {error.strerror}", status=2)


def fail(*messages: str, status: int = 1) -> NoReturn:
    """Print what is wrong, and exit."""
    sys.exit(print_errors(*messages, status=status))
