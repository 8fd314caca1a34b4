"""What a process did lately, over all its traces: what a rule needs that one trace cannot show."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from tickspan.analysis.traces.call import DatabaseCall
from tickspan.analysis.traces.latencies import Latencies
from tickspan.analysis.traces.trace import Trace
from tickspan.semconv.db import TICKSPAN_DB_POOL_WAIT

__all__ = ["MINUTE_NS", "NOTICEABLE_WAIT_S", "Endings", "Habits", "Recurrence"]

MINUTE_NS: Final = 60 * 10**9
NOTICEABLE_WAIT_S: Final = 0.001
"""Of waits for a connection, shorter ones are none."""
_KEPT_TIMES: Final = 10
_HALVED_AT: Final = 20_000
"""Samples of one statement's latency after which old ones count half."""


@dataclass(slots=True)
class Recurrence:
    """Equal things of the last minute.

    Attributes:
        since_ns: when its minute began.
        count: in that minute.
        total_ns: of their durations.
        times_ns: of the last ten.
    """

    since_ns: int
    count: int = 0
    total_ns: int = 0
    times_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))

    def add(self, at_ns: int, duration_ns: int) -> None:
        """One more; a minute that is over begins anew."""
        if at_ns - self.since_ns > MINUTE_NS:
            self.since_ns, self.count, self.total_ns = at_ns, 0, 0
        self.count += 1
        self.total_ns += duration_ns
        self.times_ns.append(at_ns)

    def span_s(self, number: int) -> float | None:
        """Seconds in which the last `number` came, at most ten; None when there were not so many."""
        if len(self.times_ns) < number:
            return None
        return (self.times_ns[-1] - self.times_ns[-number]) / 1e9


@dataclass(slots=True)
class Endings:
    """Transactions of the last minute, by what they were.

    Attributes:
        since_ns: when the minute began.
        all: that ended.
        single_reads: of one statement, that wrote nothing and was rolled back.
        round_trip_ns: time of their ROLLBACKs.
    """

    since_ns: int = 0
    all: int = 0
    single_reads: int = 0
    round_trip_ns: int = 0


class Habits:
    """Of one process. Bounded: the groups that were not seen longest go first, and are counted in `evicted`.

    For one thread. Time is that of the spans.
    """

    def __init__(self, max_groups: int = 50_000) -> None:
        self.evicted = 0
        self._max_groups = max_groups
        self._recurring = 0
        self._reads: dict[Hashable, Recurrence] = {}
        self._root_reads: dict[Hashable, Recurrence] = {}
        self._table_writes: dict[Hashable, Recurrence] = {}
        self._errors: dict[Hashable, Recurrence] = {}
        self._waits: dict[Hashable, Recurrence] = {}
        self._latencies: dict[tuple[str, str, str], Latencies] = {}
        self._endings: dict[tuple[str, str], Endings] = {}

    def __repr__(self) -> str:
        return f"<Habits {self.groups} groups, {self.evicted} evicted>"

    @property
    def groups(self) -> int:
        """That are kept."""
        return self._recurring + len(self._latencies) + len(self._endings)

    def take(self, trace: Trace) -> None:
        """Note what a trace did. Rules look at the trace before that."""
        for call in trace.calls:
            self._take_call(call)
        for transaction in trace.transactions:
            if transaction.end is not None:
                is_single = transaction.statements == 1 and not transaction.writes
                is_single = is_single and transaction.end.verb == "ROLLBACK"
                self._take_end(transaction.end, is_single=is_single)

    def latencies(self, call: DatabaseCall) -> Latencies:
        """Of calls like this one."""
        return self._latencies.get(_like(call)) or Latencies()

    def reads(self, call: DatabaseCall) -> Recurrence | None:
        """Equal reads, parameters included."""
        return self._reads.get(_equal(call))

    def root_reads(self, call: DatabaseCall) -> Recurrence | None:
        """Equal reads that had no parent, parameters included."""
        return self._root_reads.get(_equal(call))

    def writes_to(self, table: str) -> int:
        """In the minute up to the last write to it."""
        found = self._table_writes.get(table)
        return found.count if found is not None else 0

    def errors(self, call: DatabaseCall) -> Recurrence | None:
        """With the same code."""
        return self._errors.get((call.system, call.error_code))

    def waits(self, call: DatabaseCall) -> int:
        """For connections to this database, in the last minute."""
        found = self._waits.get((call.system, call.namespace))
        return found.count if found is not None else 0

    def endings(self, call: DatabaseCall) -> Endings:
        """Transactions on this database."""
        return self._endings.get((call.system, call.namespace)) or Endings()

    def forget(self, until_ns: int) -> None:
        """Drop what did not recur since then; latencies stay, since they are what is usual."""
        for table in (self._reads, self._root_reads, self._table_writes, self._errors, self._waits):
            self._recurring -= _drop_before(table, until_ns)

    def _take_call(self, call: DatabaseCall) -> None:
        if call.error_code:
            self._recur(self._errors, (call.system, call.error_code), call)
        if call.is_write:
            for table in call.tables:
                self._recur(self._table_writes, table, call)
        elif call.is_read and call.tables and call.params_hash is not None:
            self._recur(self._reads, _equal(call), call)
            if not call.span.parent_id:
                self._recur(self._root_reads, _equal(call), call)
        if (call.number(TICKSPAN_DB_POOL_WAIT) or 0.0) > NOTICEABLE_WAIT_S:
            self._recur(self._waits, (call.system, call.namespace), call)
        self._take_latency(call)

    def _take_latency(self, call: DatabaseCall) -> None:
        key = _like(call)
        known = self._latencies.pop(key, None)
        if known is None:
            self._make_room()
            known = Latencies()
        elif known.count >= _HALVED_AT:
            known = known.halved()
        known.add(call.duration_ns)
        self._latencies[key] = known

    def _take_end(self, end: DatabaseCall, *, is_single: bool) -> None:
        key = (end.system, end.namespace)
        found = self._endings.get(key)
        if found is None or end.span.end_ns - found.since_ns > MINUTE_NS:
            found = self._endings[key] = Endings(end.span.end_ns)
        found.all += 1
        found.single_reads += is_single
        found.round_trip_ns += end.duration_ns if is_single else 0

    def _recur(self, table: dict[Hashable, Recurrence], key: Hashable, call: DatabaseCall) -> None:
        found = table.pop(key, None)
        if found is None:
            self._make_room()
            self._recurring += 1
            found = Recurrence(call.span.start_ns)
        found.add(call.span.start_ns, call.duration_ns)
        table[key] = found  # at the end: the first of a table is what was not seen longest

    def _make_room(self) -> None:
        if self.groups < self._max_groups:
            return
        self.evicted += 1
        largest = max((self._reads, self._root_reads, self._table_writes, self._errors), key=len)
        if len(largest) > len(self._latencies):
            del largest[next(iter(largest))]
            self._recurring -= 1
        else:
            del self._latencies[next(iter(self._latencies))]


def _drop_before(table: dict[Hashable, Recurrence], until_ns: int) -> int:
    """How many went."""
    old = list(takewhile(lambda key: table[key].times_ns[-1] < until_ns, table))  # later ones stand behind
    for key in old:
        del table[key]
    return len(old)


def _equal(call: DatabaseCall) -> tuple[str, str]:
    return call.fingerprint, call.params_hash or ""


def _like(call: DatabaseCall) -> tuple[str, str, str]:
    return call.system, call.namespace, call.fingerprint or call.verb
