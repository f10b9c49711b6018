"""Sources: which files are read, and how text becomes passages."""

import os
from pathlib import Path

import pytest

from pipelines import source
from pipelines.program import BadInput
from pipelines.source import (
    DOCUMENTS,
    PASSAGE_LIMIT_CHARS,
    Sources,
    files_under,
    parts,
    passages,
    read_text,
    title_of,
)

LONG = (
    "A paragraph that is long enough to be a passage, since short ones say nothing by themselves."
)


def test_paragraphs_are_passages_and_headings_are_not() -> None:
    text = f"# {LONG}\n\n{LONG}\nIt goes on.\n\nShort.\r\n\r\n> {LONG}\n\n---\n\n*{LONG}*\n"
    assert list(passages(text)) == [f"{LONG} It goes on.", LONG]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    paragraph = " ".join(f"Sentence {n} is here." for n in range(200))
    pieces = list(parts(paragraph))
    assert " ".join(pieces) == paragraph
    assert all(len(piece) <= PASSAGE_LIMIT_CHARS and piece.endswith(".") for piece in pieces)


@pytest.mark.parametrize("paragraph", ["word " * 1000, "x" * 5000])
def test_a_paragraph_without_sentences_is_cut_all_the_same(paragraph: str) -> None:
    pieces = list(parts(paragraph.strip()))
    assert max(map(len, pieces)) <= PASSAGE_LIMIT_CHARS
    assert "".join(pieces).replace(" ", "") == paragraph.replace(" ", "")


def test_hidden_files_links_to_directories_and_pipes_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text(LONG)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.txt").write_text(LONG)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text(LONG)
    (tmp_path / ".draft").write_text(LONG)
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    names = [file.relative_to(tmp_path).as_posix() for file in files_under(tmp_path)]
    assert names == ["b.txt", "a/c.txt"]


@pytest.mark.parametrize(
    ("content", "reason"), [(b"a\0b", "not a text file"), (b"\xff\xfe", "not text in UTF-8")]
)
def test_a_file_that_is_not_text_is_told(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "file").write_bytes(content)
    notes: list[str] = []
    sources = Sources(notes.append)
    sources.read(tmp_path, "texts")
    assert notes == [f"skipped texts/file: {reason}"]
    assert (sources.files, sources.skipped, sources.pieces) == (0, 1, [])


def test_a_file_name_that_is_not_utf_8_can_be_told(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text(LONG)
    sources = Sources(pytest.fail)
    sources.read(tmp_path, "texts")
    assert [piece.source for piece in sources.pieces] == ["texts/\ufffd.txt"]


def test_too_large_a_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "FILE_LIMIT_BYTES", 10)
    (tmp_path / "file").write_text("x" * 11)
    with pytest.raises(ValueError, match="larger than 10 bytes"):
        read_text(tmp_path / "file")


def test_reading_stops_at_the_limit_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "FILES_LIMIT", 2)
    for name in "abc":
        (tmp_path / name).write_text(LONG)
    notes: list[str] = []
    sources = Sources(notes.append)
    sources.read(tmp_path, "texts")
    assert sources.files == 2
    assert "the limits are 2 and" in notes[0]


def test_a_path_that_is_missing_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="neither a file nor a directory"):
        Sources(pytest.fail).read(tmp_path / "nowhere", "nowhere")


@pytest.mark.parametrize(
    ("text", "title"), [("\n# On *wells*\n\nText", "On *wells"), ("x" * 200, ""), ("", "")]
)
def test_the_title_is_a_short_first_line(text: str, title: str) -> None:
    assert title_of(text) == title


def test_the_documents_at_hand_are_texts_of_some_length() -> None:
    documents = list(files_under(DOCUMENTS))
    assert len(documents) >= 6
    for document in documents:
        assert 200 <= len(read_text(document).split()) <= 400
