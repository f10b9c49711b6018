"""A 64-bit fingerprint that recognises near-duplicate texts.

Simhash: M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002, over
word shingles; the threshold of 3 bits for 64 is that of G. S. Manku, A. Jain and A. Das Sarma,
"Detecting near-duplicates for web crawling", WWW 2007.
"""

from hashlib import blake2b

from pipelines.word import words

BITS = 64
SHINGLE_WORDS = 2
NEAR_BITS = 3


def simhash(text: str) -> int:
    """The fingerprint of `text`; case, punctuation and white space do not count."""
    digests = [_digest_bits(shingle) for shingle in shingles(text)]
    ones = (column.count("1") for column in zip(*digests, strict=True))
    return int("".join("1" if 2 * count > len(digests) else "0" for count in ones), 2)


def _digest_bits(shingle: str) -> str:
    digest = blake2b(shingle.encode(), digest_size=BITS // 8).digest()
    return f"{int.from_bytes(digest):0{BITS}b}"


def shingles(text: str) -> set[str]:
    """Every run of SHINGLE_WORDS words, once each; a shorter text is one shingle."""
    found = words(text)
    last = max(len(found) - SHINGLE_WORDS, 0)
    return {" ".join(found[start : start + SHINGLE_WORDS]) for start in range(last + 1)}


def distance_bits(one: int, other: int) -> int:
    return (one ^ other).bit_count()
