"""The command line `python -m pipelines.research run TOPIC`."""

import argparse
import sys
from collections.abc import Sequence

from pipelines.program import (
    add_common_options,
    conclude,
    new_parser,
    read_arguments,
    whole_number,
)

PASSAGES_LIMIT = 50


def build_parser() -> argparse.ArgumentParser:
    parser = new_parser("research", "Search text files for a topic and write a research card.")
    commands = parser.add_subparsers(dest="command", metavar="run", required=True)
    run = commands.add_parser(
        "run",
        description="Search text files for TOPIC, best passages first (SQLite FTS5, BM25).",
        epilog=parser.epilog,
        formatter_class=parser.formatter_class,
        help="search for a topic and write its card",
        allow_abbrev=False,
    )
    run.add_argument("words", metavar="TOPIC", nargs="?", help="what to look for (after -- if -x)")
    run.add_argument(
        "--sources",
        metavar="PATH",
        type=source_path,
        action="append",
        default=[],
        help="a text file or a directory of them; may be repeated"
        " (default: the earlier stories and the documents at hand)",
    )
    run.add_argument(
        "--max-passages",
        metavar="N",
        type=whole_number(1, PASSAGES_LIMIT),
        default=8,
        help="keep at most this many passages (default: 8)",
    )
    add_common_options(run)
    return parser


def source_path(text: str) -> str:
    if not text:  # a Path treats it as the current directory
        raise argparse.ArgumentTypeError("a path is needed")
    return text


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    arguments = read_arguments(parser, sys.argv[1:] if argv is None else argv)
    if not arguments.topic:
        parser.error("a topic is needed: run TOPIC, or run -- TOPIC")
    # Not at the top: `--help` and an error of usage should not wait for the search.
    from pathlib import Path

    from pipelines import researcher
    from pipelines.library import library_root

    settings = researcher.ResearchSettings(
        library=library_root(arguments.library),
        topic=arguments.topic,
        sources=tuple(Path(path) for path in arguments.sources),
        max_passages=arguments.max_passages,
        model=arguments.model or None,
    )
    return conclude("research", lambda: researcher.run(settings))


if __name__ == "__main__":
    sys.exit(main())
