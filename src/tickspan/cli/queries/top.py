"""`tickspan queries top`: the statements that cost most."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tickspan.cli.errors import CommandError
from tickspan.cli.queries.layout import count, duration, markdown_table, table
from tickspan.cli.queries.options import (
    LOCAL,
    STATEMENTS_VIEW,
    add_dsn,
    add_format,
    add_since,
    add_source,
    dsn,
    spool_of,
)
from tickspan.cli.queries.shown import Row

__all__ = ["NAME", "SUMMARY", "add_options", "run"]

NAME: Final = "top"
SUMMARY: Final = "the statements that cost most: time, calls, latency, rows"
_HEADINGS: Final = ("TIME", "CALLS", "P50", "P95", "ROWS", "ERRORS", "FINGERPRINT", "STATEMENT")


_ORDERS: Final[Mapping[str, Callable[[Row], float]]] = {
    "time": lambda row: row.time_s,
    "calls": lambda row: row.calls,
    "p95": lambda row: row.p95_s if row.p95_s is not None else row.p50_s,
    "rows": lambda row: row.rows,
    "errors": lambda row: row.errors,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_source(parser, files=False)
    add_dsn(parser)
    add_since(parser, "1h")
    parser.add_argument("--by", choices=tuple(_ORDERS), default="time", help="what counts (time)")
    parser.add_argument("--limit", type=_limit, default=20, metavar="N", help="how many (20)")
    parser.add_argument("--service", metavar="NAME", help="of this service only")
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Print the statements, those that cost most first."""
    rows = [row for row in _rows(options) if options.service in {None, row.service}]
    by = _ORDERS[options.by]
    rows.sort(key=lambda row: (-by(row), -row.time_s, row.fingerprint))
    print(_WRITERS[options.format](rows[: options.limit]))
    return 0


def _rows(options: argparse.Namespace) -> list[Row]:
    if options.source == LOCAL:
        from tickspan.cli.queries.local import (
            rows,
        )  # the store, and with it analysis: other sources need none

        return rows(spool_of(options), time.time() - options.since)
    if options.source == STATEMENTS_VIEW:
        from tickspan.cli.queries.server import rows_of  # psycopg: an extra

        return rows_of(dsn(options))
    raise CommandError(f"--from: expected {LOCAL} or {STATEMENTS_VIEW}, got '{options.source}'")


def _text(rows: Sequence[Row]) -> str:
    if not rows:
        return "no statement ran in that time"
    return "\n".join(table(_HEADINGS, [_cells(row) for row in rows]))


def _markdown(rows: Sequence[Row]) -> str:
    return "\n".join(
        markdown_table([heading.lower() for heading in _HEADINGS], [_cells(row) for row in rows])
    )


def _cells(row: Row) -> Sequence[str]:
    return (
        duration(row.time_s),
        count(row.calls),
        duration(row.p50_s),
        duration(row.p95_s) if row.p95_s is not None else "-",
        count(row.rows),
        count(row.errors),
        row.fingerprint,
        row.summary,
    )


def _json(rows: Sequence[Row]) -> str:
    return json.dumps([_data(row) for row in rows], indent=2)


def _data(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Row.__slots__}


def _sql(rows: Sequence[Row]) -> str:
    return "\n\n".join(
        f"-- {row.fingerprint}: {row.calls} calls, {duration(row.time_s)} ({row.database})\n{row.text};"
        for row in rows
        if row.text
    )


_WRITERS: Final[Mapping[str, Callable[[Sequence[Row]], str]]] = {
    "text": _text,
    "json": _json,
    "markdown": _markdown,
    "sql": _sql,
}


def _limit(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got '{text}'")
    return int(text)
