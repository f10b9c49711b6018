"""headway with a clock in its event loop: python -m bench.turns FILE serve …

The same program, run by Trio with an instrument that notes how long each turn of the loop takes:
from when the kernel has said what is ready to when it is asked again. The longest turn stands in
FILE, in seconds, for each process that maps it; writing 0 there begins anew.
"""

import mmap
import sys
from functools import partial
from pathlib import Path
from struct import Struct
from time import perf_counter

import trio

NUMBER = Struct("d")


class Cell:
    """One number that all processes share which open the same file; it is made if need be."""

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(NUMBER.size)
            self._shared = mmap.mmap(file.fileno(), NUMBER.size)

    def read(self) -> float:
        """The number."""
        value: float = NUMBER.unpack(self._shared)[0]
        return value

    def write(self, value: float) -> None:
        """Another number."""
        NUMBER.pack_into(self._shared, 0, value)


class Turns(trio.abc.Instrument):
    """Keeps the longest turn in a cell of shared memory."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._begin = perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        """A turn begins."""
        self._begin = perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        """It ends."""
        took = perf_counter() - self._begin
        if took > self._cell.read():
            self._cell.write(took)


def main() -> None:
    """The process."""
    from headway import main as headway

    path = Path(sys.argv.pop(1))
    with_a_clock = partial(trio.run, instruments=[Turns(Cell(path))])
    trio.run = with_a_clock  # type: ignore[assignment]
    headway()


if __name__ == "__main__":
    main()
