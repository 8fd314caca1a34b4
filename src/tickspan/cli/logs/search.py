"""`tickspan logs search`: lines that meet conditions, oldest first."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Final

from tickspan.cli.errors import CommandError
from tickspan.cli.logs.options import add_place, add_query, directory_of
from tickspan.cli.logs.shown import shown

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "search"
SUMMARY: Final = "lines that meet conditions, oldest first"
_HEAD: Final = re.compile(r"[A-Za-z_][\w.\-]*(?:!=|<=|>=|=|<|>)")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_query(parser)
    parser.add_argument(
        "--since", default="", metavar="TIME", help="2d, 90m, or a time such as 2026-11-26T15:00 (UTC)"
    )
    parser.add_argument("--until", default="", metavar="TIME", help="the same")
    parser.add_argument(
        "--limit", type=_limit, default=1000, metavar="N", help="lines at most (1000); 0 is all"
    )
    add_place(parser)


def _limit(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a number of lines, 0 for all; got {text!r}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Print them; exit status 1 when there are none."""
    from tickspan.logs.query import QueryError  # the verb's own, and slow to import
    from tickspan.logs.search import search

    try:
        result = search(
            query_text(options.query),
            directory=directory_of(options),
            prefix=options.prefix,
            since=options.since,
            until=options.until,
            trace=options.trace,
            order=options.order,
            grep=options.grep,
            limit=options.limit,
        )
    except QueryError as error:
        raise CommandError(str(error)) from None
    for hit in result:
        print(shown(hit.line, is_json=options.json))
    if not result.files:
        print("there are no log files in this folder yet", file=sys.stderr)
    if result.damaged:
        print(f"{result.damaged} frames or files cannot be read and were left out", file=sys.stderr)
    if result.is_cut:
        print(f"there are more than {options.limit} lines; --limit 0 shows all", file=sys.stderr)
    return 0 if len(result) else 1


def query_text(words: list[str]) -> str:
    """The query as one text: the shell has taken the quotes; a single word may hold several conditions."""
    if len(words) == 1:
        return words[0]
    return " ".join(map(_requoted, words))


def _requoted(word: str) -> str:
    """The word as a query has it, so that its blanks and quotes stay in it."""
    if not any(character.isspace() or character in "\"'" for character in word):
        return word
    head = _HEAD.match(word)
    begin, rest = (head[0], word[head.end() :]) if head else ("", word)
    escaped = rest.replace("\\", "\\\\").replace('"', '\\"')
    return f'{begin}"{escaped}"'
