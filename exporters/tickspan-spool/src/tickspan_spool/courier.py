"""Courier: carries the records of many sources to one destination, in order, each batch until it is settled.

It has no thread of its own: whoever has one calls `step()`, performs the wait that comes back, calls again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from .entries import Entry, Signal
from .reasons import Reason

BATCH_RECORDS: Final = 512
BATCH_BYTES: Final = 1 << 20


class Source(Protocol):
    """Where records wait: a track of a process's folder, or a ring in memory."""

    @property
    def signal(self) -> Signal:
        """What kind of records."""
        ...

    def read(self, max_records: int, max_bytes: int) -> list[Entry]:
        """The oldest records that are not acknowledged; the same ones again until they are."""
        ...

    def acknowledge(self, entries: Sequence[Entry], delivered: int, dropped: Mapping[Reason, int]) -> None:
        """These are settled, for good."""
        ...


class Verdict(Protocol):
    """What one attempt came to; `wait_s` says when the next makes sense."""

    @property
    def is_done(self) -> bool:
        """Whether the batch is settled: delivered, dropped, or some of each."""
        ...

    @property
    def delivered(self) -> int:
        """Items that the receiver took."""
        ...

    @property
    def dropped(self) -> Mapping[Reason, int]:
        """Items that it did not take, and why."""
        ...

    @property
    def wait_s(self) -> float:
        """How long to wait before the next attempt."""
        ...

    @property
    def explanation(self) -> str:
        """What went wrong, for people; empty when nothing did."""
        ...


class Carrier(Protocol):
    """The way to one destination; `sender.Delivery` is one."""

    def attempt(self, entries: Sequence[Entry]) -> Verdict:
        """Try to send these entries."""
        ...


class Step(NamedTuple):
    """What one call of `Courier.step` came to.

    Attributes:
        delivered: items that were taken.
        dropped: items that were not and never will be.
        wait_s: how long the destination wants to be left alone.
        is_idle: nothing was there to send.
        is_stuck: a batch waits for its next attempt.
        is_full: the batch was as large as it may be: there is probably more.
        explanation: what went wrong, for people.
    """

    delivered: int = 0
    dropped: int = 0
    wait_s: float = 0.0
    is_idle: bool = False
    is_stuck: bool = False
    is_full: bool = False
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class _Pending:
    source: Source
    entries: list[Entry]


class Courier:
    """Takes turns among its sources. `add` and `remove` may come from any thread, `step` from one."""

    def __init__(
        self, carrier: Carrier, max_records: int = BATCH_RECORDS, max_bytes: int = BATCH_BYTES
    ) -> None:
        self._carrier = carrier
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sources: list[Source] = []
        self._next = 0
        self._pending: _Pending | None = None

    def __repr__(self) -> str:
        waiting = len(self._pending.entries) if self._pending else 0
        return f"<Courier {len(self._sources)} sources, {waiting} records under way>"

    @property
    def is_empty(self) -> bool:
        """Whether it has no source."""
        return not self._sources

    def add(self, source: Source) -> None:
        """Carry what this source has, from now on."""
        with self._lock:
            self._sources = [*self._sources, source]

    def remove(self, source: Source) -> None:
        """Forget this source; a batch of it that is under way is not acknowledged any more."""
        with self._lock:
            self._sources = [other for other in self._sources if other is not source]

    def step(self) -> Step:
        """Send one batch, or try again with the one that is not settled."""
        pending = self._pending or self._gather()
        if pending is None:
            return Step(is_idle=True)
        self._pending = pending
        verdict = self._carrier.attempt(pending.entries)
        if not verdict.is_done:
            if pending.source not in self._sources:
                self._pending = None
            return Step(wait_s=verdict.wait_s, is_stuck=True, explanation=verdict.explanation)
        self._pending = None
        if pending.source in self._sources:
            pending.source.acknowledge(pending.entries, verdict.delivered, verdict.dropped)
        return Step(
            verdict.delivered,
            sum(verdict.dropped.values()),
            verdict.wait_s,
            is_full=self._is_full(pending.entries),
            explanation=verdict.explanation,
        )

    def _is_full(self, entries: Sequence[Entry]) -> bool:
        """Also when the next record was only just too large: half the bytes are taken as all of them."""
        return len(entries) >= self._max_records or sum(len(e.body) for e in entries) * 2 >= self._max_bytes

    def _gather(self) -> _Pending | None:
        """The next batch; the source after the last one that had something is asked first."""
        sources = self._sources
        for turn in range(len(sources)):
            index = (self._next + turn) % len(sources)
            entries = sources[index].read(self._max_records, self._max_bytes)
            if entries:
                self._next = index + 1
                return _Pending(sources[index], entries)
        return None
