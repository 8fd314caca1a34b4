"""Statements as a PostgreSQL server counted them: the view `pg_stat_statements`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.cli.errors import CommandError
from tickspan.cli.queries.databases import probe_of
from tickspan.cli.queries.options import STATEMENTS_VIEW, UNREACHABLE
from tickspan.cli.queries.shown import Row

if TYPE_CHECKING:
    from tickspan.analysis.plans.probe import Probe
    from tickspan.processors.queries.catalogs.postgresql import CountedStatement

__all__ = ["counted_by", "rows_of"]

_HIDDEN: Final = "<insufficient privilege>"
"""The server's own words, in place of what another account has run."""

_GRANT: Final = "GRANT pg_read_all_stats TO the account"


def rows_of(dsn: str) -> list[Row]:
    """One row for each statement of the database that `dsn` names. Raises `CommandError`."""
    with probe_of(dsn) as probe:
        return [_row(one) for one in counted_by(probe)]


def counted_by(probe: Probe | None) -> list[CountedStatement]:
    """What the probe's server has counted of its database; what it hides is told on stderr.

    Raises `CommandError`, `Unreachable`.
    """
    from tickspan.processors.queries.probes.postgresql import PostgresqlProbe  # sqlglot: half a second

    if not isinstance(probe, PostgresqlProbe):
        raise CommandError(f"'--from {STATEMENTS_VIEW}' needs --dsn-env VARIABLE of a PostgreSQL database")
    try:
        counted = probe.counted()
    except LookupError as error:
        raise CommandError(str(error), UNREACHABLE) from None
    shown = [one for one in counted if one.sql != _HIDDEN]
    if counted and not shown:
        raise CommandError(f"{STATEMENTS_VIEW} shows this account no statement: {_GRANT}", UNREACHABLE)
    if len(shown) < len(counted):
        print(
            f"{len(counted) - len(shown)} statements of other accounts are hidden: {_GRANT}", file=sys.stderr
        )
    return shown


def _row(counted: CountedStatement) -> Row:
    statement = canonicalise(counted.sql, Dialect.POSTGRESQL)
    return Row(
        service="",
        database=f"postgresql {counted.database}",
        fingerprint=statement.fingerprint,
        summary=statement.summary or statement.text,
        text=statement.text,
        calls=counted.calls,
        errors=0,
        rows=counted.rows,
        time_s=counted.total_s,
        p50_s=counted.total_s / max(counted.calls, 1),
        p95_s=None,
    )
