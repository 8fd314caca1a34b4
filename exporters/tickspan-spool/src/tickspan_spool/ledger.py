"""Ledger: what became of every item. `ended = delivered + in_spool + dropped`, to the unit.

It needs no bookkeeping of its own. Sequence numbers are consumed by everything that ends, written or lost.
The page of a process says how many were lost on the writing side, an acknowledgement how many are settled and
up to which number. What was passed over and is in neither was lost on the disk: `damaged`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .layout import Acknowledgement, PageCounts, by_reason
from .reasons import REASONS, Reason


@dataclass(frozen=True, slots=True)
class Ledger:
    """The items of one signal, of one process or of many."""

    ended: int = 0
    delivered: int = 0
    in_spool: int = 0
    dropped: Mapping[Reason, int] = field(default_factory=dict[Reason, int])

    @property
    def is_balanced(self) -> bool:
        """Whether it adds up; true of every ledger that `balance` makes."""
        return self.ended == self.delivered + self.in_spool + sum(self.dropped.values())


def balance(counts: PageCounts, ack: Acknowledgement) -> Ledger:
    """The ledger of one track.

    Args:
        counts: of the track's signal, from its process's page.
        ack: what the track has settled. Its `next_sequence` may be ahead of the page, which is written after
            the record: a process can die in between.
    """
    settled = ack.delivered + sum(ack.dropped)
    skipped = ack.next_sequence - settled
    waiting = max(0, counts.ended - ack.next_sequence - max(0, counts.passed - skipped))
    dropped = [mine + theirs for mine, theirs in zip(counts.drops, ack.dropped, strict=True)]
    dropped[REASONS.index(Reason.DAMAGED)] += max(0, skipped - counts.passed)
    delivered = ack.delivered + counts.handed
    return Ledger(delivered + waiting + sum(dropped), delivered, waiting, by_reason(tuple(dropped)))


def add(ledgers: Iterable[Ledger]) -> Ledger:
    """The sum, such as that of many processes."""
    ended = delivered = in_spool = 0
    dropped: dict[Reason, int] = {}
    for ledger in ledgers:
        ended += ledger.ended
        delivered += ledger.delivered
        in_spool += ledger.in_spool
        for reason, count in ledger.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return Ledger(ended, delivered, in_spool, dropped)
