"""headway with a clock in its event loop: python -m bench.turns FILE serve …

The same program with an instrument of Trio's that records how long each turn of the loop takes:
from when the kernel has reported what is ready to when it is asked again. In parallel a task wakes
up a thousand times a second and records how late it was: a thread that holds the interpreter's lock
delays the loop's next turn, and no turn shows that. The longest of both is in FILE, in seconds, for
each process that maps it; writing 0 there starts again.
"""

import mmap
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from struct import Struct
from time import perf_counter
from typing import Any

import trio

NUMBER = Struct("d")
TICK_S = 0.001


class Cell:
    """One number that is shared by all processes that open the same file, which is made if
    needed.
    """

    def __init__(self, path: Path) -> None:
        with path.open("a+b") as file:
            file.truncate(NUMBER.size)
            self._shared = mmap.mmap(file.fileno(), NUMBER.size)

    def read(self) -> float:
        """The number."""
        value: float = NUMBER.unpack(self._shared)[0]
        return value

    def write(self, value: float) -> None:
        """Set the number."""
        NUMBER.pack_into(self._shared, 0, value)

    def raise_to(self, value: float) -> None:
        """Set the number, if it is larger."""
        if value > self.read():
            self.write(value)


class Turns(trio.abc.Instrument):
    """Keeps the longest turn."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._begin = perf_counter()

    def after_io_wait(self, timeout: float) -> None:
        """Start of a turn."""
        self._begin = perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        """End of a turn."""
        self._cell.raise_to(perf_counter() - self._begin)


async def tick(cell: Cell) -> None:
    """Keep the longest delay of the loop."""
    while True:
        due = perf_counter() + TICK_S
        await trio.sleep(TICK_S)
        cell.raise_to(perf_counter() - due)


def run_with(cell: Cell) -> Callable[..., Any]:
    """`trio.run`, with a clock."""
    run = trio.run

    def run_it(main: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        async def beside() -> Any:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(tick, cell)
                result = await main(*arguments)
                nursery.cancel_scope.cancel()
            return result

        return run(beside, instruments=[Turns(cell)])

    return run_it


def main() -> None:
    """Run the process."""
    from headway.__main__ import main as headway

    trio.run = run_with(Cell(Path(sys.argv.pop(1))))  # type: ignore[assignment]
    headway()


if __name__ == "__main__":
    main()
