"""Wiring: seams, actors, the port, and their order. The only file that knows every layer.

Start: lock the data directory, migrate, start the actors (which settle the runs of an earlier
server), open the port. SIGTERM or SIGINT: close the port, complete the requests in flight, wait for
the running programs, end those that exceed the grace, commit, exit 0.
"""

import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import apsw
import structlog
import trio

from actors.actor import Mailbox
from actors.clock import SystemClock
from actors.event_buffer import EventBuffer
from actors.executor import Executor
from actors.host import interpreter
from actors.host.cgroup import find_cgroup_root
from actors.host.free_space import FreeSpace
from actors.host.inotify import FileWatcher
from actors.host.linux_host import LinuxHost
from actors.identity import Identity, Ids
from actors.inspector import Inspector
from actors.publisher import Publisher
from actors.randomness import Randomness
from actors.rules.core import Core
from actors.runner import ThreadPool, ThreadRunner
from actors.scheduler import Scheduler
from actors.seams import Seams
from actors.stats import Stats
from actors.storage_watch import StorageWatch
from actors.supervisor import Child, Supervisor, SupervisorGaveUp
from actors.tally import Tally
from config.settings import Settings
from config.settings_source import SettingsSource
from headway.terminal_text import print_errors
from storage.damage import checked_at_once
from storage.database import DATABASE_NAME, open_reader, open_writer
from storage.disk_reserve import RESERVE_NAME, DiskReserve
from storage.errors import (
    DamagedDatabase,
    DataDirectoryInUse,
    ExposedDirectory,
    NewerDatabase,
    StorageFailed,
)
from storage.events import last_seq
from web.api.request_priority import RequestPriority
from web.app import App, make_app
from web.context import Context
from web.process.log_config import LogLevel, configure_logging
from web.process.log_stream import LogStream, leaves
from web.process.ready_line import ready_line
from web.process.reload import Reloader, obey_hangups
from web.process.shutdown import end_signals, shut_down
from web.process.terminal import Terminal
from web.reads import Reader, Reads
from web.resources import unconfigured
from web.server.listener import Server, listen, url_of
from web.streams.broadcaster import Broadcaster

MAILBOX_MESSAGES_MAX = 1024
POOL_THREADS = 6
READERS = ("quick reader", "long reader 1", "long reader 2")
REFUSED_AT_START = (DamagedDatabase, DataDirectoryInUse, ExposedDirectory, NewerDatabase)

log = structlog.get_logger()


