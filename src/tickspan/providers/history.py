"""The recent past of a provider's metrics, kept in the process: what `tickspan.performance_summary` looks at.

Each series has a ring of samples. Every few seconds the accumulators are read, which does not disturb them;
what is observed is known as of the last collection.
"""

from __future__ import annotations

import time
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tickspan.providers.collection import give_way
from tickspan.providers.meter import MeterProvider
from tickspan.recording._impl import metering

__all__ = ["History", "Moment", "Past"]

MOST_SERIES: Final = 1_000
"""Series whose past is kept; further ones are counted."""
_CHUNK: Final = 64


class Moment(NamedTuple):
    """A series at one time. The value is as `metering.Stream.read` has it; counts are arrays."""

    at_s: float
    value: Any


class Past(NamedTuple):
    """One series.

    Attributes:
        metric: name of it.
        unit: of it.
        kind: `metering.SUM`, `LAST_VALUE`, `BUCKETS` or `EXPONENTIAL`.
        is_monotonic: of a sum.
        bounds: of explicit buckets.
        attributes: of the series.
        moments: oldest first, by the monotonic clock.
    """

    metric: str
    unit: str
    kind: int
    is_monotonic: bool
    bounds: tuple[float, ...]
    attributes: Mapping[str, Any]
    moments: tuple[Moment, ...]


class _Ring:
    """The samples of one series."""

    __slots__ = ("attributes", "moments", "stream")

    def __init__(self, stream: metering.Stream, attributes: Mapping[str, Any], most: int) -> None:
        self.stream = stream
        self.attributes = attributes
        self.moments: deque[Moment] = deque(maxlen=most)

    def add(self, at_s: float, value: Any) -> None:
        """One more; what has not changed is kept once."""
        if type(value) is tuple:
            before = self.moments[-1].value if self.moments else None
            is_same = before is not None and before[:2] == value[:2]
            value = before if is_same else tuple(_packed(part) for part in value)
        self.moments.append(Moment(at_s, value))


def _packed(part: Any) -> Any:
    return array("Q", part) if type(part) is list else part


class History:
    """Samples a provider as long as the collector thread runs. Safe to read from any thread.

    Args:
        provider: whose metrics.
        most: samples of each series.
        interval_s: between two samples.
        monotonic: for the time of a sample.
    """

    def __init__(
        self,
        provider: MeterProvider,
        most: int,
        interval_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[], None] = give_way,
    ) -> None:
        self.interval_s = interval_s
        self.most = most
        self.left_out = 0
        """Series that found no room at the last sample."""
        self._provider = weakref.ref(provider)
        self._monotonic = monotonic
        self._pause = pause
        self._rings: dict[tuple[int, int], _Ring] = {}

    def __repr__(self) -> str:
        return f"<History of {len(self._rings)} series, {self.left_out} left out>"

    def collect(self) -> bool:
        """Take one sample; series that are no more are forgotten."""
        provider = self._provider()
        if provider is None:
            return False
        now_s = self._monotonic()
        before = self._rings
        rings: dict[tuple[int, int], _Ring] = {}
        left_out = 0
        for stream, attributes, value in self._read(provider):
            key = (id(stream), id(attributes))  # both are held by the ring
            ring = before.get(key)
            if ring is None:
                if len(rings) >= MOST_SERIES:
                    left_out += 1
                    continue
                ring = _Ring(stream, attributes, self.most)
            ring.add(now_s, value)
            rings[key] = ring
        self._rings, self.left_out = rings, left_out
        return True

    def _read(self, provider: MeterProvider) -> Iterator[tuple[metering.Stream, Mapping[str, Any], Any]]:
        done = 0
        for stream in provider.streams():
            slots = stream.series()
            for first in range(0, len(slots), _CHUNK):
                some = slots[first : first + _CHUNK]
                done += len(some)
                if done > _CHUNK:
                    done = len(some)
                    self._pause()
                for attributes, _, value, _ in stream.read(some):
                    yield stream, attributes, value
                for attributes, value in stream.observed(some):
                    yield stream, attributes, value

    def pasts(self, since_s: float) -> list[Past]:
        """All series, with their samples from `since_s` on, by the monotonic clock."""
        found: list[Past] = []
        for ring in list(self._rings.values()):
            kind, is_monotonic, _, bounds, unit = ring.stream.shape
            moments = tuple(moment for moment in ring.moments.copy() if moment.at_s >= since_s)
            if moments:
                found.append(
                    Past(ring.stream.name, unit, kind, is_monotonic, bounds, ring.attributes, moments)
                )
        return found
