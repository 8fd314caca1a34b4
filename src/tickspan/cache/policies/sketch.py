"""Sketch: about how often keys were used lately, in a few bytes for each (count-min, halved with time)."""

from __future__ import annotations

from typing import Final

from tickspan.cache.entry import Key
from tickspan.cache.policies.hashes import hash_of

__all__ = ["Sketch"]

_HIGHEST: Final = 15
_PERIOD: Final = 10
_HALVED: Final = bytes(number >> 1 for number in range(256))
_SMALLEST: Final = 64


class Sketch:
    """Counts to 15, in four places for each key; all are halved after ten uses for each key it is made for.

    Conservative: only the lowest of a key's places grow, so that keys that share places disturb less.
    """

    __slots__ = ("_counts", "_mask", "_uses", "capacity")

    def __init__(self, capacity: int) -> None:
        self.capacity = max(capacity, _SMALLEST)
        """How many keys it is made for."""
        width = 1 << (4 * self.capacity - 1).bit_length()
        self._counts = bytearray(width)
        self._mask = width - 1
        self._uses = 0

    def __repr__(self) -> str:
        return f"<Sketch of {self.capacity} keys, {len(self._counts)} bytes>"

    def add(self, key: Key) -> None:
        """One more use."""
        counts = self._counts
        a, b, c, d = self._places(key)
        lowest = min(counts[a], counts[b], counts[c], counts[d])
        if lowest < _HIGHEST:
            for place in (a, b, c, d):
                if counts[place] == lowest:
                    counts[place] = lowest + 1
        self._uses += 1
        if self._uses >= _PERIOD * self.capacity:
            self._uses //= 2
            self._counts = counts.translate(_HALVED)

    def estimate(self, key: Key) -> int:
        """About how often it was used, from 0 to 15; too many rather than too few."""
        counts = self._counts
        a, b, c, d = self._places(key)
        return min(counts[a], counts[b], counts[c], counts[d])

    def _places(self, key: Key) -> tuple[int, int, int, int]:
        number = hash_of(key)
        low, step, mask = number & 0xFFFFFFFF, (number >> 32) | 1, self._mask
        return low & mask, (low + step) & mask, (low + 2 * step) & mask, (low + 3 * step) & mask
