"""Store: one SQLite file, one writer, any number of readers."""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import zstandard
from tickspan_spool.receiver import Batch, Signal

from tickspan.received import ReceivedSpan
from tickspan_desk.store.answering import Answers
from tickspan_desk.store.indexing import Arrived, Indexer, bounded
from tickspan_desk.store.reading import (
    LogEntry,
    LogFilter,
    Match,
    Operation,
    OrderEntry,
    Series,
    StoreStatistics,
    TraceEntry,
    TraceFilter,
    Window,
)
from tickspan_desk.store.schema import StoreError, open_reader, open_writer
from tickspan_desk.store.writing import Bounds, Keeper

__all__ = ["Store", "StoreError"]

_LOGGER: Final = logging.getLogger(__name__)
SMALLEST_BYTES: Final = 4 << 20
"""A bound below it leaves no room for the tables themselves."""
QUEUE_BYTES: Final = 32 << 20
"""Of requests that wait for the writer; beyond it `take` waits."""
_BUNCH_BYTES: Final = 4 << 20
_BUNCH_BATCHES: Final = 64
_RETRY_S: Final = 1.0
_IDLE_S: Final = 15.0
"""How often an idle store looks for what is too old."""
_JSON: Final = "application/json"
_PAGE: Final = 64
"""Batches that are read at once for a replay."""


