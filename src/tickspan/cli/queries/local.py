"""What the agent recorded, for commands: opened with errors that say what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tickspan.cli.errors import CommandError
from tickspan.cli.queries.shown import Row
from tickspan.processors.queries.book import KnownFinding
from tickspan.processors.queries.store import FILE, QueryKey, QueryReader, Told

__all__ = ["known_findings", "opened", "rows"]


@contextmanager
def opened(spool: Path) -> Generator[QueryReader]:
    """The store beside a spool. Raises `CommandError`."""
    path = spool / FILE
    try:
        with QueryReader(path) as reader:
            yield reader
    except FileNotFoundError:
        message = f"no queries are recorded in {spool}; run a program first: tickspan run -- python bot.py"
        raise CommandError(message) from None
    except (sqlite3.Error, ValueError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from None


def rows(spool: Path, since_s: float) -> list[Row]:
    """Statements that ran since then (seconds since 1970)."""
    with opened(spool) as reader:
        usage = reader.usage(since_s)
        told = reader.statements()
    return [
        Row(
            key.service,
            _database(key),
            key.fingerprint,
            told.get(key, Told(key.fingerprint, "")).summary,
            told.get(key, Told("", "")).text,
            used.calls,
            used.errors,
            used.rows,
            used.time_ns / 1e9,
            used.latencies.quantile(0.5),
            used.latencies.quantile(0.95),
        )
        for key, used in usage.items()
    ]


def known_findings(spool: Path, since_s: float) -> list[KnownFinding]:
    """What was found and seen since then."""
    with opened(spool) as reader:
        return list(reader.findings(since_s))


def _database(key: QueryKey) -> str:
    return f"{key.system} {key.namespace}".rstrip()
