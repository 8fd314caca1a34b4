"""Epochs: which tags were invalidated, and which values are older than that.

Each tag has a number in the tiers below, and so has each region as a whole; an invalidation makes it larger.
A value carries the numbers of its tags from before it was made. In memory a cell per tag does the same
without I/O.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import Final

from tickspan.cache.clock import Clock
from tickspan.cache.entry import EpochCell
from tickspan.cache.keys import Names, key_of
from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["Epochs", "Seen"]

Seen = tuple[tuple[EpochCell, int], ...]
"""Cells, and their values at some moment."""

REGION_TAG: Final = ""
"""The name, in an envelope, of the number of the whole region."""


class Epochs:
    """The cells of one region. A tag's cell lives as long as a value has it or somebody asks for it."""

    def __init__(self, names: Names, clock: Clock) -> None:
        self._names = names
        self._clock = clock
        self.whole = EpochCell(names.clear)
        """Of the whole region: what `clear` makes larger."""
        self._tags: weakref.WeakValueDictionary[str, EpochCell] = weakref.WeakValueDictionary()
        self._lock = threading.RLock()
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<Epochs of {len(self._tags)} tags, region {self.whole.value}>"

    def cells(self, tags: Iterable[str] = ()) -> tuple[EpochCell, ...]:
        """Of the region, and of tags. Raises `TypeError` for a tag that is no str or too long."""
        if not tags:
            return (self.whole,)
        return (self.whole, *(self._cell(self._names.tag(tag)) for tag in dict.fromkeys(tags)))

    def named(self, texts: Iterable[str]) -> tuple[EpochCell, ...]:
        """The cells of tags as envelopes name them."""
        prefix, whole = self._names.tag_prefix, self.whole
        return tuple([whole if text == REGION_TAG else self._cell(prefix + text) for text in texts])

    def text(self, cell: EpochCell) -> str:
        """What an envelope calls the tag of a cell."""
        return REGION_TAG if cell is self.whole else cell.name[len(self._names.tag_prefix) :]

    def known(self, name: str) -> EpochCell | None:
        """The cell of a name in the tiers below, if there is one."""
        return self.whole if name == self.whole.name else self._tags.get(name)

    def tag(self, cell: EpochCell) -> str:
        """The tag of a cell, as callers write it."""
        return str(key_of(self.text(cell)))

    def bump(self, cell: EpochCell) -> int:
        """Make values void that have the tag; the number that tiers below must reach."""
        with self._lock:
            cell.remote = max(self._clock.now_ms(), cell.remote + 1)
            cell.value += 1
            return cell.remote

    def heard(self, cell: EpochCell) -> None:
        """Somebody else has made values void that have the tag; the number has to be read.

        It may have been read already: who tells is later than who answers. So nothing is said of the number.
        """
        with self._lock:
            cell.value += 1
            cell.read_at = -math.inf

    def forget_numbers(self) -> None:
        """The tiers below may have lost them: they have to be read before the next write."""
        with self._lock:
            for cell in (self.whole, *self._tags.values()):
                cell.read_at = -math.inf

    def learn(self, numbers: Mapping[EpochCell, int], *, are_ours: bool = False) -> None:
        """These numbers stand in a tier; a larger one than was known makes values void, unless it is ours."""
        now_s = self._clock.now_s()
        with self._lock:
            for cell, number in numbers.items():
                if number > cell.remote:
                    if cell.remote and not are_ours:
                        cell.value += 1
                    cell.remote = number
                if number:
                    cell.read_at = now_s

    def after_fork_in_child(self) -> None:
        """The parent's lock may be held by a thread that is not here."""
        self._lock = threading.RLock()

    def _cell(self, name: str) -> EpochCell:
        cell = self._tags.get(name)
        if cell is None:
            with self._lock:
                cell = self._tags.get(name)
                if cell is None:
                    cell = self._tags[name] = EpochCell(name)
        return cell


def seen(cells: Iterable[EpochCell]) -> Seen:
    """The cells with their values of now."""
    return tuple([(cell, cell.value) for cell in cells])


def are_void(seen_before: Seen) -> bool:
    """Whether one of the tags was invalidated since."""
    return any(cell.value > value for cell, value in seen_before)
