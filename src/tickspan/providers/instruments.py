"""Instruments: the SDK's by class, so that everybody who asks is content; what they record goes to ours.

A recorder's method is put on the instrument itself, where it hides the class's: a call goes straight there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import Any, Final, cast

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics._internal.instrument import (
    _Counter,
    _Gauge,
    _Histogram,
    _ObservableCounter,
    _ObservableGauge,
    _ObservableUpDownCounter,
    _UpDownCounter,
)
from opentelemetry.util.types import Attributes

from tickspan.providers.views import StreamPlan
from tickspan.recording import Guard
from tickspan.recording._impl import metering

MAX_OBSERVATIONS: Final = 100_000
"""Of one callback in one collection: a generator may never end."""


class Callback:
    """A user's callback behind the guard: after ten errors it is not called again."""

    def __init__(self, callback: Any, instrument: str) -> None:
        self._guard = Guard("callback of metric", instrument)
        self._call: Callable[[CallbackOptions], Iterable[Observation]] = callback
        if isinstance(callback, Generator):
            self._call = _Sent(cast("Generator[Iterable[Observation], CallbackOptions, None]", callback))
            self._guard.user(self._call.begin, default=None)

    def __call__(self, options: CallbackOptions) -> list[Observation]:
        """What is observed, up to an error; for the SDK's own readers."""
        seen: list[Observation] = []
        self._guard.user(self._each, options, seen.append, default=None)
        return seen

    def measure(self, recorder: metering.Recorder, options: CallbackOptions) -> None:
        """Record what is observed, up to an error."""

        def record(seen: Observation) -> None:
            recorder.measure(seen.value, seen.attributes, seen.context)

        self._guard.user(self._each, options, record, default=None)

    def _each(self, options: CallbackOptions, take: Callable[[Observation], None]) -> None:
        for seen in islice(self._call(options), MAX_OBSERVATIONS):
            take(seen)


class _Sent:
    """A generator as a callback: it is sent the options and yields what it observed."""

    def __init__(self, generator: Generator[Iterable[Observation], CallbackOptions, None]) -> None:
        self._generator = generator

    def begin(self) -> None:
        """Go to the first `yield`."""
        next(self._generator)

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:
        try:
            return self._generator.send(options)
        except StopIteration:
            return ()


class Recorded:
    """What our instruments have in common: the state of the SDK's, for foreign readers, and a recorder."""

    recorder: metering.Recorder
    streams: list[metering.Stream]
    plans: tuple[StreamPlan, ...] = ()
    """What the streams were made of."""
    stock: Any
    """The SDK's own instrument."""
    _method: str = ""
    """The API's name of `measure`; empty for observed instruments."""

    @classmethod
    def over(cls, stock: Any, recorder: metering.Recorder, streams: list[metering.Stream]) -> Any:
        """An instrument of ours in the state of the SDK's."""
        ours: Any = cls.__new__(cls)
        vars(ours).update(vars(stock))
        ours.stock = stock
        ours.recorder = recorder
        ours.streams = streams
        if cls._method:
            setattr(ours, cls._method, recorder.measure)
        return ours

    def share(self, is_shared: bool) -> None:
        """Whether foreign readers get the measurements too, from the SDK's instrument."""
        if self._method:
            guard = Guard("metric reader", self.stock.name)
            method = getattr(self.stock, self._method)
            self.recorder.also = _Also(guard, method) if is_shared else None


class _Also:
    """The SDK's instrument, which raises for what is no number."""

    __slots__ = ("_guard", "_method")

    def __init__(self, guard: Guard, method: Callable[..., None]) -> None:
        self._guard = guard
        self._method = method

    def __call__(self, amount: Any, attributes: Attributes, context: Context | None) -> None:
        self._guard.user(self._method, amount, attributes, context, default=None)


class Bindable(Recorded):
    """An instrument that is recorded to."""

    def bind(self, attributes: Attributes = None) -> metering.Bound:
        """One series, found once: its `add`, `record`, `set` cost a fraction of the instrument's.

        An extension of OpenTelemetry's API, for loops that always measure under the same attributes.
        """
        return self.recorder.bind(attributes)


class Counter(Bindable, _Counter):
    """Adds what is not negative."""

    _method = "add"

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Add `amount`, which is not negative."""
        self.recorder.measure(amount, attributes, context)


class UpDownCounter(Bindable, _UpDownCounter):
    """Adds."""

    _method = "add"

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Add `amount`."""
        self.recorder.measure(amount, attributes, context)


class Histogram(Bindable, _Histogram):
    """Counts values in buckets."""

    _method = "record"

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Count `amount`."""
        self.recorder.measure(amount, attributes, context)


class Gauge(Bindable, _Gauge):
    """Keeps the latest value."""

    _method = "set"

    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Keep `amount`."""
        self.recorder.measure(amount, attributes, context)


class Observed(Recorded):
    """An instrument that is asked at collection."""

    _callbacks: list[Any]

    def callbacks(self) -> list[Callback]:
        """The callbacks, in their order."""
        return list(self._callbacks)

    def observe(self, options: CallbackOptions) -> None:
        """Run the callbacks."""
        if self.recorder.is_enabled:
            for callback in self._callbacks:
                callback.measure(self.recorder, options)


class ObservableCounter(Observed, _ObservableCounter):
    """Observes a total that does not fall."""


class ObservableUpDownCounter(Observed, _ObservableUpDownCounter):
    """Observes a total."""


class ObservableGauge(Observed, _ObservableGauge):
    """Observes a value."""
