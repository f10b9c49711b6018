"""One story: a whole, the same for the same seed, with topic and card woven in."""

import re
from collections import Counter
from itertools import combinations

from pipelines.card import Card, Passage
from pipelines.fingerprint import NEAR_BITS, distance_bits, shingles
from pipelines.tale import Story, compose, escape

ROPE = "The rope came up wet and nobody had let it down that day at all."
CANDLE = "They lowered a candle first and watched it all the way to the water."
CARD = Card(
    topic="wells",
    tags=("rope", "bucket", "water", "never"),
    passages=(
        Passage(rank=1, score=2.0, source="a.txt", text=ROPE),
        Passage(rank=2, score=1.0, source="b.txt", text=CANDLE),
    ),
)


def test_a_story_is_several_whole_paragraphs() -> None:
    for seed in range(100):
        story = compose(seed)
        assert len(story.paragraphs) >= 12
        assert 500 <= len(story.body.split()) <= 1100
        for paragraph in story.paragraphs:
            assert paragraph[0].isupper() or paragraph[0] in "“*", paragraph
            assert paragraph[-1] in ".?!”*", paragraph


def test_nothing_of_the_grammar_is_left_in_a_story() -> None:
    for seed in range(100):
        text = compose(seed, "wells", CARD).to_markdown()
        assert not re.search(r"[{}]|  |\.\.|\ba (?:[aeio]|u[^ns])|None", text), text


def test_the_facts_hold_from_beginning_to_end() -> None:
    story = compose(4)
    names = {"Mara", "Ines", "Ruth", "Leif", "Tomas", "Elias", "Hana", "Joseph"}
    assert len({name for name in names if re.search(rf"\b{name}\b", story.body)}) <= 1
    hours = ("ten past three", "twenty to four", "four minutes past two", "half past one")
    assert len({hour for hour in hours if hour in story.body}) <= 1


def test_a_card_adds_and_leaves_the_rest_as_it_was() -> None:
    without = compose(9, "wells")
    woven = compose(9, "wells", CARD)
    kept = [paragraph for paragraph in without.paragraphs if paragraph in woven.paragraphs]
    assert woven.title == without.title
    assert len(kept) >= len(without.paragraphs) - 3
    assert set(woven.quoted) == {"a.txt", "b.txt"}
    assert "*rope*, *bucket*, *water*" in woven.body


def test_a_card_without_passages_is_no_trouble() -> None:
    story = compose(9, "wells", Card(topic="wells"))
    assert "*wells*" in story.body
    assert story.quoted == ()


def test_two_stories_of_one_topic_share_little() -> None:
    one, other = (shingles(compose(seed, "wells").body) for seed in (1, 2))
    assert len(one & other) / len(one | other) < 0.5


def test_200_stories_differ() -> None:
    stories = [compose(seed) for seed in range(200)]
    pairs = combinations([story.fingerprint for story in stories], 2)
    assert min(distance_bits(one, other) for one, other in pairs) > NEAR_BITS
    assert len({story.stem for story in stories}) == 200


def test_no_sentence_is_told_twice_in_one_story() -> None:
    for seed in range(100):
        sentences = Counter(re.findall(r"[^.?!]{40,}[.?!]", compose(seed).body))
        assert sentences.most_common(1)[0][1] == 1, sentences.most_common(1)


def test_no_paragraph_is_in_too_many_stories() -> None:
    paragraphs = Counter(each for seed in range(200) for each in compose(seed).paragraphs)
    assert paragraphs.most_common(1)[0][1] <= 20


def test_the_fingerprint_is_of_the_tale_and_not_of_its_remarks() -> None:
    one = Story(title="A", paragraphs=("It was late.",), seed=1)
    other = Story(title="B", paragraphs=("It was late.",), seed=2, topic="wells")
    assert one.fingerprint == other.fingerprint


def test_markdown_in_foreign_text_is_escaped() -> None:
    assert escape("# a *b*\n[c](d) `e`") == r"\# a \*b\* \[c\](d) \`e\`"
