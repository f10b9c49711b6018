"""The scheduler in the rules: start, stop, configure, drain, and note what blocks starts."""

from actors import messages as m
from actors.actor import Message
from actors.rules.context import RuleContext
from actors.rules.noun import Noun
from headway.model.scheduler import SchedulerConfig
from storage import reservations, scheduler
from storage.errors import StorageFailed
from storage.transaction import Transaction


def start(tx: Transaction, _: RuleContext, __: m.StartScheduler) -> None:
    """Let Jobs start."""
    scheduler.set_running(tx, True)


def stop(tx: Transaction, _: RuleContext, __: m.StopScheduler) -> None:
    """Let no Job start."""
    scheduler.set_running(tx, False)


def configure(
    tx: Transaction, context: RuleContext, message: m.ConfigureScheduler
) -> SchedulerConfig:
    """Set the slots and the limits of types over HTTP."""
    if message.set_concurrency:
        scheduler.override_concurrency(tx, message.concurrency)
    for type_name, limit in message.types.items():
        scheduler.override_type_limit(tx, type_name, limit)
    config = context.setup.in_force(tx.connection)
    tx.emit("scheduler.configured", concurrency=config.concurrency, types=config.types)
    return config


def replace_setup(
    tx: Transaction, context: RuleContext, message: m.ReplaceSetup
) -> SchedulerConfig:
    """Go on with another configuration; end direct claims of types that are gone."""
    context.setup = message.setup
    config = context.setup.in_force(tx.connection)
    tx.emit(
        "server.reloaded",
        concurrency=config.concurrency,
        types=config.types,
        changed=message.changed,
    )
    for reservation_id, type_name, _ in reservations.waiting_reservations(tx.connection):
        if type_name is not None and type_name not in context.setup.job_types:
            reservations.end(tx, reservation_id, f"{type_name} is no longer configured")
    return config


def drain(tx: Transaction, context: RuleContext, _: m.Drain) -> None:
    """Start nothing more in this life of the server."""
    context.draining = True
    reservations.end_direct(tx, "the server is shutting down")


def note_blocked(_: Transaction, context: RuleContext, message: m.StartsBlocked) -> None:
    """Remember why claimed runs do not begin."""
    context.note_blocked(message.reason, message.run_ids)


def fail(_: Transaction, __: RuleContext, message: m.StorageBroke) -> None:
    """Crash: a reader cannot read the database."""
    raise StorageFailed(message.why)


def do_nothing(_: Transaction, __: RuleContext, ___: Message) -> None:
    """The transaction and the dispatch around it are what was wanted."""


def recover(tx: Transaction, context: RuleContext) -> None:
    """Note the life that begins, and the limits in force."""
    config = context.setup.in_force(tx.connection)
    tx.emit(
        "server.started",
        server_id=context.identity.server_id,
        concurrency=config.concurrency,
        types=config.types,
    )


NOUN = Noun(
    handlers={
        m.StartScheduler: start,
        m.StopScheduler: stop,
        m.ConfigureScheduler: configure,
        m.ReplaceSetup: replace_setup,
        m.Drain: drain,
        m.StartsBlocked: note_blocked,
        m.StorageBroke: fail,
        m.Probe: do_nothing,
        m.TimerFired: do_nothing,
    },
    recover=recover,
)
