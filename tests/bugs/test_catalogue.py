"""Each seeded bug can still be planted, and is looked for by tests that are there."""

from pathlib import Path

import pytest

from tests.bugs.catalogue import BUGS, Bug

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    assert (ROOT / bug.file).read_text(encoding="utf-8").count(bug.before) == 1
    assert [test for test in bug.tests if not (ROOT / test.partition("::")[0]).exists()] == []
