"""Options that the actions share, and what they may be."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tickspan.analysis.findings import Severity
from tickspan.cli.durations import duration_s
from tickspan.cli.errors import CommandError

__all__ = [
    "FORMATS",
    "LOCAL",
    "STATEMENTS_VIEW",
    "UNREACHABLE",
    "add_dsn",
    "add_format",
    "add_since",
    "add_source",
    "dsn",
    "duration_s",
    "severity",
    "spool_of",
]

FORMATS: Final = ("text", "json", "markdown", "sql")
LOCAL: Final = "local"
STATEMENTS_VIEW: Final = "pg_stat_statements"
UNREACHABLE: Final = 3
"""The exit status when a database cannot be asked."""


def add_format(parser: argparse.ArgumentParser, formats: Sequence[str] = FORMATS) -> None:
    """`--format`, and `--json` for short."""
    others = ", ".join(formats[1:])
    parser.add_argument("--format", choices=formats, default="text", help=f"text (default), {others}")
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="short for --format json"
    )


def add_source(parser: argparse.ArgumentParser, *, files: bool = True) -> None:
    """`--from` and `--directory`."""
    file = ", a file of SQL" if files else ""
    parser.add_argument(
        "--from",
        dest="source",
        default=LOCAL,
        metavar="SOURCE",
        help=f"local (what the agent recorded, default){file} or {STATEMENTS_VIEW} with --dsn-env",
    )
    parser.add_argument(
        "--directory", type=Path, metavar="DIR", help="the spool (TICKSPAN_SPOOL_DIR, or the user's)"
    )


def add_since(parser: argparse.ArgumentParser, default: str) -> None:
    """`--since`, in seconds."""
    parser.add_argument(
        "--since",
        type=duration_s,
        default=default,
        metavar="TIME",
        help=f"how far back, such as 90s, 15m, 1h, 7d ({default})",
    )


def add_dsn(parser: argparse.ArgumentParser) -> None:
    """`--dsn-env`: a DSN as an argument would be in the list of processes."""
    parser.add_argument(
        "--dsn-env", metavar="VARIABLE", help="the environment variable that holds the database's DSN"
    )


def dsn(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> str:
    """What the variable of `--dsn-env` holds. Raises `CommandError`; a DSN is never shown."""
    if not options.dsn_env:
        raise CommandError("a database is asked: name its DSN's variable with --dsn-env VARIABLE")
    if "://" in options.dsn_env or "=" in options.dsn_env:
        raise CommandError("--dsn-env: expected the name of an environment variable, got a DSN")
    found = environ.get(options.dsn_env)
    if not found:
        raise CommandError(f"--dsn-env: the variable {options.dsn_env} is not set")
    return found


def severity(text: str) -> Severity:
    """A severity by name or letter, for `type=`."""
    try:
        return Severity.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def spool_of(options: argparse.Namespace) -> Path:
    """The folder of the agent's spool."""
    from tickspan_spool.spool import SpoolPlan

    return options.directory or SpoolPlan.from_environment(os.environ).directory
