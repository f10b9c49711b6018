"""The library: names that are safe, files that are whole."""

from pathlib import Path

import pytest

from pipelines.library import Library, library_root, slug, write_whole
from pipelines.program import BadInput


def test_the_option_goes_before_the_environment(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert library_root("here") == Path("here")
    assert library_root(None) == library
    monkeypatch.setenv("PIPELINES_LIBRARY", "")
    assert library_root(None) == Path("library")


def test_a_library_that_cannot_be_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be used"):
        Library(tmp_path / "file" / "library")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("What Daniel Wanted", "what-daniel-wanted"),
        ("St. Brannoc\u2019s", "st-brannocs"),
        ("Café ../../x", "cafe-x"),
        ("등대", "fallback"),
        ("", "fallback"),
        ("a" * 100, "a" * 60),
    ],
)
def test_a_slug_is_safe(text: str, name: str) -> None:
    assert slug(text, "fallback") == name


def test_a_file_is_replaced_whole_and_leaves_no_draft(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.md", "old")
    with (tmp_path / "a.md").open() as reader:
        write_whole(tmp_path / "a.md", "새 글\n")
        assert reader.read() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
    assert (tmp_path / "a.md").read_bytes() == "새 글\n".encode()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.md", "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(tmp_path / "a.md", "new" * 10_000 + "\ud800")
    assert [path.name for path in tmp_path.iterdir()] == ["a.md"]
    assert (tmp_path / "a.md").read_text() == "old"
