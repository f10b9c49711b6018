"""Reload the configuration on SIGHUP, while the server runs.

The whole configuration is read and checked first; a fault changes nothing. Job types, `[scheduler]`
and the log level are replaced, and each run that was claimed before keeps its type; every other
setting keeps its value until a restart, with a warning in the log.
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
"""Some shells send SIGHUP to their children before they release the terminal."""

log = structlog.get_logger()


class Reloader:
    """Compares the configuration with the one in force, and replaces it."""

    def __init__(self, context: Context, source: SettingsSource, level: LogLevel) -> None:
        self._context = context
        self._source = source
        self._level = level
        self._in_force = context.settings

    async def reload(self) -> None:
        """Read the configuration, and replace what a running server can replace. Logs faults."""
        try:
            # Reading and compiling schemas takes long; nothing on this runner is more urgent.
            wanted = await self._context.batch_runner.run(self._read)
        except ConfigurationError as error:
            for fault in error.faults:
                log.error("configuration fault", fault=str(fault))
            log.error("configuration not reloaded", faults=len(error.faults))
            return
        old, new = self._in_force, wanted
        kept = [key for key in differences(old, new) if needs_restart(key)]
        for key in kept:
            log.warning("setting kept until restart", key=key, in_force=value(old, key))
        changed = [key for key in differences(old, new) if key not in kept]
        try:
            await self._replace(wanted, changed)
        except Refusal as refusal:
            log.error("configuration not reloaded", why=str(refusal))
            return
        log.info("configuration reloaded", changed=changed, needs_restart=kept)
        unconfigured.log_warnings(self._context)

    def _read(self) -> Settings:
        """The configuration; a data directory inside a job type is the one in force."""
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
    """Reload on each SIGHUP until the server drains; end as on SIGTERM if the terminal is lost."""
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
    """Whether a server that has lost its terminal goes on, from now on as if it had had none."""
    log.warning("terminal lost", goes_on=not terminal.is_needed)
    terminal.exists = False
    return not terminal.is_needed
