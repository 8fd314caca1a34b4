"""SQLite asked for plans: in memory, in a copy of the schema and its statistics without any row.

The file is open only while its catalog is read, since a reader's lock delays the commit of a writer. The copy
knows no extension, no function of the application and no virtual table.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from tickspan.analysis.plans import sqlite
from tickspan.analysis.plans.admission import admit
from tickspan.analysis.plans.budget import Budget
from tickspan.analysis.plans.document import PlanFormatError
from tickspan.analysis.plans.model import Plan, PlanSource
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.analysis.sql import Dialect, Flag
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.sqlite import read_schema
from tickspan.processors.queries.probes import reasons
from tickspan.processors.queries.probes.question import question

__all__ = ["SqliteProbe"]

_REFRESH_S: Final = 300.0
_BUSY_TIMEOUT_S: Final = 0.05
_OBJECTS: Final = (
    "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND type IN ('table', 'index', 'view')"
    " ORDER BY type = 'table' DESC, type = 'view' DESC, rowid"
)
_VIRTUAL: Final = "create virtual"


class SqliteProbe:
    """One file. One thread at a time.

    Args:
        path: of the database file.
        budget: that questions are taken from; None for a person who waits for the answer.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._budget = budget
        self._clock = clock
        self._clone: sqlite3.Connection | None = None
        self._cloned_at_s = 0.0
        self._version = -1

    def __repr__(self) -> str:
        return f"<SqliteProbe {self._path.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget the copy."""
        clone, self._clone = self._clone, None
        if clone is not None:
            clone.close()

    def schema(self) -> Schema:
        """See `Probe.schema`."""
        try:
            with self._told(), closing(self._file()) as file:
                return read_schema(file)
        except Refused as refused:
            raise Unreachable(f"the catalog cannot be read: {refused}") from None

    def explain(self, sql: str, *, analyze: bool = False) -> Plan:
        """See `Probe.explain`. SQLite measures no plans: it refuses `analyze`."""
        if analyze:
            raise Refused("SQLite measures no plans")
        admitted = admit(sql, Dialect.SQLITE)
        with question(self._budget), self._told():
            clone = self._current()
            nothing = [None] * admitted.parameters
            rows = clone.execute(f"EXPLAIN QUERY PLAN {admitted.text}", nothing).fetchall()
            has_values = Flag.LITERALS in admitted.statement.flags
            source = PlanSource.CUSTOM if has_values else PlanSource.GENERIC
            return sqlite.plan_of(rows, source, aliases=admitted.aliases)

    def session(self) -> sqlite3.Connection:
        """The copy in memory, for what is tried in it; never the file. Raises `Unreachable`, `Refused`."""
        with self._told():
            return self._current()

    def _file(self) -> sqlite3.Connection:
        # The class itself: `sqlite3.connect` may be somebody's who watches the application.
        return sqlite3.Connection(
            f"file:{quote(str(self._path.absolute()))}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S
        )

    def _current(self) -> sqlite3.Connection:
        """The copy: a new one when the schema is another, and now and then for the statistics."""
        now_s = self._clock()
        with closing(self._file()) as file:
            ((version,),) = file.execute("PRAGMA schema_version")
            is_old = now_s - self._cloned_at_s >= _REFRESH_S or version != self._version
            if self._clone is not None and not is_old:
                return self._clone
            objects = [row[0] for row in file.execute(_OBJECTS)]
            statistics = _statistics(file)
        self.close()
        self._clone = clone = _copy(objects, statistics)
        self._cloned_at_s, self._version = now_s, version
        return clone

    @contextmanager
    def _told(self) -> Generator[None]:
        """SQLite's errors as ours: a message may quote the statement, so it is never shown."""
        try:
            yield
        except PlanFormatError as error:
            raise Refused(str(error)) from None
        except sqlite3.Error as error:
            if (why := reasons.of_sqlite(error)) is not None:
                raise Unreachable(f"SQLite at {self._path.name}: {why}") from None
            raise Refused(f"SQLite does not plan it: {reasons.of_sqlite_refusal(error)}") from None


def _statistics(file: sqlite3.Connection) -> list[tuple[str, str | None, str]]:
    known = file.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchall()
    return file.execute("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall() if known else []


def _copy(objects: Iterable[str], statistics: list[tuple[str, str | None, str]]) -> sqlite3.Connection:
    clone = sqlite3.Connection(":memory:", isolation_level=None)
    clone.execute("PRAGMA trusted_schema = OFF")
    for definition in objects:
        if not definition.lower().startswith(_VIRTUAL):
            with suppress(sqlite3.Error):  # an index by a function that only the application has
                clone.execute(definition)
    if statistics:
        clone.execute("ANALYZE")  # makes the table; there is no row to count
        clone.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", statistics)
        clone.execute("ANALYZE sqlite_schema")  # reads it
    clone.execute("PRAGMA query_only = ON")
    return clone
