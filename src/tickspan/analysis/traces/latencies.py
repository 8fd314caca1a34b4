"""Latencies: a histogram of durations that is small, can be added up, and tells quantiles within 3.2 %."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["Latencies"]

_STEPS: Final = 16
"""Buckets for each doubling."""
_SHIFT: Final = 4
_TOP: Final = (64 << _SHIFT) | (_STEPS - 1)


class Latencies:
    """Durations in nanoseconds, counted in buckets a sixteenth of a doubling wide, as HDR histograms do.

    At most about 1,000 buckets, however much is added; for one thread.
    """

    __slots__ = ("_buckets", "count")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0

    def __repr__(self) -> str:
        return f"<Latencies {self.count}, p50 {self.quantile(0.5):.6f} s, p95 {self.quantile(0.95):.6f} s>"

    def add(self, duration_ns: int) -> None:
        """One more."""
        self.count += 1
        bucket = _bucket(duration_ns)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def merge(self, other: Latencies) -> None:
        """All of another."""
        self.count += other.count
        for bucket, number in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + number

    def halved(self) -> Latencies:
        """The same shape with half the count: what is added from now on weighs more."""
        made = Latencies()
        for bucket, number in self._buckets.items():
            if number > 1:
                made._buckets[bucket] = number // 2
                made.count += number // 2
        return made

    def quantile(self, share: float) -> float:
        """Seconds below which this share (0 to 1) of all lies; 0 when nothing was added."""
        wanted = share * self.count
        passed = 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= wanted:
                return _middle_ns(bucket) / 1e9
        return 0.0

    def to_text(self) -> str:
        """For a column of a table: `bucket:count` pairs."""
        return " ".join(f"{bucket}:{self._buckets[bucket]}" for bucket in sorted(self._buckets))

    @classmethod
    def from_text(cls, text: str) -> Latencies:
        """What `to_text` gave. Raises `ValueError` when it is none."""
        made = cls()
        for bucket, number in _pairs(text):
            made._buckets[bucket] = made._buckets.get(bucket, 0) + number
            made.count += number
        return made


def _pairs(text: str) -> Iterable[tuple[int, int]]:
    for pair in text.split():
        bucket, _, number = pair.partition(":")
        if not (bucket.isdecimal() and number.isdecimal() and int(bucket) <= _TOP):
            raise ValueError(f"expected 'bucket:count' pairs, got {pair[:40]!r}")
        yield int(bucket), int(number)


def _bucket(duration_ns: int) -> int:
    if duration_ns < _STEPS:
        return max(duration_ns, 0)
    doublings = duration_ns.bit_length() - _SHIFT
    return (doublings << _SHIFT) | (duration_ns >> (doublings - 1)) & (_STEPS - 1)


def _middle_ns(bucket: int) -> float:
    if bucket < _STEPS:
        return float(bucket)
    doublings = bucket >> _SHIFT
    return ((bucket & (_STEPS - 1) | _STEPS) + 0.5) * (1 << (doublings - 1))
