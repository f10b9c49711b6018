"""Standard input, output and error of a process that was started without one of them."""

import os
import sys


def occupy_standard_descriptors() -> None:
    """Open /dev/null where descriptor 0, 1 or 2 is closed, before the database gets its number."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(fd, True)
            setattr(sys, name, open(fd, mode, closefd=False))  # noqa: SIM115 - for ever