@contextmanager
def production_seams(data_dir: Path, stream: LogStream, umask: int) -> Iterator[Seams]:
    """The seams of production: system clock, randomness, threads and processes."""
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    cgroups = find_cgroup_root(f"headway-{name}")
    with ExitStack() as stack:
        if cgroups is not None:
            stack.callback(cgroups.remove)
        clock, host = SystemClock(), LinuxHost(cgroups, data_dir, umask=umask)
        stack.callback(clock.close)
        stack.callback(host.close)
        writer, batches, bodies, checker, *readers = (
            stack.enter_context(ThreadRunner(name))
            for name in ("writer", "batches", "bodies", "checker", *READERS)
        )
        files, collectors = (
            stack.enter_context(ThreadPool(name, POOL_THREADS)) for name in ("files", "collectors")
        )
        yield Seams(
            clock=clock,
            random_bytes=os.urandom,
            writer=writer,
            readers=tuple(readers),
            batches=batches,
            bodies=bodies,
            files=files,
            collectors=collectors,
            checker=checker,
            host=host,
            log_lines_dropped=lambda: stream.dropped,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOptions:
    """What the command line hands to `run`. `umask` is the one that programs start with."""

    settings: Settings
    source: SettingsSource
    stream: LogStream
    terminal: Terminal
    umask: int
    detach: bool


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections to the database: one that writes, and a reader for each thread that reads."""

    writing: apsw.Connection
    on_loop: apsw.Connection
    on_threads: tuple[apsw.Connection, ...]

    @classmethod
    def open(cls, path: Path, seams: Seams, writing: apsw.Connection | None) -> "Connections":
        """Open them all; `writing` is taken over if it is open already."""
        writing = open_writer(path, vfs=seams.vfs) if writing is None else writing
        on_loop, *on_threads = (open_reader(path, vfs=seams.vfs) for _ in (None, *seams.readers))
        return cls(writing, on_loop, tuple(on_threads))

    @contextmanager
    def closing(self) -> Iterator[apsw.Connection]:
        """Close them all at the end of the block, the writer last; yields the writer."""
        with ExitStack() as stack:
            for connection in (self.writing, *self.on_threads, self.on_loop):
                stack.callback(connection.close)
            yield self.writing


class Mailboxes(NamedTuple):
    """The mailboxes of the actors, which outlive them."""

    scheduler: Mailbox
    executor: Mailbox
    publisher: Mailbox
    stats: Mailbox


class Headway:
    """The server without its port: the actors, and the context of the web layer."""

    def __init__(
        self,
        settings: Settings,
        seams: Seams,
        environ: Mapping[str, str],
        writing: apsw.Connection | None = None,
    ) -> None:
        """`writing`: what `open_writer` has opened already."""
        self._settings = settings
        self._seams = seams
        self._environ = environ
        self._data_dir = settings.server.data_dir
        self._runs_dir = self._data_dir / "runs"
        self._runs_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = self._data_dir / DATABASE_NAME
        self._connections = Connections.open(self._path, seams, writing)
        self._reserve = DiskReserve(self._data_dir / RESERVE_NAME, seams.reserve_bytes)
        self._mailboxes = Mailboxes(
            *(Mailbox(name, MAILBOX_MESSAGES_MAX) for name in Mailboxes._fields)
        )
        self._core = self._new_core()
        self.context = self._new_context()
        # In the order in which they start. A crash restarts the actor and those after it: stats is
        # the last, since it only reads.
        children = [
            Child("publisher", self._mailboxes.publisher, self._new_publisher),
            Child("executor", self._mailboxes.executor, self._new_executor),
            Child("scheduler", self._mailboxes.scheduler, self._new_scheduler),
            Child("stats", self._mailboxes.stats, self._new_stats),
        ]
        self._supervisor = Supervisor(children, fatal=(StorageFailed,))

    def _new_core(self) -> Core:
        seams = self._seams
        ids = Ids(seams.clock, seams.random_bytes)
        return Core(
            setup=self._settings.setup,
            identity=Identity(boot_id=seams.host.boot_id, server_id=ids("srv")),
            new_id=ids,
            random=Randomness(seams.random_bytes),
            shortage=FreeSpace(self._data_dir, seams.statvfs).shortage,
        )

    def _new_context(self) -> Context:
        seams, connections = self._seams, self._connections
        timeout_s = self._settings.server.read_timeout_s
        quick, *long = map(Reader, connections.on_threads, seams.readers)
        newest = last_seq(connections.on_loop)
        events, draining, request_priority = EventBuffer(newest), trio.Event(), RequestPriority()
        return Context(
            settings=self._settings,
            core=self._core,
            scheduler=self._mailboxes.scheduler,
            stats=self._mailboxes.stats,
            events=events,
            broadcaster=Broadcaster(events, draining, request_priority),
            request_priority=request_priority,
            draining=draining,
            clock=seams.clock,
            files=FileWatcher(),
            reader=connections.on_loop,
            reads=Reads(quick, long, timeout_s=timeout_s, draining=draining),
            file_pool=seams.files,
            batch_runner=seams.batches,
            body_runner=seams.bodies,
            runs_dir=self._runs_dir,
            started_at=seams.clock.now(),
            log_lines_dropped=seams.log_lines_dropped,
            storage=StorageWatch(self._path),
            tally=Tally(newest),
            inspector=self._new_inspector(),
        )

    def _new_inspector(self) -> Inspector:
        checked = checked_at_once(self._connections.writing)
        return Inspector(
            self._path,
            open_reader=partial(open_reader, vfs=self._seams.vfs),
            runner=self._seams.checker,
            scheduler=self._mailboxes.scheduler,
            clock=self._seams.clock,
            checked_at=self._seams.clock.now() if checked else None,
        )

    def _new_publisher(self) -> Publisher:
        return Publisher(
            self._mailboxes.publisher,
            events=self.context.events,
            reader=self._connections.on_loop,
        )

    def _new_stats(self) -> Stats:
        return Stats(
            self._mailboxes.stats,
            events=self.context.events,
            clock=self._seams.clock,
            reader=self._connections.on_loop,
            storage=self.context.storage,
            tally=self.context.tally,
            types=list(self._core.setup.job_types),
        )

    def _new_executor(self) -> Executor:
        return Executor(
            self._mailboxes.executor,
            scheduler=self._mailboxes.scheduler,
            publisher=self._mailboxes.publisher,
            host=self._seams.host,
            server_environment=self._environ,
            runs_dir=self._runs_dir,
            files=self._seams.files,
            collectors=self._seams.collectors,
            clock=self._seams.clock,
        )

    def _new_scheduler(self) -> Scheduler:
        return Scheduler(
            self._mailboxes.scheduler,
            core=self._core,
            connection=self._connections.writing,
            runner=self._seams.writer,
            clock=self._seams.clock,
            executor=self._mailboxes.executor,
            publisher=self._mailboxes.publisher,
            reserve=self._reserve,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Context]:
        """Run the actors in this block; at its end stop them, commit, and close the database."""
        with self._connections.closing() as writing:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.context.files.run)
                await nursery.start(self.context.broadcaster.run)
                await nursery.start(self._supervisor.run)
                yield self.context
                self._supervisor.stop()
                await self._supervisor.stopped.wait()
                nursery.cancel_scope.cancel()
            # Do not wait for a reader that prevents it: it may read for hours. On a full disk there
            # is no space. In both cases the write-ahead log stays, and the next server reads it.
            writing.set_busy_timeout(0)
            with suppress(apsw.FullError):
                writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


async def serve(
    start: StartOptions, seams: Seams, writing: apsw.Connection, level: LogLevel
) -> None:
    """Serve until a signal, then shut down in order."""
    # Around everything, so that no program inherits an ignored SIGHUP.
    with trio.open_signal_receiver(signal.SIGHUP) as hangups:
        await serve_until_signal(
            start, Headway(start.settings, seams, os.environ, writing), level, hangups
        )
    log.info("stopped")


async def serve_until_signal(
    start: StartOptions, headway: Headway, level: LogLevel, hangups: AsyncIterator[int]
) -> None:
    """Open the port, serve requests until SIGTERM or SIGINT, shut down."""
    settings = start.settings
    async with headway.running() as context:
        listeners = listen(settings.server.host, settings.server.port)
        app = make_app(context)
        server = Server(app, app.accept)
        with end_signals() as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(server.run, listeners)
                context.ready.set()
                unconfigured.log_warnings(context)
                interpreter.switch_threads_often()
                sys.stderr.write(ready_line(url_of(listeners[0])))
                sys.stderr.flush()
                nursery.start_soon(complete_start, app)
                reloader = Reloader(context, start.source, level)
                nursery.start_soon(obey_hangups, hangups, context, reloader, start.terminal)
                nursery.start_soon(context.inspector.run, context.draining)
                await anext(signals)
                await shut_down(context, server, signals, detach=start.detach)


async def complete_start(app: App) -> None:
    """Load what the first requests do not need, then tune the garbage collector."""
    await app.complete()
    interpreter.keep_what_is_loaded()


def run(start: StartOptions, database: Future[apsw.Connection]) -> int:
    """Serve on the data directory, which is locked already, and return the exit status."""
    server = start.settings.server
    level = configure_logging(start.stream, server.log_format, server.log_level)
    directory = server.data_dir
    status = 0
    try:
        writing = database.result()
        with production_seams(directory, start.stream, start.umask) as seams:
            trio.run(serve, start, seams, writing, level)
    # Raise nothing in these blocks: Python 3.11.2 wraps it in a group, SystemExit too.
    except* (*REFUSED_AT_START, OSError, SupervisorGaveUp, StorageFailed) as group:
        status = print_errors(*map(error_text, leaves(group)))
    except* apsw.Error as group:
        status = print_errors(*(f"the database {directory}: {error}" for error in leaves(group)))
    except* KeyboardInterrupt:
        # Only while starting: once the port is open, `shut_down` handles the signal.
        status = print_errors("stopped while starting", status=130)
    return status


def error_text(error: BaseException) -> str:
    """The reason as a sentence for the operator."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
