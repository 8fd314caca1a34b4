"""From where on something counts as too much. Times in seconds."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Thresholds"]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What rules compare with; the defaults are those of the reference.

    Attributes:
        repeats: SELECTs of one kind under one parent that are a query for each row.
        repeats_s: that they take at least, in all.
        repeats_share: of their parent's time that they take at least.
        slow_s: a statement that takes longer is slow.
        rows: a result of more is large.
        transaction_s: a transaction that lasts longer is long.
        round_trips: statements in a transaction beyond which it is chatty.
        idle_s: a gap in a transaction.
        pool_wait_s: for a connection.
        alike_per_minute: equal reads that a cache could answer.
    """

    repeats: int = 5
    repeats_s: float = 0.02
    repeats_share: float = 0.1
    slow_s: float = 0.5
    rows: int = 10_000
    transaction_s: float = 1.0
    round_trips: int = 20
    idle_s: float = 0.1
    pool_wait_s: float = 0.01
    alike_per_minute: int = 60
