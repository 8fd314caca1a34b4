"""Request size: what a destination takes, learnt from its refusals."""

from __future__ import annotations

from collections.abc import Sequence

from tickspan_spool.entries import Entry, StreamKey


class RequestSize:
    """The size that passes, once something was too large. Counted in bytes of records and their headings.

    A refusal of one record teaches nothing: that is about the record.
    """

    __slots__ = ("_passed_bytes", "_refused_bytes")

    def __init__(self) -> None:
        self._passed_bytes = 0
        self._refused_bytes: int | None = None

    @property
    def limit_bytes(self) -> int | None:
        """The largest that passed; None while nothing is refused, or nothing has passed since."""
        return self._passed_bytes or None if self._refused_bytes is not None else None

    def refuse(self, part: Sequence[Entry]) -> None:
        """Several records together were too large."""
        self._refused_bytes = _Measure().add_all(part)
        if self._passed_bytes >= self._refused_bytes:  # the destination has become stricter
            self._passed_bytes = 0

    def accept(self, part: Sequence[Entry]) -> None:
        """These passed."""
        if self._refused_bytes is None:  # the usual case costs nothing
            return
        size_bytes = _Measure().add_all(part)
        self._passed_bytes = max(self._passed_bytes, size_bytes)
        if size_bytes >= self._refused_bytes:
            self._refused_bytes = None  # it was about one record, or is no longer

    def fitting(self, entries: Sequence[Entry]) -> int:
        """How many of the first entries are within the limit; at least one."""
        limit_bytes = self.limit_bytes
        if limit_bytes is None:
            return len(entries)
        measure = _Measure()
        for index, entry in enumerate(entries):
            if measure.add(entry) > limit_bytes and index > 0:
                return index
        return len(entries)


class _Measure:
    """The bytes of records, and of what is written once for many of them."""

    __slots__ = ("_size_bytes", "_streams")

    def __init__(self) -> None:
        self._size_bytes = 0
        self._streams: set[StreamKey] = set()

    def add(self, entry: Entry) -> int:
        """One more; the sum so far."""
        self._size_bytes += len(entry.body)
        if entry.stream not in self._streams:
            self._streams.add(entry.stream)
            self._size_bytes += len(entry.stream.resource) + len(entry.stream.scope)
        return self._size_bytes

    def add_all(self, entries: Sequence[Entry]) -> int:
        """The sum of all."""
        for entry in entries:
            self.add(entry)
        return self._size_bytes
