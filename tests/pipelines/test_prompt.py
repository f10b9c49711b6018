"""How a model's answer becomes a story or notes."""

import pytest

from pipelines.prompt import NOTES_LIMIT, read_notes, read_story


def test_a_heading_is_the_title() -> None:
    assert read_story("## **The Well** \n\nOne.\n\n\nTwo.\nMore.") == (
        "The Well",
        ("One.", "Two.\nMore."),
    )


def test_without_a_heading_there_is_no_title() -> None:
    assert read_story("One.\n\nTwo.") == ("", ("One.", "Two."))


def test_what_a_model_thinks_is_not_told() -> None:
    assert read_story("<think>Hm.\n\nWell.</think>\n# A\n\nB.") == ("A", ("B.",))


def test_a_title_alone_is_no_story() -> None:
    assert read_story("# The Well")[1] == ()


@pytest.mark.parametrize("bullet", ["-", "*", "•", "1.", "2)"])
def test_notes_are_the_bullets_and_tags_their_line(bullet: str) -> None:
    notes = read_notes(
        f"Here you are:\n{bullet} A bell.\n{bullet} A rope.\n**Tags:** bell, *rope*,."
    )
    assert notes.notes == ("A bell.", "A rope.")
    assert notes.tags == ("bell", "rope")


def test_lines_without_bullets_are_notes_each() -> None:
    assert read_notes("A bell.\n\nA rope.").notes == ("A bell.", "A rope.")


def test_notes_are_bounded() -> None:
    assert len(read_notes("- note\n" * 50).notes) == NOTES_LIMIT
