"""Reading the configuration again while the server runs: what SIGHUP asks for.

The whole of it is read and checked first; a fault changes nothing. Job types, `[scheduler]` and the
log level are replaced, each run that was claimed before keeps its type; everything else keeps its
value until a restart, which is said.
"""

import signal
from collections.abc import AsyncIterator

import structlog
import trio

from actors import messages as m
from config.settings import ConfigurationError, Settings
from config.settings_source import SettingsSource
from headway.model.problem import Refusal
from web.context import Context
from web.process.log_config import LogLevel
from web.process.terminal import Terminal
from web.resources import unconfigured

LOOK_AGAIN_S = 1.0
"""Some shells hang up their children before they let go of the terminal."""

log = structlog.get_logger()


class Reloader:
    """Compares what is configured with what is in force, and replaces it."""

    def __init__(self, context: Context, source: SettingsSource, level: LogLevel) -> None:
        self._context = context
        self._source = source
        self._level = level
        self._in_force = context.settings

    async def reload(self) -> None:
        """Read everything again, and replace what may be replaced, or say why not."""
        try:
            # Reading and compiling schemas takes a while; this runner has nothing more urgent.
            wanted = await self._context.batch_runner.run(self._read)
        except ConfigurationError as error:
            for fault in error.faults:
                log.error("configuration fault", fault=str(fault))
            log.error("configuration not reloaded", faults=len(error.faults))
            return
        old, new = self._in_force, wanted
        kept = [key for key in differences(old, new) if needs_restart(key)]
        for key in kept:
            log.warning("setting needs a restart", key=key, in_force=value(old, key))
        changed = [key for key in differences(old, new) if key not in kept]
        try:
            await self._replace(wanted, changed)
        except Refusal as refusal:
            log.error("configuration not reloaded", why=str(refusal))
            return
        log.info("configuration reloaded", changed=changed, needs_restart=kept)
        unconfigured.log_warnings(self._context)

    def _read(self) -> Settings:
        """What is configured, with the data directory in force where it gets into a type."""
        wanted = self._source.read()
        data_dir = self._in_force.server.data_dir
        if wanted.server.data_dir == data_dir:
            return wanted
        job_types = self._source.read(data_dir).job_types
        return wanted.model_copy(update={"job_types": job_types})

    async def _replace(self, wanted: Settings, changed: list[str]) -> None:
        if not changed:
            return
        await self._context.ask(m.ReplaceSetup(setup=wanted.setup, changed=tuple(changed)))
        level = wanted.server.log_level
        self._level.set(level)
        server = self._in_force.server.model_copy(update={"log_level": level})
        self._in_force = wanted.model_copy(update={"server": server})


def differences(old: Settings, new: Settings) -> list[str]:
    """The keys whose values differ; of a job type the whole table is one."""
    keys = []
    for table in ("server", "scheduler"):
        before, after = getattr(old, table), getattr(new, table)
        names = type(after).model_fields
        keys += [f"{table}.{n}" for n in names if getattr(before, n) != getattr(after, n)]
    types = sorted(old.job_types.keys() | new.job_types.keys())
    keys += [f"job_types.{n}" for n in types if old.job_types.get(n) != new.job_types.get(n)]
    return keys


def needs_restart(key: str) -> bool:
    """Whether a running server keeps the old value."""
    return key.startswith("server.") and key != "server.log_level"


def value(settings: Settings, key: str) -> str:
    """The value of a key of [server]."""
    return str(getattr(settings.server, key.removeprefix("server.")))


async def obey_hangups(
    hangups: AsyncIterator[int], context: Context, reloader: Reloader, terminal: Terminal
) -> None:
    """On SIGHUP reload, or end as on SIGTERM if the terminal is lost. Until the server drains."""
    async with context.unless_draining():
        is_lost = terminal.is_lost  # while it was starting
        while not is_lost or goes_on_without(terminal):
            await anext(hangups)
            if not terminal.is_lost:
                await reloader.reload()
                await trio.sleep(LOOK_AGAIN_S if terminal.exists else 0)
            is_lost = terminal.is_lost
        signal.raise_signal(signal.SIGTERM)


def goes_on_without(terminal: Terminal) -> bool:
    """Whether a server that has lost its terminal goes on: from now on as if it had none."""
    log.warning("terminal lost", goes_on=not terminal.is_needed)
    terminal.exists = False
    return not terminal.is_needed
