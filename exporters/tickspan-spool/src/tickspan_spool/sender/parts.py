"""Parts: a batch on its way, cut where requests begin and end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tickspan_spool.entries import Entry
from tickspan_spool.reasons import Reason


class Parts:
    """One batch: a settled front, then the parts that are still to be sent, in order.

    The boundaries of a part that may have arrived are fixed: it is sent again as it was.
    """

    __slots__ = ("_delivered", "_dropped", "_entries", "_start", "_stops", "is_fixed", "is_split")

    def __init__(self) -> None:
        self._entries: Sequence[Entry] = ()
        self._start = 0
        self._stops: list[int] = []  # where the parts end, the first one last
        self._delivered = 0
        self._dropped: Counter[Reason] = Counter()
        self.is_fixed = False
        """Whether the boundaries of the first part have to stay."""
        self.is_split = False
        """Whether a part of this batch was too large for the destination."""

    def take(self, entries: Sequence[Entry]) -> None:
        """Go on with these when they begin with the batch in hand, else begin anew with them."""
        known = len(self._entries)
        if known and entries is not self._entries and list(entries[:known]) != list(self._entries):
            self._forget()
            known = 0
        if len(entries) > known:
            self._entries = tuple(entries)
            self._stops.insert(0, len(entries))

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be sent."""
        return not self._stops

    @property
    def first(self) -> Sequence[Entry]:
        """The part that is next."""
        return self._entries[self._start : self._stops[-1]]

    def fix(self) -> None:
        """The first part may have arrived."""
        self.is_fixed = True

    def cut(self, count: int) -> None:
        """Let the first part have this many entries at most."""
        if self._start + count < self._stops[-1]:
            self._stops.append(self._start + count)

    def halve(self) -> None:
        """The destination has answered: the first part is too large."""
        self.is_fixed = False
        self.is_split = True
        self.cut((self._stops[-1] - self._start + 1) // 2)

    def settle(self, delivered: int, reason: Reason, dropped: int) -> None:
        """The first part is through: this many items delivered, this many dropped."""
        self._start = self._stops.pop()
        self.is_fixed = False
        self._delivered += delivered
        if dropped:
            self._dropped[reason] += dropped

    def finish(self) -> tuple[int, dict[Reason, int]]:
        """What became of the whole batch; nothing is in hand afterwards."""
        counts = self._delivered, dict(self._dropped)
        self._forget()
        return counts

    def _forget(self) -> None:
        self._entries, self._start = (), 0
        self._stops.clear()
        self._delivered = 0
        self._dropped.clear()
        self.is_fixed = False
        self.is_split = False
