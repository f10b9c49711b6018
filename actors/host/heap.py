"""How the C library keeps memory that is not needed any more."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3
"""<malloc.h>, see mallopt(3)."""
LARGE_BYTES = 256 * 1024


def return_large_blocks() -> None:
    """Give each large block back to the system when it is freed.

    glibc would raise its threshold to 32 MiB by and by, and keep what lies below it: a server that
    has read a few large bodies stays larger by several times their size.
    """
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
