"""The program `pipelines.research`, as its command line and its environment promise it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import index, research, story
from pipelines.card import from_json

from .conftest import DEADLINE_S, Endpoint

Launch = Callable[..., subprocess.Popen[str]]
Records = Callable[[], list[dict[str, Any]]]
BELL = (
    "The bell in the drowned church was heard whenever the reservoir fell below the third mark.\n"
)
MILL = "The miller counted every sack of barley twice, because the first count was never right.\n"


def only_card(library: Path) -> dict[str, Any]:
    (path,) = (library / "cards").iterdir()
    card: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert from_json(path.read_text("utf-8"))
    return card


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A small directory of texts on two things."""
    directory = tmp_path / "texts"
    (directory / "deep").mkdir(parents=True)
    (directory / "mill.txt").write_text(MILL)
    (directory / "deep" / "bell.md").write_text(f"# Heading\n\n{BELL}")
    return directory


def test_a_card_has_topic_tags_and_ranked_passages(library: Path) -> None:
    assert research.main(["run", "sleepwalkers and sleep"]) == 0
    card = only_card(library)
    assert card["topic"] == "sleepwalkers and sleep"
    assert card["tags"]
    assert card["passages"][0]["source"] == "documents/sleep.txt"
    scores = [passage["score"] for passage in card["passages"]]
    assert [each["rank"] for each in card["passages"]] == list(range(1, len(scores) + 1))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] > 0


def test_the_same_sources_give_the_same_card(library: Path, tmp_path: Path) -> None:
    for place in ("one", "two"):
        assert research.main(["run", f"--library={tmp_path / place}", "wells"]) == 0
    assert only_card(tmp_path / "one") == only_card(tmp_path / "two")


def test_only_the_sources_that_were_named_are_searched(library: Path, sources: Path) -> None:
    assert research.main(["run", "--sources", str(sources), "the drowned bell"]) == 0
    (passage,) = only_card(library)["passages"]
    assert passage["source"] == f"{sources}/deep/bell.md"
    assert passage["text"] == BELL.strip()


def test_sources_may_be_repeated_and_be_files(library: Path, sources: Path) -> None:
    paths = [f"--sources={sources / 'mill.txt'}", f"--sources={sources / 'deep'}"]
    assert research.main(["run", *paths, "--", "bell or barley"]) == 0
    assert len(only_card(library)["passages"]) == 2


def test_earlier_stories_are_searched(library: Path) -> None:
    assert story.main(["--seed=1", "--topic=quinquereme"]) == 0
    assert research.main(["run", "quinquereme"]) == 0
    assert all(each["source"].startswith("stories/") for each in only_card(library)["passages"])
    assert only_card(library)["passages"]


def test_a_story_takes_up_the_card(library: Path) -> None:
    assert research.main(["run", "mirrors"]) == 0
    assert story.main(["--topic", "mirrors", "--seed=2"]) == 0
    (text,) = (path.read_text("utf-8") for path in (library / "stories").iterdir())
    assert "\n\n> " in text


