"""Collect what runs leave: at once where that is quick, otherwise later, on threads of its own.

What is not done at once is recorded in the database; when that is on disk the scheduler requests it
with `CollectRun`. Therefore it is completed after any crash. Nothing here changes how a run has
ended, or delays a run, a slot or a shutdown.

Invariants: nothing that was listed is removed before its listing is on disk. Errors caused by files
of a program do not leave this module: they are the `reason` of that run's collection.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
import trio

from actors.actor import Mailbox
from actors.host import process_tree
from actors.messages import RunCollected
from actors.run.collection import Listing, list_artifacts, remove_beyond
from actors.run.run_files import Remains
from actors.run.trash import Removal, Trash
from actors.runner import Pool, StopFlag
from config.run_limits import KeepLimits
from headway.model.artifact import Artifact
from headway.model.run import RunError, RunStatus
from storage.collections import Unfinished
from storage.runs import NOT_COUNTED, TOO_MUCH_LEFT, Outcome

QUICK_S = 0.05
"""How long the end of a run waits for its artifacts, so that most are there when it is reported."""

COUNT_S = 10.0
"""How long the end of a run waits for them where its status depends on them
(`on_artifact_limit`).
"""

STOPPED_COUNT_S = 0.5
"""`COUNT_S` for a run that was asked to end."""

LIST_S = 60.0
CHECKSUMS_S = 600.0
"""The limits for one run; a checksum that is missing by then stays null."""

SECOND_QUICK_S = 0.5
"""A small collection that was only late does not queue behind those that take minutes."""

LISTED_AT_ONCE = SLOW_AT_ONCE = 2
"""With the trash, fewer than the threads of the pool, so that the ends of runs do not wait."""

LOOK_AGAIN_S = 5.0
REASON_CHARACTERS_MAX = 1_000

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class Collector:
    """Collects for all runs. `pool` reads files; it needs more than two threads."""

    pool: Pool
    trash: Trash
    scheduler: Mailbox
    runs_dir: Path
    _slow: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(SLOW_AT_ONCE))
    _late: trio.CapacityLimiter = field(
        default_factory=lambda: trio.CapacityLimiter(LISTED_AT_ONCE)
    )
    _in_care: set[str] = field(default_factory=set)
    _is_full: trio.Event = field(default_factory=trio.Event)

    # ---- at the end of a run -----------------------------------------------------------------

    async def collect_into(
        self,
        outcome: Outcome,
        run_id: str,
        remains: Remains,
        limits: KeepLimits,
        hurry: trio.Event | None,
    ) -> Outcome:
        """Add the artifacts that are quick to collect.

        `hurry` is set when the run is asked to end; if it is given, the run fails beyond the
        limits.
        """
        if not remains.has_artifacts and remains.work is None:
            return replace(outcome, collection_reason=reason_of(None, remains.faults))
        if hurry is not None and remains.has_artifacts and outcome.status is not RunStatus.FAILED:
            error = await self._excess(run_id, limits, hurry)
            if error is not None:
                outcome = replace(outcome, status=RunStatus.FAILED, error=error)
        listing = await self.collect_at_once(run_id, remains, limits)
        if listing is None:
            outcome = replace(outcome, collecting="unlisted")
            return replace(outcome, collection_reason=reason_of(None, remains.faults))
        return replace(
            outcome,
            artifacts=listing.artifacts,
            collecting="listed" if listing.exceeds else "done",
            collection_reason=reason_of(None, [*remains.faults, *listing.faults]),
        )

    async def collect_at_once(
        self, run_id: str, remains: Remains, limits: KeepLimits, within_s: float = QUICK_S
    ) -> Listing | None:
        """List the artifacts with checksums, and remove the working directory.

        None: that takes longer, and must be done later.
        """
        listing: Listing | None = None if remains.has_artifacts else Listing()
        is_removed = remains.work is None
        run = self.runs_dir / run_id
        with trio.move_on_after(within_s):
            if listing is None:
                work = partial(list_artifacts, run, limits, digests={})
                listing = await self._attempt(run_id, lambda stop: work(stop=stop))
            if remains.work is not None and listing is not None:
                removal = await self._remove(remains.work)
                is_removed = removal is not None and not removal.more
                listing = replace(listing, faults=(*listing.faults, *_faults_of(removal)))
        if not is_removed:
            self._is_full.set()
        return listing

    async def _excess(self, run_id: str, limits: KeepLimits, hurry: trio.Event) -> RunError | None:
        """The error of a run whose artifacts must be within the limits; None: they are.

        Its status depends on them, so its end waits for them, but only briefly once `hurry` is set.
        """
        listing: Listing | None = None

        async def shorten() -> None:
            await hurry.wait()
            await trio.sleep(STOPPED_COUNT_S)
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(shorten)
            work = partial(list_artifacts, self.runs_dir / run_id, limits)
            listing = await self._within(COUNT_S, run_id, work)
            nursery.cancel_scope.cancel()
        if listing is not None and listing.exceeds:
            return TOO_MUCH_LEFT
        return None if listing is not None and not listing.faults else NOT_COUNTED

    async def _remove(self, name: str) -> Removal | None:
        try:
            return await self.pool.run(partial(self.trash.remove, name))
        except OSError as error:
            log.warning("working directory not removed", why=str(error))
            return None

    async def _attempt(self, run_id: str, work: Callable[[StopFlag], Listing]) -> Listing | None:
        """The listing, or one with the reason why it failed. None: no descriptor was free."""
        try:
            return await self.pool.run(work)
        except FileNotFoundError:
            return _failed("its directory is not there any more")
        except OSError as error:
            if error.errno in process_tree.SCARCE:
                return None
            return _failed(f"its artifacts cannot be read: {error.strerror}")
        except Exception:
            # Raised, it would be requested again at each start, and end each server.
            log.exception("artifacts not collected", run_id=run_id)
            return _failed("headway failed to collect its artifacts: see its log")

    # ---- later -------------------------------------------------------------------------------

    async def collect(self, order: Unfinished, limits: KeepLimits) -> None:
        """List what was not listed; or remove what is beyond the limits, and add the checksums."""
        if order.run_id in self._in_care:
            return
        self._in_care.add(order.run_id)
        try:
            if order.listed:
                async with self._slow:
                    collected = await self._finish(order, limits)
            else:
                async with self._late:
                    collected = await self._list(order, limits)
        finally:
            self._in_care.discard(order.run_id)
        await self.scheduler.tell(collected)

    async def _list(self, order: Unfinished, limits: KeepLimits) -> RunCollected:
        run = self.runs_dir / order.run_id
        listing = await self._within(LIST_S, order.run_id, partial(list_artifacts, run, limits))
        if listing is None:
            listing = _failed(f"its artifacts could not be listed within {LIST_S:g} s")
        more = not listing.failed
        if more and not listing.exceeds:
            check = partial(list_artifacts, run, limits, digests={})
            checked = await self._within(SECOND_QUICK_S, order.run_id, check)
            if checked is not None and not checked.failed and not checked.exceeds:
                listing, more = checked, False
        return RunCollected(
            run_id=order.run_id,
            artifacts=listing.artifacts,
            reason=reason_of(order.reason, listing.faults),
            more=more,
        )

    async def _finish(self, order: Unfinished, limits: KeepLimits) -> RunCollected:
        run = self.runs_dir / order.run_id
        remove = partial(remove_beyond, run, limits, trash=self.trash)
        listing = await self._within(LIST_S, order.run_id, remove) or _failed(
            f"its artifacts could not be looked through within {LIST_S:g} s"
        )
        self._is_full.set()
        digests: dict[str, str] = {}
        check = partial(list_artifacts, run, limits, digests=digests)
        checked = await self._within(CHECKSUMS_S, order.run_id, check) or _failed(
            f"the checksums were not complete after {CHECKSUMS_S:g} s"
        )
        faults = [*listing.faults, *checked.faults] if listing.failed else checked.faults
        # If nothing new could be read, the earlier listing stands.
        whole = next((one for one in (checked, listing) if not one.failed), None)
        if whole is None:
            return RunCollected(run_id=order.run_id, reason=reason_of(order.reason, faults))
        kept = whole.kept
        if whole is not checked:  # with what was read of it; 10,000 copies take 20 ms
            kept = await self.pool.run(lambda _: _with_digests(kept, digests))
        return RunCollected(
            run_id=order.run_id,
            artifacts=(*kept, *_together(order.not_kept, listing.not_kept, checked.not_kept)),
            reason=reason_of(order.reason, faults),
        )

    async def _within(
        self, limit_s: float, run_id: str, work: Callable[[StopFlag], Listing]
    ) -> Listing | None:
        """The listing. None: it took longer than the limit."""
        while True:
            listing = None
            with trio.move_on_after(limit_s) as scope:
                listing = await self._attempt(run_id, work)
            if listing is not None or scope.cancelled_caught:
                return listing
            await trio.sleep(LOOK_AGAIN_S)  # until descriptors are free

    # ---- what goes ---------------------------------------------------------------------------

    async def empty_trash(self) -> None:
        """Remove what was put aside, also by an earlier server. Runs until cancelled."""
        self._is_full.set()
        while True:
            await self._is_full.wait()
            self._is_full = trio.Event()
            try:
                removal = await self.pool.run(self.trash.empty)
            except OSError as error:
                log.warning("files of ended runs not removed", why=str(error))
                await self._look_again()
            except Exception:
                # The server does not depend on the removal.
                log.exception("files of ended runs not removed")
                await self._look_again()
            else:
                if removal.left:
                    log.warning("files not removed", left=removal.left, why=removal.why)

    async def _look_again(self) -> None:
        await trio.sleep(LOOK_AGAIN_S)
        self._is_full.set()


def reason_of(known: str | None, faults: Iterable[str]) -> str | None:
    """The reasons why a collection is incomplete, joined. None: it is complete."""
    reasons = [known] if known else []
    reasons += [fault for fault in faults if known is None or fault not in known]
    return "; ".join(dict.fromkeys(reasons))[:REASON_CHARACTERS_MAX] or None


def _with_digests(kept: tuple[Artifact, ...], digests: dict[str, str]) -> tuple[Artifact, ...]:
    return tuple(one.model_copy(update={"sha256": digests.get(one.name)}) for one in kept)


def _failed(why: str) -> Listing:
    return Listing(faults=(why,), failed=True)


def _together(*listings: tuple[Artifact, ...]) -> list[Artifact]:
    """The files that are not kept, of all listings: the limits may have changed between them."""
    by_name = {one.name: one for listing in listings for one in listing}
    return [by_name[name] for name in sorted(by_name)]


def _faults_of(removal: Removal | None) -> list[str]:
    if removal is None or not removal.left:
        return []
    return [f"{removal.left} names of its working directory stay on the disk ({removal.why})"]
