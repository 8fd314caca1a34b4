"""Counts by category, from any thread and without a lock."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Final

from tickspan.logs.category import Category

__all__ = ["CategoryCounts"]

_SYSTEM: Final = Category.SYSTEM.value
_COUNT: Final = re.compile(r"\d+")


class CategoryCounts:
    """How many records there were of each category; those without one are the system's.

    One step of `itertools.count` is atomic, and costs less than any other way to count across threads; what
    it has come to stands in its `repr`.
    """

    __slots__ = ("_counters",)

    def __init__(self, counters: dict[str, itertools.count[int]] | None = None) -> None:
        """`counters` may be kept by somebody who counts by himself."""
        self._counters: dict[str, itertools.count[int]] = {} if counters is None else counters

    def __repr__(self) -> str:
        return f"<CategoryCounts {self.counts()}>"

    def add(self, category: str | None) -> None:
        """One more."""
        name = category or _SYSTEM
        try:
            next(self._counters[name])
        except KeyError:
            next(self._counters.setdefault(name, itertools.count()))

    def counts(self) -> Mapping[str, int]:
        """So far."""
        return {
            name: int(_COUNT.findall(repr(counter))[0]) for name, counter in self._counters.copy().items()
        }

    def forget(self) -> None:
        """A forked child begins at zero."""
        self._counters.clear()
