"""Attention: the metrics that somebody reads in the process itself, every second, beside their collection.

What is measured is read from the accumulators, which does not disturb them. What is observed is asked for
every second, on the collector's thread: a callback that hangs keeps nobody else waiting than it does anyway.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, NamedTuple, Protocol

from opentelemetry.metrics import CallbackOptions
from opentelemetry.trace import get_current_span

from tickspan.providers.instruments import Observed, Recorded
from tickspan.recording import Guard, clean_attributes
from tickspan.recording._impl import metering

__all__ = ["Attention", "Collects", "Series"]

INTERVAL_S: Final = 1.0
_CHUNK: Final = 64
"""Series that are read in one go: a C loop of at most some 200 microseconds."""
_MAX_OBSERVED: Final = 2_000
"""Series of one instrument that is observed."""
_CALLBACK_TIMEOUT_MS: Final = 1_000.0
_SHARE: Final = 0.01
"""Of its thread's time that asking one instrument may take."""
_MAX_INT: Final = 1 << 63


class Series(NamedTuple):
    """What one series has come to.

    Attributes:
        metric: name of it.
        kind: `metering.SUM`, `LAST_VALUE`, `BUCKETS` or `EXPONENTIAL`.
        is_monotonic: of a sum.
        bounds: of explicit buckets.
        attributes: of the series.
        start_ns: when adding up began, since 1970; 0 for what is no sum.
        value: as `metering.Stream.read` has it.
        worst: the same.
    """

    metric: str
    kind: int
    is_monotonic: bool
    bounds: tuple[float, ...]
    attributes: Mapping[str, Any]
    start_ns: int
    value: Any
    worst: tuple[float, int, int] | None


class Collects(Protocol):
    """A meter provider."""

    def collect(self, timeout_millis: float = 10_000, names: AbstractSet[str] | None = None) -> bool:
        """Hand some metrics to the sink; None is all."""
        ...


