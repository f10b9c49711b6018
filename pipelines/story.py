"""The command line `python -m pipelines.story`."""

import argparse
import sys
from collections.abc import Sequence

from pipelines.program import (
    SEED_LIMIT,
    add_common_options,
    conclude,
    new_parser,
    read_arguments,
    seconds,
    whole_number,
)

STORIES_LIMIT = 10_000


def build_parser() -> argparse.ArgumentParser:
    parser = new_parser(
        "story", "Write short horror stories as Markdown; exit 77 if all of them are duplicates."
    )
    parser.add_argument("words", metavar="TOPIC", nargs="?", help="the same as --topic")
    parser.add_argument("--topic", metavar="TOPIC", help="what the stories are to touch upon")
    parser.add_argument(
        "--max-stories",
        metavar="N",
        type=whole_number(1, STORIES_LIMIT),
        default=1,
        help="how many to write (default: 1)",
    )
    parser.add_argument(
        "--duration-seconds",
        metavar="S",
        type=seconds(zero=False),
        help="begin no new story after this time",
    )
    parser.add_argument(
        "--interval-seconds",
        metavar="S",
        type=seconds(zero=True),
        default=0.0,
        help="wait between two stories (default: 0)",
    )
    parser.add_argument(
        "--enable-dedup",
        action="store_true",
        help="do not write a story that is in the registry already, or nearly",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0, SEED_LIMIT),
        help="the first story is that of seed N, the next that of N+1 (default: drawn)",
    )
    add_common_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = read_arguments(build_parser(), sys.argv[1:] if argv is None else argv)
    # Not at the top: `--help` and an error of usage should not wait for these imports.
    from pipelines import teller
    from pipelines.library import library_root

    settings = teller.StorySettings(
        library=library_root(arguments.library),
        max_stories=arguments.max_stories,
        duration_s=arguments.duration_seconds,
        interval_s=arguments.interval_seconds,
        dedup=arguments.enable_dedup,
        topic=arguments.topic,
        seed=arguments.seed,
        model=arguments.model or None,
    )
    return conclude("story", lambda: teller.run(settings))


if __name__ == "__main__":
    sys.exit(main())
