"""The program `pipelines.story`, as its command line and its environment promise it."""

import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines import story
from pipelines.card import Card, Passage

from .conftest import DEADLINE_S, Endpoint

Launch = Callable[..., subprocess.Popen[str]]
Records = Callable[[], list[dict[str, Any]]]


def stories(library: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in (library / "stories").iterdir()}


def only_story(library: Path) -> str:
    (text,) = stories(library).values()
    return text


def usage_error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        story.main(arguments)
    assert exit_.value.code == 2
    return capsys.readouterr().err


def keep_card(library: Path, topic: str, text: str) -> Card:
    card = Card(
        topic=topic,
        tags=("rope", "bucket"),
        passages=(Passage(rank=1, score=1.5, source="documents/wells.txt", text=text),),
    )
    (library / "cards").mkdir(parents=True, exist_ok=True)
    (library / "cards" / card.name).write_text(card.to_json(), "utf-8")
    return card


def test_the_same_seed_tells_the_same_story(tmp_path: Path, library: Path) -> None:
    for place in ("one", "two"):
        assert story.main([f"--library={tmp_path / place}", "--seed", "7", "--topic", "wells"]) == 0
    assert stories(tmp_path / "one") == stories(tmp_path / "two")


def test_another_seed_tells_another_story(library: Path) -> None:
    assert story.main(["--seed=7"]) == story.main(["--seed=8"]) == 0
    assert len(set(stories(library).values())) == 2


def test_many_stories_in_one_run_are_all_written(library: Path) -> None:
    # That 200 of them differ is shown in test_tale.py, without 200 times three fsyncs.
    assert story.main(["--max-stories=30", "--seed=0", "--enable-dedup"]) == 0
    assert len(set(stories(library).values())) == 30


def test_exit_77_when_all_would_be_duplicates(library: Path, report: Records) -> None:
    arguments = ["--max-stories=3", "--enable-dedup", "--seed=11"]
    assert story.main(arguments) == 0
    before = stories(library)
    assert story.main(arguments) == 77
    assert stories(library) == before
    assert report()[-1]["result"]["duplicates"] == 3


def test_some_duplicates_among_new_stories_are_no_skip(library: Path, report: Records) -> None:
    assert story.main(["--max-stories=2", "--enable-dedup", "--seed=11"]) == 0
    assert story.main(["--max-stories=3", "--enable-dedup", "--seed=11"]) == 0
    result = report()[-1]["result"]
    assert (result["written"], result["duplicates"]) == (1, 2)


def test_without_dedup_a_repetition_is_written_beside_the_first(library: Path) -> None:
    assert story.main(["--seed=11"]) == story.main(["--seed=11"]) == 0
    first, second = sorted(stories(library), key=len)
    assert second == first.replace(".md", "-2.md")


def test_without_a_seed_one_is_drawn_and_told(library: Path, report: Records) -> None:
    assert story.main([]) == 0
    seed = report()[-1]["result"]["stories"][0]["seed"]
    drawn = stories(library)
    assert story.main([f"--seed={seed}", "--library=again"]) == 0
    assert stories(Path("again")) == drawn


def test_a_card_is_used_when_it_matches(library: Path, report: Records) -> None:
    card = keep_card(library, "old wells", "The rope was let down nineteen turns and came up dry.")
    assert story.main(["--topic=wells", "--seed=3"]) == 0
    text = only_story(library)
    assert "> The rope was let down nineteen turns and came up dry." in text
    assert "*rope*, *bucket*" in text
    assert "Quoted: documents/wells.txt." in text
    assert report()[-1]["result"]["card"] == card.name


def test_a_card_on_something_else_is_not_used(library: Path, report: Records) -> None:
    keep_card(library, "old wells", "The rope was let down nineteen turns and came up dry.")
    assert story.main(["--topic=railways", "--seed=3"]) == 0
    assert "nineteen turns" not in only_story(library)
    assert report()[-1]["result"]["card"] is None


