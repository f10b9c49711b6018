"""Tuning of the interpreter and of the C library: garbage collection, threads, memory.

All of it is here, in the order of a server's start; `headway serve` and the benchmarks that imitate
it call it.
"""

import ctypes
import gc
import sys
from contextlib import suppress

M_MMAP_THRESHOLD = -3
"""<malloc.h>, see mallopt(3)."""
LARGE_BYTES = 256 * 1024
SWITCH_INTERVAL_S = 0.000_1
"""Python's default is 5 ms."""
GC_THRESHOLDS = (10_000, 100, 20)
"""Young objects few enough that one collection of them takes 3 ms at most."""


def prepare_imports() -> None:
    """Stop garbage collection while modules are imported, and return freed memory to the system.

    Nothing that an import makes is garbage; looking for some took a tenth of the start.
    """
    gc.disable()
    return_large_blocks()


def return_large_blocks() -> None:
    """Return each large block of memory to the system when it is freed.

    glibc would raise its threshold to 32 MiB step by step and keep smaller blocks: a server that
    has read a few large bodies would stay larger by several times their size.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def switch_threads_often() -> None:
    """Let the event loop interrupt a thread that computes after 0.1 ms.

    During batches this took the p99 of `POST /jobs` from 2.3 to 0.3 s, a GET's median to 0.7 ms.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)


def keep_what_is_loaded() -> None:
    """Exclude everything loaded so far from garbage collection, and start collecting.

    It took the p99 of a request from 25 to 15 ms. The garbage that is kept with it (3,000 objects
    of the imports) costs less than the 40 ms that it would take to find it.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GC_THRESHOLDS)
