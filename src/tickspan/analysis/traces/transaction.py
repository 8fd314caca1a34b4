"""A transaction: statements that share an id, and the call that ended them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tickspan.analysis.traces.call import DatabaseCall
from tickspan.semconv import db

__all__ = ["Transaction", "transactions_of"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Times in seconds; what its end tells counts, since its statements may lie in other traces.

    Attributes:
        id: that its calls share; "" for one of whom only the end is known.
        calls: its statements in this trace, by their start.
        end: COMMIT or ROLLBACK; None while it is not known.
        statements: how many it had.
        writes: how many of them changed rows.
        start_ns: of its first statement.
        end_ns: when its end was asked for, else when its last statement ended.
        idle_s: in which none of its calls ran.
        idle_max_s: the longest gap.
    """

    id: str
    calls: tuple[DatabaseCall, ...]
    end: DatabaseCall | None
    statements: int
    writes: int
    start_ns: int
    end_ns: int
    idle_s: float
    idle_max_s: float

    @property
    def duration_s(self) -> float:
        """From its first statement until its end was asked for."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def example(self) -> DatabaseCall:
        """The call to show for the whole: its end, else its last statement."""
        return self.end if self.end is not None else self.calls[-1]


def transactions_of(calls: Iterable[DatabaseCall]) -> list[Transaction]:
    """Those that the calls of a trace tell of, by their start."""
    grouped: dict[str, list[DatabaseCall]] = {}
    lonely: list[DatabaseCall] = []
    for call in calls:
        if call.transaction_id:
            grouped.setdefault(f"{call.system}/{call.namespace}/{call.transaction_id}", []).append(call)
        elif call.is_end and call.number(db.TICKSPAN_DB_TRANSACTION_STATEMENTS):
            lonely.append(call)
    found = [_transaction(members) for members in grouped.values()]
    found += [_transaction([end]) for end in lonely]
    return sorted(found, key=lambda transaction: transaction.start_ns)


def _transaction(members: list[DatabaseCall]) -> Transaction:
    members.sort(key=lambda call: call.span.start_ns)
    end = next((call for call in reversed(members) if call.is_end), None)
    calls = tuple(call for call in members if call is not end and call.statement is not None)
    last_ns = end.span.start_ns if end is not None else max(call.span.end_ns for call in members)
    gaps = _gaps_s(calls, last_ns)
    told_s = _told(end, db.TICKSPAN_DB_TRANSACTION_DURATION)
    first_ns = last_ns - round(told_s * 1e9) if told_s is not None else members[0].span.start_ns
    statements = _told(end, db.TICKSPAN_DB_TRANSACTION_STATEMENTS)
    writes = _told(end, db.TICKSPAN_DB_TRANSACTION_WRITES)
    idle_s = _told(end, db.TICKSPAN_DB_TRANSACTION_IDLE)
    idle_max_s = _told(end, db.TICKSPAN_DB_TRANSACTION_IDLE_MAX)
    return Transaction(
        id=members[0].transaction_id,
        calls=calls,
        end=end,
        statements=len(calls) if statements is None else int(statements),
        writes=sum(call.is_write for call in calls) if writes is None else int(writes),
        start_ns=min(first_ns, members[0].span.start_ns),
        end_ns=last_ns,
        idle_s=sum(gaps) if idle_s is None else idle_s,
        idle_max_s=max(gaps, default=0.0) if idle_max_s is None else idle_max_s,
    )


def _told(end: DatabaseCall | None, name: str) -> float | None:
    return None if end is None else end.number(name)


def _gaps_s(calls: Iterable[DatabaseCall], end_ns: int) -> list[float]:
    """Between neighbours, and before the end."""
    gaps: list[float] = []
    busy_until_ns: int | None = None
    for call in calls:
        if busy_until_ns is not None and call.span.start_ns > busy_until_ns:
            gaps.append((call.span.start_ns - busy_until_ns) / 1e9)
        busy_until_ns = max(busy_until_ns or 0, call.span.end_ns)
    if busy_until_ns is not None and end_ns > busy_until_ns:
        gaps.append((end_ns - busy_until_ns) / 1e9)
    return gaps
