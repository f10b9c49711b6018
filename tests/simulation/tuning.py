"""Tuning of a process that simulates: garbage collection, and SQLite."""

import gc

import apsw

LOOKASIDE = (1_200, 1_000)
"""Bytes of a small piece of memory, and how many a connection has at hand."""


def keep_what_is_loaded() -> None:
    """Exclude everything loaded so far from the collections between worlds."""
    gc.freeze()


def start_world() -> None:
    """Collect no garbage in a world: there is little, and looking for it cost 5 %."""
    gc.disable()


def end_world() -> None:
    """Permit garbage collection again."""
    gc.enable()


def collect_world() -> None:
    """Collect the garbage of a world that has ended."""
    gc.collect()


def lighten_sqlite() -> None:
    """For a process that does nothing but worlds, or failing transactions: 8 % of one.

    No locks, since all is one thread. More memory at hand, since a connection plans some 40
    statements, runs most of them once, and is closed.
    """
    apsw.shutdown()
    apsw.config(apsw.SQLITE_CONFIG_SINGLETHREAD)
    apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, *LOOKASIDE)
    apsw.initialize()
