"""Writing: a store's one writer of rows: batches with their index, parts that open, close and go."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tickspan_desk.store._hot import walk
from tickspan_desk.store.indexing import Indexed, Point, SeriesKey
from tickspan_desk.store.ordering import Orders
from tickspan_desk.store.sketch import Sketch, Slow, merge, pack_sketch, pack_slow, unpack_sketch, unpack_slow

__all__ = ["Bounds", "Keeper"]

PART_RECORDS: Final = 65_536
"""Records after which a part is closed."""
_PARTS_BY_BYTES: Final = 32
_PARTS_BY_AGE: Final = 48
_FULL: Final = 0.90
"""Of the bytes that a file may have: from here on parts go, since a transaction needs room for itself."""
_VACUUM_PAGES: Final = 512
_SPARE: Final = 0.2
"""Of a file's pages that may be free before it is made smaller."""
_MOST_CACHED: Final = 8_192
_RECORDS_OF: Final = {"traces": "spans", "logs": "logs", "metrics": "points"}

_PUT_TRACE: Final = """
INSERT INTO trace (id, part, trace_id, start_ns, end_ns, spans, errors, root_ns, root, first, services)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (trace_id, part) DO UPDATE SET
    root = CASE WHEN excluded.root_ns >= 0 AND (root_ns < 0 OR excluded.root_ns < root_ns)
        THEN excluded.root ELSE root END,
    root_ns = CASE WHEN excluded.root_ns >= 0 AND (root_ns < 0 OR excluded.root_ns < root_ns)
        THEN excluded.root_ns ELSE root_ns END,
    first = CASE WHEN excluded.start_ns < start_ns THEN excluded.first ELSE first END,
    start_ns = min(start_ns, excluded.start_ns),
    end_ns = max(end_ns, excluded.end_ns),
    spans = spans + excluded.spans,
    errors = errors + excluded.errors,
    services = CASE WHEN instr(services, excluded.services) THEN services
        ELSE services || substr(excluded.services, 2) END
"""
_SPLIT: Final = """
UPDATE trace SET is_split = 1 WHERE trace_id IN (
    SELECT mine.trace_id FROM trace AS mine JOIN trace AS other USING (trace_id)
    WHERE mine.id BETWEEN ? AND ? AND other.part != mine.part
)
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept, and how long."""

    max_bytes: int
    max_age_s: float


@dataclass(slots=True)
class _Minute:
    """Calls of an operation that began in one minute."""

    calls: int
    errors: int
    sketch: Sketch
    slow: list[Slow]


