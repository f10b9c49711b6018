"""The server, put together: seams, actors, and its life. The only file that knows every layer.

A life: lock the data directory, migrate, start the actors (which settle what an earlier life left
running), open the port; on SIGTERM or SIGINT close it, answer what is in flight, wait for the
programs, end those that take longer than the grace, write the last commit, exit 0.
"""

import gc
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import apsw
import structlog
import trio

from actors.actor import Mailbox
from actors.clock import Clock, SystemClock
from actors.event_buffer import EventBuffer
from actors.executor import Executor
from actors.host.cgroup import find_cgroup_root
from actors.host.free_space import FreeSpace, Space
from actors.host.heap import return_large_blocks
from actors.host.inotify import FileWatcher
from actors.host.linux_host import LinuxHost
from actors.host.process import Host
from actors.identity import Identity, Ids
from actors.inspector import Inspector
from actors.rules.core import Core
from actors.runner import InlineRunner, Pool, ThreadPool, ThreadRunner
from actors.scheduler import Scheduler
from actors.stats import Stats
from actors.storage_watch import StorageWatch
from actors.supervisor import Child, Supervisor, SupervisorGaveUp
from actors.tally import Tally
from config.settings import Settings
from config.settings_source import SettingsSource
from headway.terminal_text import complain
from storage.damage import checked_at_once
from storage.database import DATABASE_NAME, Runner, open_reader, open_writer
from storage.disk_reserve import RESERVE_BYTES, RESERVE_NAME, Reserve
from storage.errors import (
    DamagedDatabase,
    DataDirectoryInUse,
    ExposedDirectory,
    NewerDatabase,
    StorageFailed,
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Seams:
    """All that production and simulation do differently, and nothing else."""

    clock: Clock
    random_bytes: Callable[[int], bytes]
    writer: Runner
    readers: tuple[Runner, ...]
    batches: Runner
    files: Pool
    collectors: Pool
    checker: Runner
    host: Host
    vfs: str | None = None
    bodies: Runner = field(default_factory=InlineRunner)
    reserve_bytes: int = RESERVE_BYTES
    statvfs: Callable[[Path], Space] = os.statvfs
    log_lines_dropped: Callable[[], int] = int  # 0


@contextmanager
def production_seams(data_dir: Path, stream: LogStream, umask: int) -> Iterator[Seams]:
    """The host's clock and randomness, real threads and real processes."""
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
class Start:
    """What a process was started with, beside its database. `umask`: what programs start with."""

    settings: Settings
    source: SettingsSource
    stream: LogStream
    terminal: Terminal
    umask: int
    detach: bool


class Headway:
    """One life of the server without its port: the actors, and what the web layer asks."""

    def __init__(
        self,
        settings: Settings,
        seams: Seams,
        environ: Mapping[str, str],
        writing: apsw.Connection | None = None,
    ) -> None:
        """`writing`: what `open_writer` has opened already."""
        data_dir = settings.server.data_dir
        runs_dir = data_dir / "runs"
        runs_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = data_dir / DATABASE_NAME
        self._connections = ExitStack()
        self._writing = open_writer(path, vfs=seams.vfs) if writing is None else writing
        open_another = partial(open_reader, vfs=seams.vfs)
        reader, *others = (open_another(path) for _ in (None, *seams.readers))
        for connection in (self._writing, *others, reader):
            self._connections.callback(connection.close)
        quick, *long = map(Reader, others, seams.readers)
        reserve = Reserve(data_dir / RESERVE_NAME, seams.reserve_bytes)
        ids = Ids(seams.clock, seams.random_bytes)
        scheduler, executor, stats = (
            Mailbox(name, MAILBOX_MESSAGES_MAX) for name in ("scheduler", "executor", "stats")
        )
        core = Core(
            setup=settings.setup,
            identity=Identity(boot_id=seams.host.boot_id, server_id=ids("srv")),
            new_id=ids,
            shortage=FreeSpace(data_dir, seams.statvfs).shortage,
        )
        events, draining, request_priority = EventBuffer(), trio.Event(), RequestPriority()
        self.context = Context(
            settings=settings,
            core=core,
            scheduler=scheduler,
            stats=stats,
            events=events,
            broadcaster=Broadcaster(events, draining, request_priority),
            request_priority=request_priority,
            draining=draining,
            clock=seams.clock,
            files=FileWatcher(),
            reader=reader,
            reads=Reads(quick, long, timeout_s=settings.server.read_timeout_s, draining=draining),
            file_pool=seams.files,
            batch_runner=seams.batches,
            body_runner=seams.bodies,
            runs_dir=runs_dir,
            started_at=seams.clock.now(),
            log_lines_dropped=seams.log_lines_dropped,
            storage=StorageWatch(path),
            tally=Tally(),
            inspector=Inspector(
                path,
                open_reader=open_another,
                runner=seams.checker,
                scheduler=scheduler,
                clock=seams.clock,
                checked_at=seams.clock.now() if checked_at_once(self._writing) else None,
            ),
        )
        # In the order of starting: nobody is told anything before he listens.
        self._supervisor = Supervisor(
            [
                Child(
                    "stats",
                    stats,
                    lambda: Stats(
                        stats,
                        events=self.context.events,
                        clock=seams.clock,
                        reader=reader,
                        storage=self.context.storage,
                        tally=self.context.tally,
                        types=list(core.setup.job_types),
                    ),
                ),
                Child(
                    "executor",
                    executor,
                    lambda: Executor(
                        executor,
                        scheduler=scheduler,
                        stats=stats,
                        host=seams.host,
                        server_environment=environ,
                        runs_dir=runs_dir,
                        files=seams.files,
                        collectors=seams.collectors,
                        clock=seams.clock,
                    ),
                ),
                Child(
                    "scheduler",
                    scheduler,
                    lambda: Scheduler(
                        scheduler,
                        core=core,
                        connection=self._writing,
                        runner=seams.writer,
                        clock=seams.clock,
                        executor=executor,
                        stats=stats,
                        reserve=reserve,
                    ),
                ),
            ],
            fatal=(StorageFailed,),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Context]:
        """The actors live in this block. Leaving it stops them, writes the last, and closes."""
        with self._connections:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.context.files.run)
                await nursery.start(self.context.broadcaster.run)
                await nursery.start(self._supervisor.run)
                yield self.context
                self._supervisor.stop()
                await self._supervisor.stopped.wait()
                nursery.cancel_scope.cancel()
            # Not waited for: a reader that is in its way may read for hours, and on a full disk
            # there is no space. The log stays as it is then, and the next server reads it.
            self._writing.set_busy_timeout(0)
            with suppress(apsw.FullError):
                self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


