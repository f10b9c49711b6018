"""A TOML file: every key has its line, and what is no TOML has one too."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.toml_file import FILE_BYTES_MAX, UnusableFile, find_lines, line_of, parse, read_text

DOCUMENT = '''\
# a comment
top = 1

[server]
bind = "a" # [not.a.table]
hosts = [
  "x",   # ]
  [ "y" ],
]
text = """
[not.a.table]
quoted = "]"
"""
raw = \'\'\'
x = 1\'\'\'

  [ job_types . "a.b" ]   # spaces
params.n = { type = "integer", enum = [1, { deep = 2 }] }
params.m.type = "string"

[[rules]]
name = 1
[rules.sub]
x = 1
[[rules.list]]
y = 1

[[rules]]
name = 2
[rules.sub]
x = 2
[[rules.list]]
[[rules.list]]
y = 2
'''
LINES = {
    ("top",): 2,
    ("server",): 4,
    ("server", "bind"): 5,
    ("server", "hosts"): 6,
    ("server", "hosts", 1, 0): 6,
    ("server", "text"): 10,
    ("server", "raw"): 14,
    ("job_types",): 17,
    ("job_types", "a.b"): 17,
    ("job_types", "a.b", "params"): 18,
    ("job_types", "a.b", "params", "n", "type"): 18,
    ("job_types", "a.b", "params", "n", "enum", 1, "deep"): 18,
    ("job_types", "a.b", "params", "m", "type"): 19,
    ("rules",): 21,
    ("rules", 0, "name"): 22,
    ("rules", 0, "sub", "x"): 24,
    ("rules", 0, "list", 0, "y"): 26,
    ("rules", 1): 28,
    ("rules", 1, "name"): 29,
    ("rules", 1, "sub", "x"): 31,
    ("rules", 1, "list", 0): 32,
    ("rules", 1, "list", 1, "y"): 34,
}
UNHURRIED = settings(deadline=None)  # a loaded machine is slow, not wrong


def unusable(text: str) -> UnusableFile:
    with pytest.raises(UnusableFile) as caught:
        parse(text)
    return caught.value


@pytest.mark.parametrize("path", LINES, ids=str)
def test_every_key_has_its_line(path: tuple[str | int, ...]) -> None:
    assert find_lines(DOCUMENT)[path] == LINES[path]


def test_the_paths_are_those_of_the_document_and_no_others() -> None:
    def paths(value: object, above: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
        items = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        below = [paths(item, (*above, key)) for key, item in items]
        return {above}.union(*below)

    assert find_lines(DOCUMENT).keys() == paths(tomllib.loads(DOCUMENT)) - {()}


@UNHURRIED
@given(
    st.lists(
        st.sampled_from(
            ["", "# c", "v = 1", 'v = """\n[x]\n"""', "v = [\n1,\n# ]\n2]", "v = '''\n'''"]
        ),
        max_size=12,
    )
)
def test_lines_are_right_whatever_stands_above(above: list[str]) -> None:
    # Each "v" in a table of its own, since a key may stand only once.
    text = "\n".join(f"[t{number}]\n{part}" for number, part in enumerate(above))
    assert find_lines(text + "\n[last]\nkey = 1")["last", "key"] == text.count("\n") + 3


def test_the_line_of_what_is_not_there_is_that_of_its_table() -> None:
    lines = find_lines(DOCUMENT)
    assert line_of(lines, ("job_types", "a.b", "command")) == 17
    assert line_of(lines, ("nowhere", "x")) is None
    assert line_of({}, ()) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = = 2", 2),
        ("a = 1\na = 2", 2),
        ("[a\n", 1),
        ("a = 1\n\nb = [1,\n2\n", 3),
        ('a = 1\nb = """x\ny\nz\n', 2),
        ("a = 1\nb =", 2),
        ("a = 1\u2028\nb = 2 3", 1),
    ],
)
def test_what_is_no_toml_has_a_line(text: str, line: int) -> None:
    assert unusable(text).line == line


def test_what_is_nested_too_deeply_or_too_long_is_refused() -> None:
    assert unusable("a = " + "[" * 100_000).message
    assert unusable("a = " + "1" * 10_000).message


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes("\ufeffa = '숲'\r\nb = 2\r\n".encode())
    assert parse(read_text(path)) == {"a": "숲", "b": 2}
    assert find_lines(read_text(path))["b",] == 2


def test_only_a_newline_ends_a_line() -> None:
    assert find_lines("a = '\u2028\x85' # \u2029\nb = 2")["b",] == 2


@pytest.mark.parametrize(
    ("content", "line"), [(b"a = 1\nb = '\xff'", 2), (b" " * (FILE_BYTES_MAX + 1), None)]
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes, line: int | None) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(UnusableFile) as caught:
        read_text(path)
    assert caught.value.line == line


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path, Path("\0")):
        with pytest.raises(UnusableFile, match="name a file that can be read"):
            read_text(path)