class Store:
    """Keeps telemetry as it came, and an index over it, within bounds of bytes and age.

    A request of which the store already has every byte is kept once. Any thread may take and ask. Requests
    are written soon after `take`: when the writer is behind, `take` waits, and when the file cannot be
    written, `take` raises, so that a sender keeps what is not kept here.

    The file stays below `max_bytes`; SQLite's own journal beside it takes up to 16 MiB more.

    Example:
        >>> with Store(None, max_bytes=64 << 20, max_age_s=3600) as store, Receiver(on_batch=store.take):
        ...     ...
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        max_bytes: int = 512 << 20,
        max_age_s: float = 86_400.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open a store, or make one.

        Args:
            path: of the file, which is its owner's alone; None for one that goes with the store.
            max_bytes: of the file; 4 MiB at least.
            max_age_s: since a request came; it goes up to a twenty-fourth of this time later.
            clock: nanoseconds since the epoch.

        Raises:
            StoreError: the file cannot be opened, is damaged, or is no store of this version.
            ValueError: bounds that leave nothing.
        """
        if max_bytes < SMALLEST_BYTES or max_age_s <= 0:
            raise ValueError(
                f"expected at least {SMALLEST_BYTES} bytes and an age above 0 s, "
                f"got {max_bytes} and {max_age_s}"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="tickspan-desk-")) if path is None else None
        self._path = path if path is not None else Path(str(self._folder)) / "desk.sqlite"
        self._bounds = Bounds(max_bytes, max_age_s)
        self._clock = clock
        self._condition = threading.Condition()
        self._waiting: deque[Arrived] = deque()
        self._waiting_bytes = 0
        self._is_writing = False
        self._is_clearing = False
        self._is_closed = False
        self._failure = ""
        self._version = 0
        self._readers = _Readers(self._path)
        self._counted: tuple[int, StoreStatistics] | None = None
        try:
            self._connection = open_writer(self._path)
        except BaseException:
            self._remove_folder()
            raise
        self._keeper = Keeper(self._connection, self._bounds, clock)
        self._writer = threading.Thread(target=self._run, name="tickspan-desk-writer", daemon=True)
        self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._is_closed:
            return f"<Store {self._path}, closed>"
        told = self.statistics()
        return f"<Store {self._path}, {told.spans} spans, {told.logs} logs, {told.points} points>"

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._path

    def take(self, batch: Batch) -> None:
        """Keep a batch; waits while the writer is behind. Raises StoreError when nothing can be kept."""
        content_type = batch.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = batch.message.SerializeToString() if content_type == _JSON else batch.body
        self._put(Arrived(batch.signal, body, batch.records, self._clock()))

    def settle(self) -> None:
        """Wait until everything taken can be read. Raises StoreError when it cannot be written."""
        with self._condition:
            self._condition.wait_for(self._is_settled)
            if self._failure:
                raise StoreError(self._failure)

    def clear(self) -> None:
        """Forget everything that is kept, and wait until it is gone. Raises StoreError when that fails."""
        with self._condition:
            self._is_clearing = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_closed or bool(self._failure) or not self._is_clearing)
            if self._failure:
                raise StoreError(self._failure)

    def close(self) -> None:
        """Write what was taken, then close. A second call does nothing."""
        with self._condition:
            if self._is_closed:
                return
            self._is_closed = True
            self._condition.notify_all()
        self._writer.join()
        self._readers.close()
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("PRAGMA optimize")
        self._connection.close()
        self._remove_folder()

    def batches(
        self, window: Window, signals: Sequence[str] = ("traces", "metrics", "logs")
    ) -> Iterator[tuple[Signal, bytes]]:
        """(signal, request in protobuf) of all that came in a window, in order of arrival.

        What comes or goes meanwhile may be among them or not.
        """
        decompressor, last = zstandard.ZstdDecompressor(), 0
        wanted = ", ".join("?" * len(signals))
        while True:
            with self._readers.lent() as connection:
                rows: list[Any] = connection.execute(
                    "SELECT batch.id, signal, packed FROM batch JOIN body USING (id) "  # noqa: S608 - marks alone
                    f"WHERE batch.id > ? AND came_ns >= ? AND came_ns < ? AND signal IN ({wanted}) "
                    "ORDER BY batch.id LIMIT ?",
                    (last, bounded(window.since_ns), bounded(window.until_ns), *signals, _PAGE),
                ).fetchall()
            for last, signal, packed in rows:  # noqa: B007 - where the next page begins
                yield signal, decompressor.decompress(packed)
            if len(rows) < _PAGE:
                return

    # Questions: see `Reading`.

    def traces(  # noqa: D102 - Reading's
        self, wanted: TraceFilter, window: Window, limit: int = 100, before_ns: int = 0
    ) -> list[TraceEntry]:
        with self._answers() as answers:
            return answers.traces(wanted, window, limit, before_ns)

    def spans(self, trace_id: str) -> list[ReceivedSpan]:  # noqa: D102 - Reading's
        with self._answers() as answers:
            return answers.spans(trace_id)

    def spans_with(  # noqa: D102 - Reading's
        self, attribute: str, window: Window, value: str = "", limit: int = 20_000
    ) -> list[ReceivedSpan]:
        with self._answers() as answers:
            return answers.spans_with(attribute, window, value, limit)

    def logs(  # noqa: D102 - Reading's
        self, wanted: LogFilter, window: Window, limit: int = 200, before: int = 0
    ) -> list[LogEntry]:
        with self._answers() as answers:
            return answers.logs(wanted, window, limit, before)

    def latest(  # noqa: D102 - Reading's
        self, event_names: Sequence[str], window: Window, limit: int = 200
    ) -> list[LogEntry]:
        if not event_names:
            return []
        with self._answers() as answers:
            return answers.logs(LogFilter(), window, limit, 0, event_names)

    def orders(self, window: Window, text: str = "", limit: int = 100) -> list[OrderEntry]:  # noqa: D102 - Reading's
        with self._answers() as answers:
            return answers.orders(window, text, limit)

    def order(self, order_id: str) -> OrderEntry | None:  # noqa: D102 - Reading's
        with self._answers() as answers:
            return answers.order(order_id)

    def operations(self, window: Window, service: str = "") -> list[Operation]:  # noqa: D102 - Reading's
        with self._answers() as answers:
            return answers.operations(window, service)

    def services(self) -> list[str]:  # noqa: D102 - Reading's
        with self._answers() as answers:
            return answers.services()

    def metric_names(self) -> list[tuple[str, str, str, int]]:  # noqa: D102 - Reading's
        with self._answers() as answers:
            return answers.metric_names()

    def series(  # noqa: D102 - Reading's
        self, name: str, window: Window, attributes: Mapping[str, str] | None = None, limit: int = 100
    ) -> list[Series]:
        with self._answers() as answers:
            return answers.series(name, window, attributes or {}, limit)

    def search(self, text: str, window: Window, limit: int = 50) -> list[Match]:  # noqa: D102 - Reading's
        if not text:
            return []
        with self._answers() as answers:
            return answers.search(text, window, limit)

    def statistics(self) -> StoreStatistics:  # noqa: D102 - Reading's
        version, counted = self._version, self._counted
        if counted is None or counted[0] != version:
            with self._readers.lent() as connection:
                counted = self._counted = version, _statistics(connection, self._bounds, version)
        return counted[1]

    # The writer.

    def _put(self, arrived: Arrived) -> None:
        with self._condition:
            self._condition.wait_for(self._has_room)
            if self._is_closed:
                raise StoreError(f"{self._path}: the store is closed")
            if self._failure:
                raise StoreError(self._failure)
            self._waiting.append(arrived)
            self._waiting_bytes += len(arrived.body)
            self._condition.notify_all()

    def _has_room(self) -> bool:
        return self._is_closed or bool(self._failure) or self._waiting_bytes < QUEUE_BYTES

    def _is_settled(self) -> bool:
        return bool(self._failure) or not (self._waiting or self._is_writing)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # a thread's top: who waits must hear of it
            _LOGGER.exception("the writer of %s broke", self._path)
            with self._condition:
                self._failure = f"{self._path}: its writer broke: {error}"
                self._condition.notify_all()

    def _work(self) -> None:
        indexer = Indexer()
        while bunch := self._next_bunch():
            if bunch[0] is None:
                self._tidy()
                continue
            indexed = [indexer.index(arrived) for arrived in bunch if arrived is not None]
            while not self._attempt(lambda: self._keeper.write(indexed)):  # noqa: B023 - called at once
                with self._condition:
                    if self._is_closed:
                        _LOGGER.error("%d requests could not be written: %s", len(indexed), self._failure)
                        return
                    self._condition.wait(_RETRY_S)
            self._tidy()
            with self._condition:
                self._is_writing = False
                self._version += 1
                self._condition.notify_all()

    def _next_bunch(self) -> list[Arrived] | list[None]:
        """What waits, up to a bound; [None] after a while of nothing, and nothing at all at the end."""
        with self._condition:
            if not self._waiting and not self._is_closed:
                self._condition.wait_for(self._has_work, min(_IDLE_S, self._bounds.max_age_s / 24))
            if not self._waiting:
                return [] if self._is_closed else [None]
            bunch, size = list[Arrived](), 0
            while self._waiting and size < _BUNCH_BYTES and len(bunch) < _BUNCH_BATCHES:
                bunch.append(self._waiting.popleft())
                size += len(bunch[-1].body)
            self._waiting_bytes -= size
            self._is_writing = True
            self._condition.notify_all()
            return bunch

    def _has_work(self) -> bool:
        return bool(self._waiting) or self._is_clearing or self._is_closed

    def _tidy(self) -> None:
        """Let go what is too old or too much, a part at a time: readers and takers come between."""
        has_gone = True
        while has_gone:
            has_gone = False

            def make_room() -> int:
                nonlocal has_gone
                has_gone = self._keeper.make_room(is_clearing=self._is_clearing)
                return has_gone

            self._attempt(make_room)
            if has_gone:
                self._version += 1
        if self._is_clearing:
            with self._condition:
                self._is_clearing = False
                self._condition.notify_all()

    def _attempt(self, write: Callable[[], int]) -> bool:
        """Whether the file could be written; says so once where it could not."""
        try:
            write()
        except sqlite3.Error as error:
            if not self._failure:
                _LOGGER.exception(
                    "%s cannot be written; senders are asked to keep what they have", self._path
                )
            with self._condition:
                self._failure = f"{self._path}: cannot be written: {error}"
                self._condition.notify_all()
            return False
        self._failure = ""
        return True

    # Readers.

    @contextmanager
    def _answers(self) -> Generator[Answers]:
        with self._readers.lent() as connection:
            connection.execute("BEGIN")
            try:
                yield Answers(connection)
            finally:
                connection.execute("ROLLBACK")

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class _Readers:
    """Connections for questions: each is lent to one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._is_closed = False

    @contextmanager
    def lent(self) -> Generator[sqlite3.Connection]:
        """A connection, for a while. Raises StoreError when the file cannot be read, or is closed."""
        with self._lock:
            if self._is_closed:
                raise StoreError(f"{self._path}: the store is closed")
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or open_reader(self._path)
            yield connection
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: cannot be read: {error}") from error
        finally:
            if connection is not None:
                self._give_back(connection)

    def close(self) -> None:
        """Close those that are idle; one that is lent is closed when it comes back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._is_closed:
                self._idle.append(connection)
                return
        connection.close()


def _statistics(connection: sqlite3.Connection, bounds: Bounds, version: int) -> StoreStatistics:
    run = connection.execute
    spans, logs, points = run(
        "SELECT coalesce(sum(spans), 0), coalesce(sum(logs), 0), coalesce(sum(points), 0) FROM part"
    ).fetchone()
    oldest: Any = run("SELECT came_ns FROM batch ORDER BY id LIMIT 1").fetchone()
    return StoreStatistics(
        spans=spans,
        logs=logs,
        points=points,
        traces=run("SELECT count(DISTINCT trace_id) FROM trace").fetchone()[0],
        series=run("SELECT count(*) FROM series").fetchone()[0],
        bytes=run("PRAGMA page_count").fetchone()[0] * run("PRAGMA page_size").fetchone()[0],
        max_bytes=bounds.max_bytes,
        max_age_s=bounds.max_age_s,
        oldest_ns=oldest[0] if oldest else 0,
        evicted=dict(run("SELECT reason, records FROM eviction")),
        version=version,
    )