async def serve(start: Start, seams: Seams, writing: apsw.Connection, level: LogLevel) -> None:
    """One whole life of the server, from the open port to the last commit."""
    # Around all, so that no program inherits that it is ignored.
    with trio.open_signal_receiver(signal.SIGHUP) as hangups:
        await live(start, Headway(start.settings, seams, os.environ, writing), level, hangups)
    log.info("stopped")


async def live(
    start: Start, headway: Headway, level: LogLevel, hangups: AsyncIterator[int]
) -> None:
    """Open the port, answer until a signal, shut down."""
    settings = start.settings
    async with headway.running() as context:
        listeners = listen(settings.server.host, settings.server.port)
        app = make_app(context)
        server = Server(app, app.at_once)
        with end_signals() as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(server.run, listeners)
                context.ready.set()
                unconfigured.log_warnings(context)
                # Beside batches it took a POST's p99 from 2.3 to 0.3 s, a GET's median to 0.7 ms.
                sys.setswitchinterval(0.000_1)
                sys.stderr.write(ready_line(url_of(listeners[0])))
                sys.stderr.flush()
                nursery.start_soon(complete, app)
                reloader = Reloader(context, start.source, level)
                nursery.start_soon(obey_hangups, hangups, context, reloader, start.terminal)
                nursery.start_soon(context.inspector.run, context.draining)
                await anext(signals)
                await shut_down(context, server, signals, detach=start.detach)


async def complete(app: App) -> None:
    """What a server needs to live long, and nobody has to wait for at its start."""
    await app.complete()
    # What stands now stands for the life of the server: p99 went from 25 to 15 ms. The garbage that
    # is kept with it (3,000 objects of the imports) costs less than 40 ms of looking for it.
    gc.freeze()
    gc.enable()
    # Of the young, few enough that a look at them takes 3 ms at most.
    gc.set_threshold(10_000, 100, 20)


def run(start: Start, database: Future[apsw.Connection]) -> int:
    """What `headway serve` does with a data directory that it holds; the exit status."""
    return_large_blocks()
    server = start.settings.server
    level = configure_logging(start.stream, server.log_format, server.log_level)
    directory = server.data_dir
    status = 0
    try:
        writing = database.result()
        with production_seams(directory, start.stream, start.umask) as seams:
            trio.run(serve, start, seams, writing, level)
    # Nothing is raised in these blocks: Python 3.11.2 puts it in a group, SystemExit too.
    except* (*REFUSED_AT_START, OSError, SupervisorGaveUp, StorageFailed) as group:
        status = complain(*map(told, leaves(group)))
    except* apsw.Error as group:
        status = complain(*(f"the database {directory}: {error}" for error in leaves(group)))
    except* KeyboardInterrupt:
        # Before the port was open, nothing had begun; afterwards the signal is `shut_down`'s.
        status = complain("stopped while starting", status=130)
    return status


def told(error: BaseException) -> str:
    """An error as a sentence for the operator."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