def test_a_file_that_is_no_card_is_passed_over(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (library / "cards").mkdir(parents=True)
    (library / "cards" / "wells.json").write_text('{"topic": "wells"}')
    assert story.main(["--topic=wells"]) == 0
    assert "skipped wells.json" in capsys.readouterr().err


def test_a_topic_bends_the_place(library: Path) -> None:
    assert story.main(["--max-stories=5", "--", "lighthouse keepers"]) == 0
    assert all("harbourmaster" in text for text in stories(library).values())


@pytest.mark.parametrize(
    "arguments",
    [["--topic=-x"], ["--", "-x"], ["--max-stories=1", "--enable-dedup", "--", "-x"]],
)
def test_a_topic_may_look_like_an_option(library: Path, arguments: list[str]) -> None:
    assert story.main(arguments) == 0
    assert "Topic: -x." in only_story(library)


def test_a_topic_may_be_two_dashes(library: Path) -> None:
    assert story.main(["--topic=--"]) == 0
    assert "Topic: --." in only_story(library)


@pytest.mark.parametrize("topic", ["--", "--help", "--max-stories=0"])
def test_nothing_after_the_dashes_is_an_option(library: Path, topic: str) -> None:
    assert story.main(["--", topic]) == 0
    assert f"Topic: {topic}." in only_story(library)


@pytest.mark.parametrize(
    "topic", ["한밤의 등대", "灯台の声", "żółw #1 *bold*", "🜏" * 200, "../../etc/passwd", "a\tb"]
)
def test_any_topic_makes_a_story_with_a_safe_name(library: Path, topic: str) -> None:
    assert story.main(["--", topic]) == 0
    (name,) = stories(library)
    assert name.isascii()
    assert name.replace("-", "").removesuffix(".md").isalnum()


def test_an_empty_topic_is_none(library: Path) -> None:
    assert story.main(["--", ""]) == 0
    assert "Topic" not in only_story(library)


def test_markup_in_a_topic_stays_text(library: Path) -> None:
    assert story.main(["--topic=<b>*{hero}* [x](y)"]) == 0
    assert r"\<b\>\*\{hero\}\* \[x\](y)" in only_story(library)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--max-stories=0"], "'0' is not a whole number from 1"),
        (["--max-stories", "many"], "'many' is not a whole number"),
        (["--duration-seconds=0"], "above 0"),
        (["--duration-seconds", "-1"], "'-1' is not a number of seconds"),
        (["--duration-seconds=nan"], "'nan' is not a number of seconds"),
        (["--interval-seconds=-0.5"], "'-0.5' is not a number of seconds, 0 or more"),
        (["--interval-seconds=inf"], "'inf' is not"),
        (["--seed=-1"], "'-1' is not a whole number from 0"),
        (["--topic=a", "--", "b"], "one topic"),
        (["--", "a", "b"], "one topic"),
        (["--", "x" * 201], "201 characters; at most 200"),
        (["--", "bell\x07"], "printable"),
        (["--", "\udcff"], "printable"),
        (["--model=\udcff"], "the name of the model must be printable"),
        (["--max=3"], "unrecognized arguments"),
    ],
)
def test_bad_input_is_refused_with_its_reason(
    library: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert complaint in usage_error(capsys, *arguments)
    assert not library.exists()


def test_a_library_that_is_a_file_is_bad_input(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library.write_text("not a directory")
    assert story.main([]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_a_ruined_registry_is_a_clear_failure(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library.mkdir()
    (library / "registry.sqlite3").write_text("no database " * 1000)
    assert story.main([]) == 1
    assert "registry.sqlite3 cannot be used" in capsys.readouterr().err


def test_without_any_setting_the_library_is_here(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIPELINES_LIBRARY")
    assert story.main([]) == 0
    assert len(stories(Path("library"))) == 1


def test_report_lines_are_valid_and_artifacts_are_copies(
    library: Path, report: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_ARTIFACTS", str(tmp_path / "artifacts"))
    assert story.main(["--max-stories", "4", "--interval-seconds", "0"]) == 0
    *progress, last = report()
    assert [record["progress"] for record in progress] == [0.25, 0.5, 0.75, 1.0]
    assert all(isinstance(record["message"], str) for record in progress)
    result = last["result"]
    assert (result["written"], result["ended"]) == (4, "done")
    copies = {path.name: path.read_text("utf-8") for path in (tmp_path / "artifacts").iterdir()}
    assert copies == stories(library)
    assert sorted(each["file"] for each in result["stories"]) == sorted(copies)


def test_a_report_that_cannot_be_written_costs_a_note_and_no_story(
    library: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADWAY_REPORT", "/dev/null/report")
    assert story.main(["--max-stories=2"]) == 0
    assert capsys.readouterr().err.count("progress is not reported") == 1
    assert len(stories(library)) == 2


def test_processes_at_once_do_not_corrupt_the_registry(library: Path, launch: Launch) -> None:
    same = ("pipelines.story", "--max-stories=20", "--seed=50", "--enable-dedup")
    processes = [launch(*same) for _ in range(4)]
    outputs = [process.communicate(timeout=DEADLINE_S) for process in processes]
    assert {process.returncode for process in processes} <= {0, 77}, outputs
    assert sum(output.count(" wrote ") for output, _ in outputs) == 20
    assert_registry_is_sound(library, 20)


def test_a_kill_in_the_middle_leaves_whole_files_and_a_sound_registry(
    library: Path, launch: Launch
) -> None:
    process = launch("pipelines.story", "--max-stories=5000", "--seed=0")
    assert process.stdout
    for _ in range(10):
        assert " wrote " in process.stdout.readline()
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    assert_registry_is_sound(library)
    # Whatever was under way is no duplicate: its file, if any, has no row and is written again.
    told = len([name for name in stories(library) if not name.startswith(".")])
    assert story.main([f"--max-stories={told + 1}", "--seed=0", "--enable-dedup"]) == 0
    assert_registry_is_sound(library, told + 1)


def assert_registry_is_sound(library: Path, rows: int | None = None) -> None:
    db = sqlite3.connect(library / "registry.sqlite3")
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        registered = {name for (name,) in db.execute("SELECT name FROM story")}
    finally:
        db.close()
    written = {name: text for name, text in stories(library).items() if not name.startswith(".")}
    assert registered <= written.keys()
    assert all(text.startswith("# ") and text.endswith("*\n") for text in written.values())
    assert rows is None or (len(registered), len(written)) == (rows, rows)


def test_a_signal_ends_it_between_two_stories(
    library: Path, report: Records, launch: Launch
) -> None:
    process = launch("pipelines.story", "--max-stories=2", "--interval-seconds=3600")
    assert process.stdout
    assert "1/2 wrote " in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143
    assert only_story(library).endswith("*\n")
    assert report()[-1]["result"]["ended"] == "signal"
    assert report()[-1]["result"]["written"] == 1


def test_a_reader_that_goes_away_does_not_stop_it(library: Path, launch: Launch) -> None:
    process = launch("pipelines.story", "--max-stories=3")
    assert process.stdout
    process.stdout.close()
    assert process.wait(timeout=DEADLINE_S) == 0
    assert len(stories(library)) == 3
    assert process.stderr
    assert process.stderr.read() == ""


def test_a_model_is_asked_instead(
    library: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_card(library, "wells", "The rope was let down nineteen turns and came up dry.")
    monkeypatch.setenv("OPENAI_API_KEY", "sesame")
    endpoint.says("# The *Well*\n\nIt was dry.\n\nIt was not dry.\n")
    assert story.main(["--model=tiny", "--seed=5", "--topic=wells"]) == 0
    (asked,) = endpoint.asked
    assert asked["path"] == "/v1/chat/completions"
    assert asked["headers"]["Authorization"] == "Bearer sesame"
    assert (asked["model"], asked["seed"], asked["stream"]) == ("tiny", 5, False)
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert "nineteen turns" in asked["messages"][1]["content"]
    text = only_story(library)
    assert "\n\nIt was dry.\n\nIt was not dry.\n\n---\n" in text
    assert "Written by tiny." in text


def test_a_model_that_repeats_itself_is_all_duplicates(library: Path, endpoint: Endpoint) -> None:
    endpoint.says("# Again\n\nIt was the same as ever, and it would be the same again.")
    assert story.main(["--model=tiny"]) == 0
    assert story.main(["--model=tiny", "--enable-dedup", "--max-stories=2"]) == 77
    assert len(stories(library)) == 1


def test_a_signal_does_not_wait_for_a_model(
    library: Path, report: Records, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE_S)
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/v1")
        process = launch("pipelines.story", "--model=tiny")
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(1)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143
    assert report()[-1]["result"]["ended"] == "signal"


def test_an_unreachable_model_is_a_clear_failure(
    library: Path,
    report: Records,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as closed:  # bound and not listening: a connection is refused
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/v1")
        assert story.main(["--model=tiny"]) == 1
    assert "cannot be reached" in capsys.readouterr().err
    assert stories(library) == {}
    assert report()[-1]["result"]["ended"] == "failed"
