"""What the two command lines share: parsing of arguments, and exit statuses.

Exit status: 0 done, 1 failed, 2 bad input, 77 nothing to do (the automake convention for a skip),
128 + n ended by signal n. Everything here is loaded for `--help`, so it imports next to nothing.
"""

import argparse
import math
import sys
import unicodedata
from collections.abc import Callable, Sequence

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_SKIPPED = 77
EXIT_INTERRUPTED = 130
TEXT_LIMIT_CHARS = 200
SEED_LIMIT = 2**63 - 1
SECONDS_LIMIT = 366 * 24 * 3600
ENVIRONMENT_HELP = """\
environment:
  PIPELINES_LIBRARY  where stories, cards and the registry are kept (default: ./library)
  OPENAI_BASE_URL    endpoint for --model (default: http://127.0.0.1:11434/v1)
  OPENAI_API_KEY     sent to that endpoint as a bearer token, if set
  HEADWAY_ARTIFACTS  a directory that gets a copy of whatever is written
  HEADWAY_REPORT     a file to which progress and the result are appended as JSON lines
"""


class ProgramFault(Exception):
    """A failure that the message explains: exit 1."""

    exit_code = EXIT_FAILED


class BadInput(ProgramFault):
    """The arguments cannot be used: exit 2, like every error of usage."""

    exit_code = EXIT_BAD_INPUT


def new_parser(name: str, description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m pipelines.{name}",
        description=description,
        epilog=ENVIRONMENT_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_common_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--library", metavar="DIR", help="where things are kept (default: $PIPELINES_LIBRARY)"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        type=lambda text: clean(text, "name of the model"),
        help="ask this model at $OPENAI_BASE_URL instead of working offline",
    )


def read_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse `argv`; everything after the first `--` is the topic, never an option, even `-x`.

    The parser has a positional `words`; the topic, from any of its sources, is stored as `topic`.
    """
    before, after = list(argv), list[str]()
    if "--" in before:
        cut = before.index("--")
        before, after = before[:cut], before[cut + 1 :]
    arguments = parser.parse_args(before)
    for name in ("topic", "model"):
        # Before Python 3.13 argparse removes the value of `--topic=--` and leaves an empty list.
        if getattr(arguments, name, None) == []:
            setattr(arguments, name, "--")
    given = [
        word
        for word in (getattr(arguments, "topic", None), arguments.words, *after)
        if word is not None
    ]
    if len(given) > 1:
        parser.error(f"one topic, please, not {len(given)}: {given}")
    try:
        arguments.topic = clean(given[0], "topic") if given else ""
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))
    return arguments


def clean(text: str, what: str) -> str:
    """`text` in NFC on one line, if it has no control characters and is within TEXT_LIMIT_CHARS."""
    line = " ".join(unicodedata.normalize("NFC", text).split())
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in line):
        raise argparse.ArgumentTypeError(f"the {what} must be printable text in UTF-8: {line!a}")
    if len(line) > TEXT_LIMIT_CHARS:
        raise argparse.ArgumentTypeError(
            f"the {what} has {len(line)} characters; at most {TEXT_LIMIT_CHARS} are allowed"
        )
    return line


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """An argument type: a whole number from `least` to `most`, both included."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number from {least} to {most}"
            )
        return number

    return parse


def seconds(*, zero: bool) -> Callable[[str], float]:
    """An argument type: seconds up to a year, above 0, or from 0 if `zero`."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        # This form rejects a NaN, which compares false with everything.
        if not 0 <= number <= SECONDS_LIMIT or (number == 0 and not zero):
            wanted = "0 or more" if zero else "above 0"
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a number of seconds, {wanted} and at most {SECONDS_LIMIT}"
            )
        return number

    return parse


def conclude(name: str, act: Callable[[], int]) -> int:
    """Run `act`, and report an error that the user can correct as one line on standard error."""
    try:
        return act()
    except ProgramFault as fault:
        print(f"{name}: {fault}", file=sys.stderr)
        return fault.exit_code
    except OSError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
