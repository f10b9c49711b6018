"""Parse the Jobs of `{"jobs": […]}` one after another.

A batch may be large, so its values are never in memory together: it is decoded in pieces, each Job
is parsed by itself, and no step holds the interpreter's lock for longer than one Job of the largest
size takes. It is as strict as `strict.py`, within the limits of `size.py`.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any

from config.parameter import pointer
from config.schema_faults import count_values
from headway.model.problem import FAULTS_MAX, Fault, Refusal
from web.json.size import BODY_BYTES_MAX, NESTING_MAX, PIECE_BYTES, VALUES_MAX, Text, is_deep
from web.json.size import count_values as text_values
from web.json.strict import CAREFUL, PLAIN, check, malformed, refusal_of

CONTAINERS_MIN, BYTES_PER_CONTAINER = 50_000, 16
"""Limit on the arrays and objects of a batch: so many, and one more for each 16 bytes. An object
takes 200 bytes of memory, and no request may take more than 16 times its size."""

_TOO_MANY_VALUES = Refusal("too_large", f"a Job of the batch holds more than {VALUES_MAX} values")
_SPACE = re.compile(r"[ \t\n\r]*")
_COMMA = re.compile(r"[ \t\n\r]*,[ \t\n\r]*")
_DIGITS_AS_NINE = bytes(ord("9") if chr(byte).isdecimal() else 0 for byte in range(256))
_MANY_NINES = b"9" * 20


def read_jobs(body: Text, most: int) -> Iterator[Any]:
    """Yield each Job as it was parsed. `most`: the number of Jobs that are allowed.

    Raises:
        Refusal: `malformed_json`, `too_large`, or `invalid` when it is no object with a list of
            between one and `most` Jobs.
    """
    reader = _TextWindow(body)
    if reader.peek() != "{":
        reader.value(within=0)
        reader.end()
        raise Refusal("invalid", "correct the body", (Fault("", "give a JSON object"),))
    faults, count = list[Fault](), 0
    for key in reader.members():
        if key != "jobs":
            reader.value(within=1)
            faults.append(Fault(pointer((key,)), "there is no such field: leave it out"))
        elif reader.peek() != "[":
            reader.value(within=1)
            faults.append(Fault("/jobs", "give a JSON array"))
        else:
            for count, job in enumerate(reader.items(within=2), 1):
                if count > most:
                    raise Refusal("invalid", "correct /jobs", (_at_most(most),))
                yield job
    reader.end()
    if not count and not any(fault.pointer == "/jobs" for fault in faults):
        faults.append(Fault("/jobs", "give at least one Job"))
    if faults:
        where = ", ".join(fault.pointer for fault in faults[:5])
        raise Refusal("invalid", f"correct {where}", tuple(faults[:FAULTS_MAX]))


def _at_most(jobs: int) -> Fault:
    return Fault("/jobs", f"give at most {jobs:,} Jobs")


class _TextWindow:
    """The part of the text that is decoded, and the place up to which it is parsed."""

    def __init__(self, body: Text) -> None:
        self._body = body
        self._decoded_bytes = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0
        self._has_escapes = False
        self._parser = PLAIN
        self._passed_chars = 0
        self._containers = CONTAINERS_MIN + len(body) // BYTES_PER_CONTAINER

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._decode_more():
                return ""

    def members(self) -> Iterator[str]:
        """Yield each key of an object; its value must be read before the next."""
        seen = set[str]()
        self._at += 1
        while seen or self.peek() != "}":
            if self.peek() != '"':
                raise self._malformed("expecting a key in double quotes")
            key = str(self.value(within=1))
            if key in seen:
                raise malformed(f"the key {key!r} is given twice in one object")
            seen.add(key)
            self._take(":")
            yield key
            if self.peek() == "}":
                break
            self._take(",")
        self._take("}")

    def items(self, *, within: int) -> Iterator[Any]:
        """Yield each value of an array."""
        self._at += 1
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self.value(within=within)
            comma = _COMMA.match(self._text, self._at)
            if comma is not None and comma.end() < len(self._text):
                self._at = comma.end()
            elif self.peek() == "]":
                self._at += 1
                return
            else:
                self._take(",")

    def end(self) -> None:
        """Raise if anything follows."""
        if self.peek():
            raise self._malformed("extra data")

    def value(self, *, within: int) -> Any:
        """The next value. `within`: how many arrays and objects enclose it."""
        if self._text[self._at : self._at + 1] in ("", " ", "\t", "\n", "\r"):
            self.peek()
        while True:
            try:
                value, end = self._parser.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # What follows may complete it: until then the whole window belongs to it.
                self._check_window()
                if isinstance(error, RecursionError) or not self._decode_more():
                    raise self._refusal(error) from None
                continue
            # A number could go on: "1e+" is parsed as 1 at the end of the window.
            if end + len("e+") < len(self._text) or not self._decode_more():
                break
        begin, self._at = self._at, end
        self._check(value, begin, end, within)
        return value

    def _check_window(self) -> None:
        """Raise if a value that goes on behind the window is too large already."""
        if len(self._text) - self._at > 2 * VALUES_MAX:
            text = self._text[self._at :].encode("utf-8", "surrogatepass")
            if not is_deep(text) and text_values(text, VALUES_MAX) > VALUES_MAX:
                raise _TOO_MANY_VALUES

    def _check(self, value: Any, begin: int, end: int, within: int) -> None:
        brackets = self._text.count("{", begin, end) + self._text.count("[", begin, end)
        if brackets > self._containers:
            brackets = _count_containers(value)  # without those in strings
        self._containers -= brackets
        if self._containers < 0:
            raise Refusal("too_large", "it holds too many arrays and objects: send several batches")
        if end - begin > 2 * VALUES_MAX and count_values(value, VALUES_MAX) > VALUES_MAX:
            raise _TOO_MANY_VALUES
        nesting_max = NESTING_MAX - within
        if self._has_escapes or brackets > nesting_max:
            check(value, nesting_max=nesting_max, may_have_surrogates=self._has_escapes)

    def _take(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise self._malformed(f"expecting {wanted!r}")
        self._at += 1

    def _decode_more(self) -> bool:
        """Move the window; False at the end of the text."""
        left = len(self._text) - self._at
        if self._decoded_bytes == len(self._body):
            return False
        if left >= BODY_BYTES_MAX:
            raise Refusal("too_large", f"a Job of a batch takes at most {BODY_BYTES_MAX} bytes")
        # Twice as much: so a long value is tried a few times only.
        more_bytes = min(max(left, PIECE_BYTES), BODY_BYTES_MAX - left)
        end = min(len(self._body), self._decoded_bytes + more_bytes)
        held = len(self._decoder.getstate()[0])
        piece = bytes(self._body[self._decoded_bytes : end])
        try:
            more = self._decoder.decode(piece, final=end == len(self._body))
        except UnicodeDecodeError as error:
            raise malformed(
                f"byte {self._decoded_bytes - held + error.start} is not UTF-8"
            ) from None
        if not self._passed_chars and not self._text and more.startswith("\ufeff"):
            raise malformed("it begins with a BOM")
        self._passed_chars += self._at
        self._text, self._at = self._text[self._at :] + more, 0
        self._has_escapes = "\\u" in self._text
        if _MANY_NINES in piece.translate(_DIGITS_AS_NINE):
            self._parser = CAREFUL  # slower, but not for a long integer
        self._decoded_bytes = end
        return True

    def _refusal(self, error: ValueError | RecursionError) -> Refusal:
        if isinstance(error, json.JSONDecodeError):
            return self._malformed(error.msg, error.pos)
        return refusal_of(error)

    def _malformed(self, why: str, at: int | None = None) -> Refusal:
        place = self._passed_chars + (self._at if at is None else at)
        return malformed(f"{why}, at character {place}")


def _count_containers(value: Any) -> int:
    count, left = 0, [value]
    while left:
        item = left.pop()
        if isinstance(item, dict | list):
            count += 1
            left += item.values() if isinstance(item, dict) else item
    return count
