"""Near-duplicates have near fingerprints."""

from pipelines.fingerprint import NEAR_BITS, distance_bits, shingles, simhash
from pipelines.tale import compose


def test_case_punctuation_and_space_do_not_count() -> None:
    assert simhash("The bell rang, twice.") == simhash("the  BELL\nrang twice")


def test_a_story_with_a_word_added_is_near() -> None:
    # Nearly always: simhash is a sketch, and a word more can tip a few bits that were undecided.
    bodies = [compose(seed).body for seed in range(20)]
    moved = [distance_bits(simhash(body), simhash(f"{body} Truly.")) for body in bodies]
    assert sum(bits <= NEAR_BITS for bits in moved) >= 16
    assert max(moved) <= 2 * NEAR_BITS


def test_other_stories_are_far() -> None:
    prints = [compose(seed).fingerprint for seed in range(60)]
    pairs = [(one, other) for n, one in enumerate(prints) for other in prints[:n]]
    assert min(distance_bits(one, other) for one, other in pairs) > 2 * NEAR_BITS


def test_shingles_are_runs_of_words() -> None:
    assert shingles("One two, three!") == {"one two", "two three"}
    assert shingles("One") == {"one"}
    assert shingles("") == {""}


def test_distance_counts_bits() -> None:
    assert distance_bits(0b1011, 0b0001) == 2


def test_a_fingerprint_stays_the_same_from_release_to_release() -> None:
    # The registry outlives the program: a change here makes every old story new.
    assert f"{simhash('Nothing to report; a bird came in.'):016x}" == "be2f30d02627090c"
