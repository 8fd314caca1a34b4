"""Counts of what happened, by kind, from any thread and without a lock."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from typing import Final

_all: Final[list[Tally]] = []


def _restart_all() -> None:
    for tally in _all:
        tally.restart()


os.register_at_fork(after_in_child=_restart_all)


class Tally:
    """Counts for a closed set of kinds; made once, by the module that counts.

    No path takes a lock, since a fork could inherit it held: one step of `itertools.count` is atomic, so that
    threads that count at once get distinct numbers.
    """

    __slots__ = ("_counters", "_seen")

    def __init__(self, kinds: Iterable[str]) -> None:
        self._counters = {kind: itertools.count(1) for kind in kinds}
        self._seen = dict.fromkeys(self._counters, 0)
        _all.append(self)

    def __repr__(self) -> str:
        return f"<Tally {self.counts()}>"

    def add(self, kind: str) -> int:
        """One more of `kind`; its number.

        Raises:
            KeyError: `kind` was not announced: the set is closed, so that it can label a metric.
        """
        number = next(self._counters[kind])
        self._seen[kind] = max(self._seen[kind], number)
        return number

    def counts(self) -> dict[str, int]:
        """How many there were of each kind that occurred."""
        return {kind: count for kind, count in self._seen.items() if count}

    def restart(self) -> None:
        """Begin at zero again: what a forked child counts is not its parent's."""
        for kind in self._counters:
            self._counters[kind] = itertools.count(1)
            self._seen[kind] = 0
