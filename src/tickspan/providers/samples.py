"""Samples: what is read of the kernel or the interpreter at one moment, and the instruments that tell it.

Instruments of the catalogue are asked at collection, one after the other; a sample that was just taken
serves them all.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from tickspan.semconv.catalogue import METRICS

__all__ = ["Sample", "Sampler", "Shares", "Value", "observe"]

FRESH_S: Final = 0.1
"""How long a sample serves further instruments."""
SHORTEST_S: Final = 0.9
"""Over less time, shares are not reckoned anew: a clock tick would be too much of it."""


class Value(NamedTuple):
    """One series of a metric at this moment."""

    value: float
    attributes: Mapping[str, str | int]


Sample = Mapping[str, Sequence[Value]]
"""Values by metric; a metric that nobody could read is missing."""


class Sampler(Protocol):
    """What takes samples. For one thread at a time."""

    def sample(self) -> Sample:
        """Read now."""
        ...


class Shares:
    """Shares of time out of growing sums of seconds, by mode."""

    def __init__(self) -> None:
        self._since_s = 0.0
        self._seconds: Mapping[str, float] = {}
        self._shares: Mapping[str, float] = {}

    def of(self, seconds: Mapping[str, float], now_s: float, parallel: float = 1.0) -> Mapping[str, float]:
        """The shares since last time, or the last ones when that is not long ago; empty at first.

        Args:
            seconds: sums by mode; when one has fallen, another process begins.
            now_s: any monotonic clock.
            parallel: seconds that can pass in one, such as CPUs; 0 where the modes are all of it.
        """
        elapsed_s = now_s - self._since_s
        if self._seconds and elapsed_s < SHORTEST_S:
            return self._shares
        grown = {mode: sum_s - self._seconds.get(mode, 0.0) for mode, sum_s in seconds.items()}
        is_first = not self._seconds or min(grown.values(), default=0.0) < 0
        whole = elapsed_s * parallel if parallel else sum(grown.values())
        self._since_s, self._seconds = now_s, dict(seconds)
        self._shares = {} if is_first or whole <= 0 else {mode: part / whole for mode, part in grown.items()}
        return self._shares


def observe(
    meter: Meter,
    sampler: Sampler,
    names: Iterable[str],
    monotonic: Callable[[], float] = time.monotonic,
    before: Callable[[], object] | None = None,
) -> None:
    """Make the instruments of these metrics, as the catalogue has them; they tell what `sampler` reads.

    `before` is called each time that one of them is asked.
    """
    shared = _Shared(sampler, monotonic)
    for name in names:
        metric = METRICS[name]
        create = {
            "counter": meter.create_observable_counter,
            "updowncounter": meter.create_observable_up_down_counter,
            "gauge": meter.create_observable_gauge,
        }[metric.instrument]
        create(name, [_asking(shared, name, before)], metric.unit, metric.brief)


class _Shared:
    """The last sample, as long as it is fresh. Safe for any thread: while one reads, others get the last."""

    def __init__(self, sampler: Sampler, monotonic: Callable[[], float]) -> None:
        self._sampler = sampler
        self._monotonic = monotonic
        self._stale_s = 0.0
        self._sample: Sample = {}
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._reading = threading.Lock()

    def values(self, name: str) -> Sequence[Value]:
        if self._pid != os.getpid():  # a forked child may have got a lock that nobody holds
            self._begin()
        if self._monotonic() >= self._stale_s and self._reading.acquire(blocking=False):
            try:
                self._sample = self._sampler.sample()
                self._stale_s = self._monotonic() + FRESH_S
            finally:
                self._reading.release()
        return self._sample.get(name, ())


def _asking(
    shared: _Shared, name: str, before: Callable[[], object] | None
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def ask(_options: CallbackOptions) -> Iterable[Observation]:
        if before is not None:
            before()
        values: Any = shared.values(name)
        return [Observation(value, attributes) for value, attributes in values]

    return ask
