"""Options of several actions: where the files are, what a line must be."""

from __future__ import annotations

import argparse
from pathlib import Path

from tickspan.cli.errors import CommandError

__all__ = ["add_place", "add_query", "directory_of"]


def add_place(parser: argparse.ArgumentParser) -> None:
    """Where the files are."""
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="folder of the files (logs.directory of the settings)"
    )
    parser.add_argument("--prefix", metavar="NAME", help="files whose names begin so (all)")


def add_query(parser: argparse.ArgumentParser) -> None:
    """What a line must be."""
    parser.add_argument(
        "query",
        nargs="*",
        metavar="CONDITION",
        help="'level>=WARNING', symbol=AAPL, category=trading, or a text that the line holds; all must hold",
    )
    parser.add_argument("--trace", default="", metavar="ID", help="lines of this trace")
    parser.add_argument(
        "--order", default="", metavar="ID", help="lines with an id, symbol or order of this value"
    )
    parser.add_argument("--grep", default="", metavar="RE", help="lines that this regular expression finds")
    parser.add_argument("--json", action="store_true", help="lines as they are in the files")


def directory_of(options: argparse.Namespace) -> Path:
    """The folder, which is there. Raises `CommandError`."""
    from tickspan.logs.search import configured_directory  # the verb's own, and slow to import

    try:
        found: Path = options.directory or configured_directory()
    except FileNotFoundError as error:
        raise CommandError(f"{error}; --directory names one") from None
    if not found.is_dir():
        raise CommandError(f"no folder of log files at {found}")
    return found
