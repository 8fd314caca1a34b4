"""Sketch: how long many calls took, in buckets that grow by 2 %, so that sketches add up."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tickspan_desk.store._hot import walk

__all__ = [
    "Sketch",
    "Slow",
    "merge",
    "pack_sketch",
    "pack_slow",
    "packed_quantile_ns",
    "quantile_ns",
    "unpack_sketch",
    "unpack_slow",
]

_BUCKET: Final = struct.Struct("<HI")
_SLOW: Final = struct.Struct("<QB")
_MOST: Final = 0xFFFF_FFFF
_LONGEST_ID: Final = 0xFF

Sketch = dict[int, int]
"""Bucket to calls; bucket 0 holds those of no duration."""
Slow = tuple[int, bytes]
"""Duration and trace id."""


def merge(into: Sketch, other: Mapping[int, int]) -> None:
    """Add the calls of another sketch."""
    for bucket, calls in other.items():
        into[bucket] = into.get(bucket, 0) + calls


def quantile_ns(sketch: Mapping[int, int], quantile: float) -> int:
    """The duration that `quantile` of the calls do not exceed, within 1 %; 0 without a call.

    The rank is that of the nearest call; the value is the geometric middle of its bucket.
    """
    calls = sum(sketch.values())
    return _from_above(((bucket, sketch[bucket]) for bucket in sorted(sketch, reverse=True)), calls, quantile)


def packed_quantile_ns(packed: bytes, calls: int, quantile: float) -> int:
    """As `quantile_ns`, of a packed sketch of so many calls: high quantiles are near its end."""
    places = range(len(packed) - _BUCKET.size, -1, -_BUCKET.size)
    return _from_above((_bucket(packed, place) for place in places), calls, quantile)


def _bucket(packed: bytes, place: int) -> tuple[int, int]:
    bucket: Any = _BUCKET.unpack_from(packed, place)
    return bucket


def _from_above(buckets: Iterable[tuple[int, int]], calls: int, quantile: float) -> int:
    above = calls - 1 - min(int(quantile * calls), calls - 1)
    for bucket, count in buckets:
        above -= count
        if above < 0:
            return round(walk.GROWTH ** (bucket - 0.5)) if bucket else 0
    return 0


def pack_sketch(sketch: Mapping[int, int]) -> bytes:
    """Six bytes for each bucket."""
    return b"".join(_BUCKET.pack(bucket, min(calls, _MOST)) for bucket, calls in sorted(sketch.items()))


def unpack_sketch(packed: bytes) -> Sketch:
    """The inverse of `pack_sketch`."""
    sketch: Sketch = {}
    walk.add_sketch(sketch, packed)
    return sketch


def pack_slow(slow: Iterable[Slow]) -> bytes:
    """Nine bytes and the id, for each."""
    return b"".join(
        _SLOW.pack(duration, len(trace_id[:_LONGEST_ID])) + trace_id[:_LONGEST_ID]
        for duration, trace_id in slow
    )


def unpack_slow(packed: bytes) -> list[Slow]:
    """The inverse of `pack_slow`."""
    found, position = list[Slow](), 0
    while position < len(packed):
        duration, size = _SLOW.unpack_from(packed, position)
        position += _SLOW.size
        found.append((duration, packed[position : position + size]))
        position += size
    return found