def test_nothing_found_is_a_valid_card_and_said(
    library: Path, report: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    assert research.main(["run", "zzyzx"]) == 0
    assert only_card(library)["passages"] == []
    assert "no passage on 'zzyzx'" in capsys.readouterr().out
    assert report()[-1]["result"]["passages"] == 0


@pytest.mark.parametrize(
    "topic",
    [
        "-x",
        "--",
        "--help",
        '"',
        '" OR 1',
        "NEAR(a b)",
        "title:sleep",
        "*",
        "!!!",
        "^a",
        "a AND",
        "'",
    ],
)
def test_no_topic_is_an_option_or_query_syntax(library: Path, topic: str) -> None:
    assert research.main(["run", "--", topic]) == 0
    assert only_card(library)["topic"] == topic


KOREAN = (
    "한밤중에 등대의 불빛이 꺼졌다. 아무도 그 이유를 알지 못했고, 등대지기는 돌아오지 않았다."
    " 그 뒤로 아무도 거기에 살지 않았다."
)
JAPANESE = (
    "灯台守は毎晩日誌を書いた。ある夜から、日誌は彼より先に書かれるようになった。"
    "彼はそれを誰にも言わなかった。島には彼しかいなかったからだ。"
)
GERMAN = "Der Müller zählte die Säcke zweimal, denn beim ersten Mal stimmte die Zahl niemals."


@pytest.mark.parametrize(
    ("text", "topic"), [(KOREAN, "등대"), (JAPANESE, "日誌"), (GERMAN, "muller")]
)
def test_texts_in_other_languages_are_found(
    library: Path, tmp_path: Path, text: str, topic: str
) -> None:
    (tmp_path / "text.txt").write_text(text, "utf-8")
    assert research.main(["run", f"--sources={tmp_path / 'text.txt'}", topic]) == 0
    assert [passage["text"] for passage in only_card(library)["passages"]] == [text]


def test_topics_that_slug_alike_have_cards_of_their_own(library: Path) -> None:
    for topic in ("등대", "우물", "well!", "well"):
        assert research.main(["run", topic]) == 0
    names = [path.name for path in (library / "cards").iterdir()]
    assert len(names) == 4
    assert all(name.isascii() for name in names)


def test_new_research_replaces_the_card(library: Path, sources: Path) -> None:
    assert research.main(["run", "Bell"]) == 0
    assert research.main(["run", f"--sources={sources}", "bell"]) == 0
    assert [passage["text"] for passage in only_card(library)["passages"]] == [BELL.strip()]


def test_files_that_are_not_text_are_skipped_with_a_note(
    library: Path, sources: Path, report: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    (sources / "image.png").write_bytes(b"\x89PNG\0bell")
    (sources / "latin.txt").write_bytes("die Glocke läutete".encode("latin-1"))
    assert research.main(["run", f"--sources={sources}", "bell"]) == 0
    errors = capsys.readouterr().err
    assert "image.png: not a text file" in errors
    assert "latin.txt: not text in UTF-8" in errors
    assert report()[-1]["result"]["skipped"] == 2
    assert report()[-1]["result"]["files"] == 2


@pytest.mark.parametrize("missing", ["nowhere", "/dev/null"])
def test_a_source_that_does_not_exist_is_bad_input(
    library: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    assert research.main(["run", f"--sources={missing}", "bell"]) == 2
    assert f"'{missing}' is neither a file nor a directory" in capsys.readouterr().err
    assert not list((library / "cards").iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["run", "--", ""],
        ["run", "a", "--", "b"],
        ["walk", "bell"],
        ["run", "--sources=", "bell"],
    ],
)
def test_a_command_and_one_topic_are_needed(
    library: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        research.main(arguments)
    assert exit_.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_report_lines_are_valid_and_the_artifact_is_the_card(
    library: Path, report: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_ARTIFACTS", str(tmp_path / "artifacts"))
    assert research.main(["run", "radio"]) == 0
    *progress, last = report()
    fractions = [record["progress"] for record in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    (artifact,) = (tmp_path / "artifacts").iterdir()
    assert artifact.name == last["result"]["card"]
    assert json.loads(artifact.read_text("utf-8")) == only_card(library)


def test_max_passages_bounds_the_card(library: Path) -> None:
    assert research.main(["run", "--max-passages=2", "night"]) == 0
    assert len(only_card(library)["passages"]) == 2


def test_a_model_adds_notes_to_what_was_found(library: Path, endpoint: Endpoint) -> None:
    endpoint.says("<think>bells?</think>- A bell rings.\n- Nobody pulls it.\nTags: bell, rope")
    assert research.main(["run", "--model=tiny", "--", "sleepwalkers"]) == 0
    card = only_card(library)
    assert card["notes"] == ["A bell rings.", "Nobody pulls it."]
    assert (card["tags"], card["model"]) == (["bell", "rope"], "tiny")
    assert card["passages"][0]["text"] in endpoint.asked[0]["messages"][1]["content"]


def test_a_model_that_fails_leaves_no_card(
    library: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    endpoint.status, endpoint.answer = 404, b'{"error": "model not found"}'
    assert research.main(["run", "--model=tiny", "bell"]) == 1
    assert "answered 404" in capsys.readouterr().err
    assert not list((library / "cards").iterdir())


def test_sqlite_without_fts5_is_told_clearly(
    library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(index, "MODULE", "fts_absent")
    assert research.main(["run", "bell"]) == 1
    assert "needs SQLite with FTS5" in capsys.readouterr().err


def test_it_runs_as_a_process(library: Path, launch: Launch) -> None:
    process = launch("pipelines.research", "run", "--", "-x wells")
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, errors
    assert "passages on '-x wells'" in output