class Keeper:
    """Rows of one store, on its writer's connection. One thread at a time.

    Args:
        connection: from `schema.open_writer`.
        bounds: what has to go is counted by reason.
        clock: nanoseconds since the epoch.
    """

    def __init__(self, connection: sqlite3.Connection, bounds: Bounds, clock: Callable[[], int]) -> None:
        self._connection = connection
        self._bounds = bounds
        self._clock = clock
        self._orders = Orders(connection)
        self._services: dict[bytes, int] = {}
        self._operations: dict[tuple[int, bytes, int], int] = {}
        self._minutes: dict[tuple[int, int], _Minute] = {}
        self._changed: set[tuple[int, int]] = set()
        self._series: dict[bytes, tuple[int, str, str]] = {}
        self._part = 0
        self._part_opened_ns = 0
        self._part_records = 0
        self._part_bytes = 0
        self._trace_rows = 0
        self._next_batch = 0
        self._resume()

    def write(self, bunch: Sequence[Indexed]) -> int:
        """Write requests in one transaction; how many of them were not there yet. Raises `sqlite3.Error`."""
        written = 0
        with self._transaction():
            for indexed in bunch:
                written += self._write(indexed)
            self._flush()
        return written

    def make_room(self, *, is_clearing: bool = False) -> bool:
        """Let one part go, if it is too old, the file too large, or all is to go; whether there was one."""
        reason = self._reason_to_evict(is_clearing=is_clearing)
        if not reason:
            return False
        with self._transaction():
            oldest: int = self._connection.execute("SELECT min(id) FROM part").fetchone()[0]
            if oldest == self._part:
                self._close_part()
            self._evict(oldest, reason)
        self._give_back()
        return True

    # Batches.

    def _write(self, indexed: Indexed) -> bool:
        arrived, run = indexed.arrived, self._connection.execute
        if run("SELECT 1 FROM batch WHERE digest = ?", (indexed.digest,)).fetchone() is not None:
            return False
        self._part_for(arrived.came_ns)
        number, told = self._next_batch, indexed.told
        self._next_batch += 1
        since_ns, until_ns, severity = arrived.came_ns, arrived.came_ns, 0
        if told is not None:
            since_ns, until_ns, severity = told.since_ns, told.until_ns, told.severity
        run(
            "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                self._part,
                arrived.signal,
                arrived.came_ns,
                arrived.records,
                since_ns,
                until_ns,
                severity,
                indexed.digest,
            ),
        )
        run("INSERT INTO body VALUES (?, ?)", (number, indexed.packed))
        if told is not None:
            self._post(told, number)
        if indexed.points:
            self._put_points(indexed.points, number)
        self._count(indexed)
        return True

    def _count(self, indexed: Indexed) -> None:
        arrived = indexed.arrived
        self._part_records += arrived.records
        self._part_bytes += len(indexed.packed)
        kind = _RECORDS_OF.get(arrived.signal)
        counted = f"{kind} = {kind} + {arrived.records:d}, " if kind else ""
        self._connection.execute(
            f"UPDATE part SET {counted}batches = batches + 1, bytes = bytes + ?, last_ns = max(last_ns, ?) "  # noqa: S608 - our columns
            "WHERE id = ?",
            (len(indexed.packed), arrived.came_ns, self._part),
        )

    def _post(self, told: walk.Told, batch: int) -> None:
        values = json.dumps(
            sorted(told.values)
        )  # one statement writes them all, without the interpreter's lock
        self._connection.execute(
            "INSERT OR IGNORE INTO posting SELECT ?, value, ? FROM json_each(?)", (self._part, batch, values)
        )
        for service in told.services:
            self._service(service)
        self._put_traces(told)
        for (service, (name, kind), minute), (calls, errors, sketch, slow) in told.operations.items():
            self._add_minute(minute, self._operation(service, name, kind), calls, errors, sketch, slow)
        if told.orders:
            self._orders.tell(told.orders)

    def _put_traces(self, told: walk.Told) -> None:
        rows: list[tuple[Any, ...]] = []
        for (service, trace_id), trace in told.traces.items():
            start_ns, end_ns, spans, errors, root_ns, root, _, first = trace
            self._trace_rows += 1
            rows.append(
                (
                    self._part << 32 | self._trace_rows,
                    self._part,
                    trace_id,
                    start_ns,
                    end_ns,
                    spans,
                    errors,
                    root_ns,
                    self._operation(service, *root),
                    self._operation(service, *first),
                    f",{self._service(service)},",
                )
            )
        rows.sort(key=_by_trace_id)
        self._connection.executemany(_PUT_TRACE, rows)

    def _add_minute(
        self, minute: int, operation: int, calls: int, errors: int, sketch: Sketch, slow: list[Slow]
    ) -> None:
        key = minute, operation
        known = self._minutes.get(key)
        if known is None:
            known = self._minutes[key] = self._read_minute(key)
        known.calls += calls
        known.errors += errors
        merge(known.sketch, sketch)
        known.slow = sorted([*known.slow, *slow])[-walk.SLOW_ONES :]
        self._changed.add(key)

    def _read_minute(self, key: tuple[int, int]) -> _Minute:
        row: Any = self._connection.execute(
            "SELECT calls, errors, sketch, slow FROM minute WHERE part = ? AND minute = ? AND operation = ?",
            (self._part, *key),
        ).fetchone()
        if row is None:
            return _Minute(0, 0, {}, [])
        return _Minute(row[0], row[1], unpack_sketch(row[2]), unpack_slow(row[3]))

    def _put_points(self, points: Sequence[Point], batch: int) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO point VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    self._part,
                    self._series_number(point.series),
                    point.time_ns,
                    batch << 24 | place,
                    point.start_ns,
                    point.value,
                    point.detail,
                )
                for place, point in enumerate(points)
            ],
        )

    def _series_number(self, key: SeriesKey) -> int:
        known = self._series.get(key.digest)
        if known is not None and known[1:] == (key.unit, key.description):
            return known[0]
        number: int = self._connection.execute(
            "INSERT INTO series (digest, name, service, unit, description, kind, temporality, is_monotonic, "
            "attributes, resource, last_part) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (digest) DO UPDATE SET unit = excluded.unit, description = excluded.description, "
            "last_part = excluded.last_part RETURNING id",
            (
                key.digest,
                key.name,
                key.service,
                key.unit,
                key.description,
                key.kind,
                key.temporality,
                int(key.is_monotonic),
                key.attributes,
                key.resource,
                self._part,
            ),
        ).fetchall()[0][0]
        if len(self._series) > _MOST_CACHED:
            self._series.clear()
        self._series[key.digest] = number, key.unit, key.description
        return number

    def _service(self, name: bytes) -> int:
        number = self._services.get(name)
        if number is None:
            number = self._services[name] = len(self._services) + 1
            self._connection.execute(
                "INSERT INTO service VALUES (?, ?, ?)", (self._part, number, name.decode("utf-8", "replace"))
            )
        return number

    def _operation(self, service: bytes, name: bytes, kind: int) -> int:
        key = self._service(service), name, kind
        number = self._operations.get(key)
        if number is None:
            number = self._operations[key] = len(self._operations) + 1
            self._connection.execute(
                "INSERT INTO operation VALUES (?, ?, ?, ?, ?)",
                (self._part, number, key[0], name.decode("utf-8", "replace"), kind),
            )
        return number

    def _flush(self) -> None:
        rows = [
            (
                self._part,
                *key,
                known.calls,
                known.errors,
                pack_sketch(known.sketch),
                pack_slow(known.slow),
            )
            for key in self._changed
            for known in [self._minutes[key]]
        ]
        self._connection.executemany("INSERT OR REPLACE INTO minute VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        self._changed.clear()
        if len(self._minutes) > _MOST_CACHED:
            self._minutes.clear()
        self._orders.flush(self._part)

    # Parts.

    def _part_for(self, came_ns: int) -> None:
        """A part that has room for one more batch."""
        if self._part:
            age_s = (came_ns - self._part_opened_ns) / 1e9
            is_full = self._part_records >= PART_RECORDS or (
                self._part_bytes >= self._bounds.max_bytes // _PARTS_BY_BYTES
            )
            if not is_full and age_s < self._bounds.max_age_s / _PARTS_BY_AGE:
                return
            self._close_part()
        row = self._connection.execute(
            "INSERT INTO part (opened_ns, last_ns) VALUES (?, ?) RETURNING id", (came_ns, came_ns)
        ).fetchall()
        self._part, self._part_opened_ns = row[0][0], came_ns

    def _close_part(self) -> None:
        self._flush()
        first = self._part << 32
        self._connection.execute("UPDATE part SET is_closed = 1 WHERE id = ?", (self._part,))
        self._connection.execute(_SPLIT, (first, first + 0xFFFF_FFFF))
        self._forget_part()

    def _forget_part(self) -> None:
        self._part = self._part_records = self._part_bytes = self._trace_rows = 0
        self._services.clear()
        self._operations.clear()
        self._minutes.clear()
        self._changed.clear()
        self._series.clear()

    def _reason_to_evict(self, *, is_clearing: bool) -> str:
        row: Any = self._connection.execute("SELECT last_ns FROM part ORDER BY id LIMIT 1").fetchone()
        if row is None:
            return ""
        if is_clearing:
            return "cleared"
        if row[0] < self._clock() - self._bounds.max_age_s * 1e9:
            return "age"
        return "size" if self._used_bytes() > self._bounds.max_bytes * _FULL else ""

    def _used_bytes(self) -> int:
        pages, free, size = (self._pragma(name) for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * size

    def _evict(self, part: int, reason: str) -> None:
        run = self._connection.execute
        first = part << 32
        spans, logs, points = run("SELECT spans, logs, points FROM part WHERE id = ?", (part,)).fetchone()
        run("DELETE FROM body WHERE id IN (SELECT id FROM batch WHERE part = ?)", (part,))
        run("DELETE FROM batch WHERE part = ?", (part,))
        run("DELETE FROM trace WHERE id BETWEEN ? AND ?", (first, first + 0xFFFF_FFFF))
        for table in ("posting", "service", "operation", "minute", "point", "order_trace"):
            run(f"DELETE FROM {table} WHERE part = ?", (part,))  # noqa: S608 - our tables
        gone = "(SELECT id FROM trading_order WHERE last_part <= ?)"
        run(f"DELETE FROM order_name WHERE trading_order IN {gone}", (part,))  # noqa: S608 - our text
        run(f"DELETE FROM order_trace WHERE trading_order IN {gone}", (part,))  # noqa: S608 - our text
        run("DELETE FROM trading_order WHERE last_part <= ?", (part,))
        run("DELETE FROM series WHERE last_part <= ?", (part,))
        run("DELETE FROM part WHERE id = ?", (part,))
        run(
            "INSERT INTO eviction VALUES (?, ?) "
            "ON CONFLICT (reason) DO UPDATE SET records = records + excluded.records",
            (reason, spans + logs + points),
        )
        self._orders.forget()
        self._series.clear()

    def _give_back(self) -> None:
        """Make the file smaller by some pages, where many are free."""
        if self._pragma("freelist_count") > self._pragma("page_count") * _SPARE:
            self._connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()

    # The connection.

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._resume()
            raise

    def _resume(self) -> None:
        """Know what the file knows."""
        run = self._connection.execute
        self._forget_part()
        self._orders.forget()
        self._next_batch = run("SELECT coalesce(max(id), 0) + 1 FROM batch").fetchone()[0]
        row: Any = run(
            "SELECT id, opened_ns, spans + logs + points, bytes FROM part WHERE NOT is_closed "
            "ORDER BY id DESC"
        ).fetchone()
        if row is None:
            return
        self._part, self._part_opened_ns, self._part_records, self._part_bytes = row
        first = self._part << 32
        last: int = run(
            "SELECT coalesce(max(id), 0) FROM trace WHERE id BETWEEN ? AND ?", (first, first + 0xFFFF_FFFF)
        ).fetchone()[0]
        self._trace_rows = last & 0xFFFF_FFFF
        services: dict[int, str] = dict(run("SELECT id, name FROM service WHERE part = ?", (self._part,)))
        self._services = {name.encode(): number for number, name in services.items()}
        self._operations = {
            (service, name.encode(), kind): number
            for number, service, name, kind in run(
                "SELECT id, service, name, kind FROM operation WHERE part = ?", (self._part,)
            )
        }

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def kept(connection: sqlite3.Connection) -> Counter[str]:
    """What has gone so far, by reason."""
    return Counter(dict(connection.execute("SELECT reason, records FROM eviction")))


def _by_trace_id(row: tuple[Any, ...]) -> bytes:
    return row[2]
