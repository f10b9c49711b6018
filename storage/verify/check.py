"""What a noun adds to the invariants: checks by name, each a sentence for every breach it finds."""

from collections.abc import Callable, Iterator, Mapping

import apsw

Check = Callable[[apsw.Connection], Iterator[str]]
Checks = Mapping[str, tuple[Check, ...]]
"""By invariant. Several nouns may add checks to one."""
