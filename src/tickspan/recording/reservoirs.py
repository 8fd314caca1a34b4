"""Reservoirs: which measurements of an interval are kept as exemplars.

They take no lock, since a measurement may come from a signal handler that interrupts another. Threads that
offer at once may displace one another's sample. Nothing is drawn from the global `random`.
"""

from __future__ import annotations

import os
import random
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

_generator: Final = random.Random(os.urandom(32))  # noqa: S311 - a sample is no secret


def _seed_anew() -> None:
    _generator.seed(os.urandom(32))


os.register_at_fork(after_in_child=_seed_anew)


class Sample(NamedTuple):
    """A measurement that may become an exemplar. Ids are 0 for none; attributes are clean."""

    value: int | float
    time_ns: int
    trace_id: int
    span_id: int
    attributes: Mapping[str, Any]
    context: object


Exemplar = tuple[int, int | float, int, int, Mapping[str, Any]]
"""As `wire` writes it: time, value, trace id, span id, the attributes that the series does not have."""


class Reservoir(Protocol):
    """Keeps some of the samples of one series."""

    def offer(self, sample: Sample) -> None:
        """Consider a sample. Never raises."""
        ...

    def taken(self, attributes: Mapping[str, Any]) -> list[Exemplar]:
        """The samples since the last time. `attributes` are the series'."""
        ...


class LatestOfBucket:
    """The latest sample in each bucket of a histogram."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._kept: dict[int, Sample] = {}

    def offer(self, sample: Sample) -> None:
        """Keep it in place of the bucket's one."""
        self._kept[bisect_left(self._bounds, sample.value)] = sample

    def taken(self, attributes: Mapping[str, Any]) -> list[Exemplar]:
        """In the order of the buckets."""
        kept, self._kept = self._kept, {}
        return _told(kept, attributes)


class Uniform:
    """`size` samples, each measurement with the same chance."""

    def __init__(self, size: int, draw: Callable[[int], int] = _generator.randrange) -> None:
        self._size = size
        self._draw = draw
        self._seen = 0
        self._kept: dict[int, Sample] = {}

    def offer(self, sample: Sample) -> None:
        """Keep it, if there is room or the dice say so."""
        self._seen += 1
        place = self._seen - 1 if self._seen <= self._size else self._draw(self._seen)
        if place < self._size:
            self._kept[place] = sample

    def taken(self, attributes: Mapping[str, Any]) -> list[Exemplar]:
        """In no order that matters."""
        kept, self._kept = self._kept, {}
        self._seen = 0
        return _told(kept, attributes)


def _told(kept: dict[int, Sample], attributes: Mapping[str, Any]) -> list[Exemplar]:
    # A copy first: another thread may have taken hold of the old one just before.
    return [exemplar_of(sample, attributes) for _, sample in sorted(kept.copy().items())]


def exemplar_of(sample: Sample, attributes: Mapping[str, Any]) -> Exemplar:
    """The sample without what the series' attributes say anyway."""
    rest = {key: value for key, value in sample.attributes.items() if key not in attributes}
    return (sample.time_ns, sample.value, sample.trace_id, sample.span_id, rest)
