"""How much of what a run leaves is looked at."""

import pytest

from config.run_limits import NAMES_MAX, KeepLimits


@pytest.mark.parametrize(
    ("files", "names"), [(1, NAMES_MAX), (10_000, NAMES_MAX), (50_000, 500_000)]
)
def test_ten_times_as_many_names_as_files_are_looked_at(files: int, names: int) -> None:
    assert KeepLimits(files=files).names == names
