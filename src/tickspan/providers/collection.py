"""Collection: series become records of a bounded size, with pauses for the application's threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from tickspan.providers.sink import Records
from tickspan.recording import diagnostics
from tickspan.recording._impl import metering
from tickspan.recording.cardinality import cardinality_of

MAX_POINTS: Final = 250
"""Points in one record, and points between two pauses."""
MAX_BYTES: Final = 128 * 1024
"""Bytes after which a record takes no further metric; also of attributes in one metric."""


_PAUSE_S: Final = 0.000_05


def give_way() -> None:
    """Let another thread have the GIL. It must wake up first: a sleep of no length would be over before."""
    time.sleep(_PAUSE_S)


class Batch:
    """Joins metrics of one scope to records of at most 250 points."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._parts: list[bytes] = []
        self._items = 0
        self._size_bytes = 0

    def add(self, metric: bytes, points: int) -> None:
        """Take a metric of at most 250 points."""
        if self._items + points > MAX_POINTS or self._size_bytes > MAX_BYTES:
            self.hand_over()
        self._parts.append(metric)
        self._items += points
        self._size_bytes += len(metric)

    def hand_over(self) -> None:
        """What there is goes to the sink."""
        if self._items:
            self._records.append(b"".join(self._parts), self._items)
        self._parts = []
        self._items = 0
        self._size_bytes = 0


class Collection:
    """One collection: its time, its deadline, and how much was done since the last pause."""

    def __init__(
        self,
        time_ns: int,
        deadline: float,
        monotonic: Callable[[], float],
        pause: Callable[[], None] = give_way,
    ) -> None:
        self._time_ns = time_ns
        self._deadline = deadline
        self._monotonic = monotonic
        self._pause = pause
        self._since_pause = 0

    @property
    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self._monotonic() > self._deadline

    def hand_over(self, scope: str, streams: Iterable[metering.Stream], records: Records) -> bool:
        """All streams of one scope. False when time ran out: what is left waits for the next collection.

        A stream that has refused attribute sets is told, once.
        """
        batch = Batch(records)
        try:
            for stream in streams:
                if stream.newly_refused():
                    self._tell_refused(scope, stream)
                if not self._add(stream, batch):
                    return False
            return True
        finally:
            batch.hand_over()

    def _tell_refused(self, scope: str, stream: metering.Stream) -> None:
        name, limit, refused, kept = stream.cardinality()
        diagnostics.warning("%s", cardinality_of(scope, name, limit, refused, self._paced(kept)))

    def _paced(self, series: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for number, attributes in enumerate(series):
            if number % MAX_POINTS == 0:
                self._pause()
            yield attributes

    def _add(self, stream: metering.Stream, batch: Batch) -> bool:
        for chunk in stream.chunks(MAX_POINTS, MAX_BYTES):
            if self._since_pause + len(chunk) > MAX_POINTS:
                self._since_pause = 0
                self._pause()
                if self.is_late:
                    return False
            metric, points = stream.encode(chunk, self._time_ns)
            self._since_pause += len(chunk)
            if points:
                batch.add(metric, points)
        return True
