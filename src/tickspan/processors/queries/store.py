"""The store of queries: how often each statement ran in each minute, for how long, and what was found.

With them are latencies under each plan, and which advised indexes exist. One file, written by one process,
the agent, in the folder of its spool; read by any.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from tickspan_spool import sqlite_file

from tickspan.analysis.traces import Latencies
from tickspan.processors.queries import shelves
from tickspan.processors.queries.book import KnownFinding

__all__ = [
    "FILE",
    "OTHER",
    "Era",
    "Minute",
    "QueryKey",
    "QueryReader",
    "QueryStore",
    "Sighted",
    "Told",
    "Usage",
]

FILE: Final = "queries.sqlite3"
"""In the spool's folder."""
KEPT_S: Final = 14 * 86_400
MAX_FINGERPRINTS: Final = 5_000
OTHER: Final = "other"
"""The fingerprint of all statements beyond that."""
_MINUTE_NS: Final = 60 * 10**9
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS statements (
    service TEXT NOT NULL, system TEXT NOT NULL, namespace TEXT NOT NULL, fingerprint TEXT NOT NULL,
    summary TEXT NOT NULL, text TEXT NOT NULL, last_minute INTEGER NOT NULL,
    PRIMARY KEY (service, system, namespace, fingerprint)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS minutes (
    service TEXT NOT NULL, system TEXT NOT NULL, namespace TEXT NOT NULL, fingerprint TEXT NOT NULL,
    minute INTEGER NOT NULL, calls INTEGER NOT NULL, errors INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    row_count INTEGER NOT NULL, latencies TEXT NOT NULL,
    PRIMARY KEY (service, system, namespace, fingerprint, minute)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS minutes_by_time ON minutes (minute);
CREATE TABLE IF NOT EXISTS findings (
    service TEXT NOT NULL, id TEXT NOT NULL, last_ns INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (service, id)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS plans (
    service TEXT NOT NULL, system TEXT NOT NULL, namespace TEXT NOT NULL, fingerprint TEXT NOT NULL,
    since_ns INTEGER NOT NULL, hash TEXT NOT NULL, latencies TEXT NOT NULL,
    PRIMARY KEY (service, system, namespace, fingerprint, since_ns)
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS advised_indexes (
    advice TEXT PRIMARY KEY, absent_s REAL NOT NULL, present_s REAL NOT NULL, verdict TEXT NOT NULL
) WITHOUT ROWID, STRICT;
"""


class QueryKey(NamedTuple):
    """One statement of one service on one database."""

    service: str
    system: str
    namespace: str
    fingerprint: str


@dataclass(slots=True)
class Usage:
    """How a statement was used in some time.

    Attributes:
        calls: how often it ran.
        errors: how often it failed.
        time_ns: in all.
        rows: that it handed out.
        latencies: of its calls.
    """

    calls: int = 0
    errors: int = 0
    time_ns: int = 0
    rows: int = 0
    latencies: Latencies = field(default_factory=Latencies)

    def add(self, duration_ns: int, rows: int, *, is_error: bool) -> None:
        """One more call."""
        self.calls += 1
        self.errors += is_error
        self.time_ns += duration_ns
        self.rows += rows
        self.latencies.add(duration_ns)

    def merge(self, other: Usage) -> None:
        """All of another."""
        self.calls += other.calls
        self.errors += other.errors
        self.time_ns += other.time_ns
        self.rows += other.rows
        self.latencies.merge(other.latencies)


class Told(NamedTuple):
    """What a statement is, free of data."""

    summary: str
    text: str


class Minute(NamedTuple):
    """A statement in one minute, which begins at `at_s` since 1970."""

    at_s: int
    usage: Usage


@dataclass(slots=True)
class Era:
    """A time in which a statement had one plan.

    Attributes:
        hash: `Plan.hash`.
        since_ns: when the plan was seen first, since 1970.
        latencies: of the calls that are known to belong to it.
    """

    hash: str
    since_ns: int
    latencies: Latencies = field(default_factory=Latencies)


class Sighted(NamedTuple):
    """An advised index that exists.

    Attributes:
        absent_s: when it was last known not to exist, in seconds since 1970.
        present_s: when it was seen first.
        verdict: the rule that was fulfilled, "" while it is open.
    """

    absent_s: float
    present_s: float
    verdict: str = ""


_NOTHING: Final[Mapping[QueryKey, Sequence[Era]]] = {}


class QueryStore:
    """The writing side, for one thread. The file is made when something is written, for its owner only."""

    def __init__(self, path: Path, *, max_fingerprints: int = MAX_FINGERPRINTS) -> None:
        self.path = path
        self._max_fingerprints = max_fingerprints
        self._writer: sqlite3.Connection | None = None
        self._known: set[QueryKey] | None = None
        self._pending: dict[tuple[QueryKey, int], Usage] = {}
        self._texts: dict[QueryKey, Told] = {}

    def __repr__(self) -> str:
        return f"<QueryStore {self.path}, {len(self._pending)} minutes pending>"

    @property
    def is_dirty(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._pending)

    def note(
        self, key: QueryKey, told: Told, at_ns: int, duration_ns: int, rows: int, *, is_error: bool
    ) -> None:
        """One call; nothing is written yet."""
        place = (key, at_ns // _MINUTE_NS)
        usage = self._pending.get(place)
        if usage is None:
            usage = self._pending[place] = Usage()
            self._texts[key] = told
        usage.add(duration_ns, rows, is_error=is_error)

    def write(
        self, findings: Iterable[KnownFinding] = (), eras: Mapping[QueryKey, Sequence[Era]] = _NOTHING
    ) -> None:
        """Write what was noted, these findings and, in place of older ones, these eras, in one transaction.

        Raises:
            sqlite3.Error, OSError: it cannot be written; what was noted is lost.
        """
        pending, self._pending = self._pending, {}
        texts, self._texts = self._texts, {}
        findings = list(findings)
        if not pending and not findings and not eras:
            return
        with self._connection() as writer:
            for (key, minute), usage in pending.items():
                self._write_minute(writer, self._admitted(writer, key), minute, usage, texts[key])
            writer.executemany(
                "INSERT OR REPLACE INTO findings VALUES (?, ?, ?, ?)",
                [(one.service, one.id, one.last_ns, shelves.to_json(one)) for one in findings],
            )
            writer.executemany(f"DELETE FROM plans WHERE {_STATEMENT}", list(eras))  # noqa: S608 - our own text
            writer.executemany(
                "INSERT INTO plans VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (*key, era.since_ns, era.hash, era.latencies.to_text())
                    for key, known in eras.items()
                    for era in known
                ],
            )

    def eras(self) -> dict[QueryKey, list[Era]]:
        """Those of each statement, the present one last. Raises as `findings`, and `ValueError`."""
        if not self.path.exists():
            return {}
        found: dict[QueryKey, list[Era]] = {}
        for *key, hashed, since_ns, latencies in self._connection().execute(
            "SELECT service, system, namespace, fingerprint, hash, since_ns, latencies FROM plans"
            " ORDER BY since_ns"
        ):
            found.setdefault(QueryKey(*key), []).append(Era(hashed, since_ns, Latencies.from_text(latencies)))
        return found

    def sighted(self) -> dict[str, Sighted]:
        """Advised indexes that exist, by the advice's id. Raises as `findings`."""
        if not self.path.exists():
            return {}
        rows = self._connection().execute("SELECT advice, absent_s, present_s, verdict FROM advised_indexes")
        return {advice: Sighted(*rest) for advice, *rest in rows}

    def sight(self, advice: str, sighted: Sighted) -> None:
        """Note an advised index that exists. Raises as `write`."""
        with self._connection() as writer:
            writer.execute("INSERT OR REPLACE INTO advised_indexes VALUES (?, ?, ?, ?)", (advice, *sighted))

    def findings(self) -> list[KnownFinding]:
        """Those of earlier runs; what cannot be read of them is left out.

        Raises:
            sqlite3.Error, OSError: the file is none of ours.
        """
        if not self.path.exists():
            return []
        rows = self._connection().execute("SELECT body FROM findings").fetchall()
        return [known for (body,) in rows if (known := shelves.from_json(body)) is not None]

    def forget(self, now_ns: int) -> None:
        """Drop what is older than 14 days.

        Raises:
            sqlite3.Error, OSError: as `write`.
        """
        if not self.path.exists():
            return
        until_ns = now_ns - KEPT_S * 10**9
        with self._connection() as writer:
            writer.execute("DELETE FROM minutes WHERE minute < ?", (until_ns // _MINUTE_NS,))
            writer.execute("DELETE FROM statements WHERE last_minute < ?", (until_ns // _MINUTE_NS,))
            writer.execute("DELETE FROM findings WHERE last_ns < ?", (until_ns,))
            writer.execute("DELETE FROM advised_indexes WHERE present_s < ?", (until_ns / 1e9,))
            writer.execute(_FORGET_PLANS)
        self._known = None

    def close(self) -> None:
        """Let go of the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _admitted(self, writer: sqlite3.Connection, key: QueryKey) -> QueryKey:
        """Itself, or `other` of its service and database when there are too many."""
        if self._known is None:
            rows = writer.execute("SELECT service, system, namespace, fingerprint FROM statements")
            self._known = {QueryKey(*row) for row in rows}
        if key not in self._known:
            if len(self._known) >= self._max_fingerprints:
                return key._replace(fingerprint=OTHER)
            self._known.add(key)
        return key

    def _write_minute(
        self, writer: sqlite3.Connection, key: QueryKey, minute: int, usage: Usage, told: Told
    ) -> None:
        known = told if key.fingerprint != OTHER else Told(OTHER, "")
        writer.execute(
            "INSERT INTO statements VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET last_minute = max(last_minute, excluded.last_minute)",
            (*key, *known, minute),
        )
        place = (*key, minute)
        before = writer.execute(f"{_READ_USAGE} WHERE {_PLACE}", place).fetchone()
        if before is not None:
            usage.merge(_usage(before))
        writer.execute(
            "INSERT OR REPLACE INTO minutes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*place, usage.calls, usage.errors, usage.time_ns, usage.rows, usage.latencies.to_text()),
        )

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = sqlite_file.writer(self.path, _SCHEMA)
        return self._writer


_READ_USAGE: Final = "SELECT calls, errors, time_ns, row_count, latencies FROM minutes"
_STATEMENT: Final = "service = ? AND system = ? AND namespace = ? AND fingerprint = ?"
_PLACE: Final = f"{_STATEMENT} AND minute = ?"
_FORGET_PLANS: Final = """
    DELETE FROM plans WHERE NOT EXISTS (
        SELECT 1 FROM statements s WHERE s.service = plans.service AND s.system = plans.system
        AND s.namespace = plans.namespace AND s.fingerprint = plans.fingerprint
    )
"""


class QueryReader:
    """The reading side, for one thread; a context manager. It may read while the agent writes."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            FileNotFoundError: there is none yet.
            sqlite3.Error: it cannot be read, or is none of ours.
        """
        if not path.exists():
            raise FileNotFoundError(path)
        self._connection = sqlite_file.reader(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def statements(self) -> Mapping[QueryKey, Told]:
        """What is known of each statement."""
        rows = self._connection.execute(
            "SELECT service, system, namespace, fingerprint, summary, text FROM statements"
        )
        return {QueryKey(*row[:4]): Told(row[4], row[5]) for row in rows}

    def usage(self, since_s: float = 0.0) -> dict[QueryKey, Usage]:
        """How each statement was used from the minute of that moment (since 1970) on."""
        found: dict[QueryKey, Usage] = {}
        columns = "service, system, namespace, fingerprint, calls, errors, time_ns, row_count, latencies"
        for row in self._connection.execute(
            f"SELECT {columns} FROM minutes WHERE minute >= ?",  # noqa: S608 - our own text
            (int(since_s // 60),),
        ):
            found.setdefault(QueryKey(*row[:4]), Usage()).merge(_usage(row[4:]))
        return found

    def history(self, fingerprint: str, since_s: float = 0.0, namespace: str | None = None) -> list[Minute]:
        """A statement's minutes, of all services and of one database or all, oldest first."""
        rows = self._connection.execute(
            "SELECT minute, calls, errors, time_ns, row_count, latencies FROM minutes"
            " WHERE fingerprint = ? AND minute >= ? AND namespace = coalesce(?, namespace)"
            " ORDER BY minute",
            (fingerprint, int(since_s // 60), namespace),
        )
        return [Minute(row[0] * 60, _usage(row[1:])) for row in rows]

    def has_plans(self) -> bool:
        """Whether a database was ever asked for one."""
        return bool(self._connection.execute("SELECT EXISTS (SELECT 1 FROM plans)").fetchone()[0])

    def sighted(self) -> dict[str, Sighted]:
        """Advised indexes that exist, by the advice's id."""
        rows = self._connection.execute("SELECT advice, absent_s, present_s, verdict FROM advised_indexes")
        return {advice: Sighted(*rest) for advice, *rest in rows}

    def findings(self, since_s: float = 0.0) -> Iterator[KnownFinding]:
        """Those that were seen since then; what cannot be read of them is left out."""
        with closing(self._connection.cursor()) as cursor:
            rows = cursor.execute("SELECT body FROM findings WHERE last_ns >= ?", (int(since_s * 1e9),))
            for (body,) in rows:
                known = shelves.from_json(body)
                if known is not None:
                    yield known


def _usage(row: tuple[Any, ...]) -> Usage:
    calls, errors, time_ns, rows, latencies = row
    return Usage(calls, errors, time_ns, rows, Latencies.from_text(latencies))
