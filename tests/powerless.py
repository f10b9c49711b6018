"""Run calls without root's power over files, so that modes count where tests run as root."""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

import outcome

T = TypeVar("T")

VERSION_3 = 0x20080522
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
_libc = ctypes.CDLL(None, use_errno=True)


def powerless(call: Callable[[], T]) -> T:
    """The result of `call`, made on a thread of its own: capabilities belong to a thread."""
    results: list[outcome.Outcome[T]] = []

    def work() -> None:
        drop()
        results.append(outcome.capture(call))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return results[0].unwrap()


def drop() -> None:
    """Remove the capabilities that ignore file modes from this thread and its children."""
    header = (ctypes.c_uint32 * 2)(VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    _check(_libc.capget(header, data))
    mask = ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH) & 0xFFFFFFFF
    for n in range(3):  # effective, permitted, inheritable
        data[n] &= mask
    _check(_libc.capset(header, data))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
