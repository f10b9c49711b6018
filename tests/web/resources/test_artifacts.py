"""What kind of file an artifact is said to be."""

import pytest

from web.resources.artifacts import guess_type


@pytest.mark.parametrize(
    ("name", "media"),
    [
        ("a.md", "text/plain; charset=utf-8"),
        ("A.PNG", "image/png"),
        ("a.json", "application/json"),
        ("a.html", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
        ("a.js", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_nothing_that_could_run_is_shown(name: str, media: str) -> None:
    assert guess_type(name) == media