class Attention:
    """Belongs to one provider. Reading is safe from any thread, and sees a forked child's own series only."""

    interval_s: float = INTERVAL_S

    def __init__(self, provider: Collects, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._provider = weakref.ref(provider)
        self._monotonic = monotonic
        self._wanted: Mapping[str, int] = {}
        self._hastened: frozenset[str] = frozenset()
        self._streams: dict[int, metering.Stream] = {}
        self._probes: dict[int, _Probe] = {}
        self._ids = _GuardedIds()

    def __repr__(self) -> str:
        return f"<Attention to {len(self._wanted)} metrics, {len(self._streams)} streams>"

    @property
    def is_needed(self) -> bool:
        """Whether something has to be done every second."""
        return bool(self._probes or self._hastened)

    def turn(
        self, wanted: Mapping[str, int], hastened: AbstractSet[str], instruments: Iterable[Recorded]
    ) -> None:
        """Attend to these metrics from now on, and to no others.

        Args:
            wanted: names of metrics; 1 where greater values are worse, -1 where lesser are, 0 where nobody
                wants to know the worst.
            hastened: metrics that are collected every second.
            instruments: those that there are.
        """
        self._wanted, self._hastened = dict(wanted), frozenset(hastened)
        self._streams, self._probes = {}, {}
        for instrument in instruments:
            self.note(instrument)

    def note(self, instrument: Recorded) -> None:
        """There is an instrument."""
        found = [stream for stream in instrument.streams if stream.name in self._wanted]
        if isinstance(instrument, Observed):
            if found:
                self._probes.setdefault(id(instrument), _Probe(instrument, frozenset(self._wanted)))
            return
        direction = max((self._wanted[stream.name] for stream in found), key=_priority, default=0)
        instrument.recorder.watch(direction, self._ids if direction else None)
        for stream in found:
            self._streams[id(stream)] = stream

    def collect(self) -> bool:
        """Ask what is observed, and collect what is wanted every second."""
        for probe in list(self._probes.values()):
            probe.ask(self._monotonic)
        provider = self._provider()
        if provider is None or not self._hastened:
            return True
        return provider.collect(names=self._hastened)

    def restart(self) -> None:
        """This is a forked child: what the parent observed is not its own."""
        for probe in self._probes.values():
            probe.forget()

    def read(self) -> Iterator[Series]:
        """All series of the metrics attended to. Each has a worst measurement once."""
        for stream in list(self._streams.values()):
            kind, is_monotonic, _, bounds, _ = stream.shape
            slots = stream.series()
            for first in range(0, len(slots), _CHUNK):
                found = stream.read(slots[first : first + _CHUNK], takes_worst=True)
                for attributes, start_ns, value, worst in found:
                    yield Series(stream.name, kind, is_monotonic, bounds, attributes, start_ns, value, worst)
        for probe in list(self._probes.values()):
            yield from probe.read()


def _priority(direction: int) -> int:
    """Greater is worse, if anybody thinks so."""
    return {0: 0, -1: 1, 1: 2}[direction]


class _GuardedIds:
    """Trace and span id of a context, or of the current one; zeros where there is no span."""

    def __init__(self) -> None:
        self._guard = Guard("watching", "metrics")

    def __call__(self, context: Any) -> tuple[int, int]:
        return self._guard.own(_ids_of, context, default=(0, 0))


def _ids_of(context: Any) -> tuple[int, int]:
    span = get_current_span(context).get_span_context()
    return span.trace_id, span.span_id


class _Probe:
    """Asks an observed instrument for what it observes now, and keeps that; stands for its recorder."""

    def __init__(self, instrument: Observed, wanted: frozenset[str]) -> None:
        self._instrument = instrument
        self._streams = [
            (plan.name, plan.shape.kind, plan.is_monotonic, plan.keys, stream)
            for plan, stream in zip(instrument.plans, instrument.streams, strict=True)
            if plan.name in wanted
        ]
        self._guard = Guard("asking for", instrument.stock.name)
        self._not_before_s = -math.inf
        self._asked: dict[Any, Series] = {}
        self._seen: dict[Any, Series] = {}
        self._start_ns = 0

    def forget(self) -> None:
        """Nothing was observed."""
        self._seen = {}
        self._start_ns = 0

    def ask(self, monotonic: Callable[[], float]) -> None:
        """Run the callbacks, unless they are so slow that it is not their turn."""
        began_s = monotonic()
        if began_s < self._not_before_s or not self._instrument.recorder.is_enabled:
            return
        self._start_ns = self._start_ns or time.time_ns()
        self._asked = {}
        for callback in self._instrument.callbacks():
            self._guard.own(callback.measure, self, CallbackOptions(_CALLBACK_TIMEOUT_MS), default=None)
        self._seen, self._asked = self._asked, {}
        self._not_before_s = began_s + (monotonic() - began_s) / _SHARE

    def read(self) -> Iterable[Series]:
        """What was observed last."""
        return tuple(self._seen.values())

    def measure(self, amount: Any, attributes: Any = None, context: Any = None) -> None:
        """As a recorder's: one observation. Those of a sum that views make equal are added up."""
        del context
        if type(amount) not in {int, float} or not math.isfinite(amount) or abs(amount) >= _MAX_INT:
            return
        cleaned = clean_attributes(attributes or {})
        for name, kind, is_monotonic, keys, _ in self._streams:
            kept = cleaned if keys is None else {key: cleaned[key] for key in cleaned if key in keys}
            series = (name, kind, frozenset((key, repr(value)) for key, value in kept.items()))
            known, earlier = self._asked.get(series), self._seen.get(series)
            if known is None and len(self._asked) >= _MAX_OBSERVED:
                continue
            is_sum = kind == metering.SUM
            value = amount + known.value if known is not None and is_sum else amount
            start_ns = self._start_ns if is_sum else 0
            told = kept if earlier is None else earlier.attributes  # the same object: readers know it again
            self._asked[series] = Series(name, kind, is_monotonic, (), told, start_ns, value, None)
