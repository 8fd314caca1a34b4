"""Meter provider: the SDK's, and with a sink one that adds up by itself and hands over OTLP bytes."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, Final

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import Attributes

from tickspan.providers.attention import Attention
from tickspan.providers.collection import Collection
from tickspan.providers.collector import COLLECTOR
from tickspan.providers.exemplars import asked_filter, reservoirs_of, sampler_of
from tickspan.providers.forked import of_this_process
from tickspan.providers.instruments import (
    Callback,
    Counter,
    Gauge,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    Observed,
    Recorded,
    UpDownCounter,
)
from tickspan.providers.preferences import Preferences
from tickspan.providers.sink import Records, Sink, key_of
from tickspan.providers.views import StreamPlan, streams_of
from tickspan.recording import Guard
from tickspan.recording._impl import metering
from tickspan.recording.cardinality import Cardinality, cardinality_of, worst_first

Clock = Callable[[], int]
"""Wall-clock nanoseconds since the epoch."""

_MILLISECONDS: Final = 1_000
_CALLBACK_TIMEOUT_MS: Final = 10_000.0


class Meter(sdk.Meter):
    """Makes our instruments over the SDK's, which foreign readers go on reading."""

    _owner: MeterProvider
    observed: list[Observed]
    """Those of the instruments that are asked at collection."""
    _recorded: dict[Any, Recorded]
    _records: tuple[Resource, Records] | None

    @staticmethod
    def like(meter: sdk.Meter, owner: MeterProvider) -> Meter:
        """A meter of ours in the state of the SDK's."""
        ours = Meter.__new__(Meter)
        vars(ours).update(vars(meter))
        ours._owner = owner  # noqa: SLF001 - our own class
        ours.observed = []
        ours._recorded = {}  # noqa: SLF001
        ours._records = None  # noqa: SLF001
        return ours

    def instruments(self) -> list[Recorded]:
        """Those made so far."""
        return list(self._recorded.values())

    def streams(self) -> Iterator[metering.Stream]:
        """The metric streams of the instruments."""
        for instrument in self.instruments():
            yield from instrument.streams

    def records(self, sink: Sink, resource: Resource) -> Records:
        """Where this scope's metrics go."""
        if self._records is None or self._records[0] is not resource:
            self._records = (resource, sink.stream(key_of("metrics", resource, self._instrumentation_scope)))
        return self._records[1]

    def restart(self) -> None:
        """Begin at zero: this is a forked child, in which a lock may be held by nobody."""
        self._instrument_registration_lock = threading.Lock()
        self._instrument_ids_lock = threading.Lock()
        self._records = None
        for instrument in self.instruments():
            instrument.recorder.restart()

    def _set_meter_config(self, meter_config: Any) -> None:
        super()._set_meter_config(meter_config)
        for instrument in self.instruments():
            instrument.recorder.is_enabled = self._is_enabled()

    def _ours(self, stock: Any, kind: type[Recorded]) -> Any:
        """The instrument of ours over the SDK's, always the same one."""
        known = self._recorded.get(stock)
        if known is not None:
            return known
        made = self._owner.recorded(stock, kind)
        made.recorder.is_enabled = self._is_enabled()
        kept = self._recorded.setdefault(stock, made)
        if kept is made and isinstance(made, Observed):
            self.observed.append(made)
            self._owner.start_collecting()
        return kept

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        """As the API says."""
        return self._ours(super().create_counter(name, unit, description), Counter)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        """As the API says."""
        return self._ours(super().create_up_down_counter(name, unit, description), UpDownCounter)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        """As the API says."""
        stock = super().create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory
        )
        return self._ours(stock, Histogram)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> api._Gauge:
        """As the API says."""
        return self._ours(super().create_gauge(name, unit, description), Gauge)

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> api.ObservableCounter:
        """As the API says."""
        stock = super().create_observable_counter(name, _guarded(callbacks, name), unit, description)
        return self._ours(stock, ObservableCounter)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> api.ObservableGauge:
        """As the API says."""
        stock = super().create_observable_gauge(name, _guarded(callbacks, name), unit, description)
        return self._ours(stock, ObservableGauge)

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> api.ObservableUpDownCounter:
        """As the API says."""
        stock = super().create_observable_up_down_counter(name, _guarded(callbacks, name), unit, description)
        return self._ours(stock, ObservableUpDownCounter)


def _guarded(callbacks: Sequence[Any] | None, instrument: str) -> list[Any]:
    return [Callback(callback, instrument) for callback in callbacks or ()]


class MeterProvider(sdk.MeterProvider):
    """The SDK's provider; zero arguments will do. With a `sink`, metrics go there as OTLP bytes.

    With a sink, measurements are added up by recorders of ours, and collected by one thread of the process.
    Foreign readers get the SDK's full semantics beside that, from the SDK's own instruments.

    Args:
        metric_readers: foreign readers.
        resource: of all metrics.
        exemplar_filter: which measurements may be exemplars; the sink gets none unless this or
            `OTEL_METRICS_EXEMPLAR_FILTER` asks for some.
        shutdown_on_exit: whether there is a last collection at exit.
        views: the SDK's.
        sink: where metrics go; None is exactly the SDK.
        clock: wall-clock nanoseconds of what goes to the sink.
        extras: the SDK's other arguments.
    """

    interval_s: float
    """Between two collections for the sink."""

    def __init__(
        self,
        metric_readers: Sequence[MetricReader] = (),
        resource: Resource | None = None,
        exemplar_filter: sdk.ExemplarFilter | None = None,
        shutdown_on_exit: bool = True,
        views: Sequence[View] = (),
        *,
        sink: Sink | None = None,
        clock: Clock = time.time_ns,
        **extras: Any,
    ) -> None:
        self._sink = sink
        if sink is not None:  # before the SDK's constructor: readers ask for a meter in it
            self._clock = clock
            self._preferences = Preferences.from_environment(os.environ)
            self.interval_s = self._preferences.interval_s
            asked = asked_filter(exemplar_filter, os.environ)
            self._sampler = None if asked is None else sampler_of(asked, clock)
            self._guard = Guard("collection of", "metrics")
            self._must_renew = False
            self._is_closed = False
            self._attention: Attention | None = None
            self._begin_collecting_in_this_process()
        super().__init__(
            metric_readers,
            resource,
            exemplar_filter,
            shutdown_on_exit and sink is None,
            views,
            **extras,
        )
        if sink is not None and shutdown_on_exit:
            self._atexit_handler = atexit.register(self.close)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> api.Meter:
        """The meter of a scope; the same object each time."""
        meter = super().get_meter(name, version, schema_url, attributes)
        if self._sink is None or not isinstance(meter, sdk.Meter) or isinstance(meter, Meter):
            return meter
        with self._meter_lock:
            scope = meter._instrumentation_scope  # noqa: SLF001 - the key the SDK keeps it under
            kept = self._meters[scope]
            if not isinstance(kept, Meter):
                kept = self._meters[scope] = Meter.like(kept, self)
            return kept

    def recorded(self, stock: Any, kind: type[Recorded]) -> Recorded:
        """A new instrument of ours over the SDK's."""
        plans = streams_of(stock, self._sdk_config.views, self._preferences)
        streams = [self._stream(plan) for plan in plans]
        recorder = metering.Recorder(stock.name, streams, kind in {Counter, Histogram})
        recorder.sample = self._sampler
        made = kind.over(stock, recorder, streams)
        made.plans = plans
        made.share(self._is_shared)
        if self._attention is not None:
            self._attention.note(made)
            self._keep_attending(self._attention)
        return made

    def attend(self, wanted: Mapping[str, int], hastened: AbstractSet[str] = frozenset()) -> Attention | None:
        """Let metrics be read in the process, for which see `Attention.turn`; None without a sink."""
        if self._sink is None:
            return None
        if self._attention is None:
            self._attention = Attention(self)
        made = (instrument for meter in self._own_meters() for instrument in meter.instruments())
        self._attention.turn(wanted, hastened, made)
        self._keep_attending(self._attention)
        return self._attention

    def streams(self) -> Iterator[metering.Stream]:
        """The metric streams that go to the sink."""
        for meter in self._own_meters():
            yield from meter.streams()

    def _keep_attending(self, attention: Attention) -> None:
        if attention.is_needed and not self._is_closed:
            COLLECTOR.watch(attention)
        else:
            COLLECTOR.leave(attention)

    def collect(self, timeout_millis: float = 10_000, names: AbstractSet[str] | None = None) -> bool:
        """Hand what was measured to the sink. False when another collection or a callback took all the time.

        Safe from any thread; a callback that calls this gets False. `names` are those of the metrics that are
        collected; None is all.
        """
        if self._sink is None:
            return True
        deadline = time.monotonic() + timeout_millis / _MILLISECONDS
        if not self._collecting.acquire(timeout=max(0.0, timeout_millis / _MILLISECONDS)):
            return False
        try:
            if self._is_collecting:  # in this very thread: a callback or a signal handler calls
                return False
            self._is_collecting = True
            try:
                return self._guard.own(self._collect, self._sink, deadline, names, default=False)
            finally:
                self._is_collecting = False
        finally:
            self._collecting.release()

    def cardinality(self) -> tuple[Cardinality, ...]:
        """How many attribute sets each metric of the sink has; those that refused most come first."""
        return worst_first(
            cardinality_of(meter.name, *stream.cardinality())
            for meter in self._own_meters()
            for stream in meter.streams()
        )

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Collect, flush foreign readers and the sink, within one budget. Returns whether all did."""
        if self._sink is None:
            return super().force_flush(timeout_millis)
        deadline = time.monotonic() + timeout_millis / _MILLISECONDS
        is_collected = self.collect(timeout_millis)
        is_flushed = not self._is_shared or self._readers.user(
            super().force_flush, _left_ms(deadline), default=False
        )
        return self._sink.force_flush(_left_ms(deadline) / _MILLISECONDS) and is_flushed and is_collected

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Collect a last time; what is measured afterwards is not recorded. The sink stays open."""
        if self._sink is None:
            super().shutdown(timeout_millis)
            return
        deadline = time.monotonic() + timeout_millis / _MILLISECONDS
        self._collect_last(timeout_millis)
        for meter in self._own_meters():
            for instrument in meter.instruments():
                instrument.recorder.is_enabled = False
        self._readers.user(super().shutdown, _left_ms(deadline), default=None)

    def close(self, timeout_millis: float = 2_000) -> None:
        """The process ends: collect a last time and shut foreign readers down. Recording goes on."""
        if self._sink is None:
            self.shutdown()
            return
        deadline = time.monotonic() + timeout_millis / _MILLISECONDS
        self._collect_last(timeout_millis)
        if self._is_shared and not self._shutdown:
            self._readers.user(super().shutdown, _left_ms(deadline), default=None)

    def add_metric_reader(self, metric_reader: MetricReader) -> None:
        """Let a foreign reader read from now on."""
        super().add_metric_reader(metric_reader)
        self._share()

    def remove_metric_reader(self, metric_reader: MetricReader) -> None:
        """Let a foreign reader go."""
        super().remove_metric_reader(metric_reader)
        self._share()

    def start_collecting(self) -> None:
        """There is something to collect: see to it that somebody does, also at the end of the process."""
        if not self._is_closed:
            COLLECTOR.watch(self)
            _collect_at_end_of_child(self)
            _collect_at_end_of_worker(self)

    @property
    def _is_shared(self) -> bool:
        """Whether there are foreign readers."""
        return bool(self._measurement_consumer._reader_storages)  # noqa: SLF001 - the only place that knows

    def _share(self) -> None:
        for meter in self._own_meters():
            for instrument in meter.instruments():
                instrument.share(self._is_shared)

    def _own_meters(self) -> list[Meter]:
        return [meter for meter in list(self._meters.values()) if isinstance(meter, Meter)]

    def _stream(self, plan: StreamPlan) -> metering.Stream:
        shape = plan.shape
        return metering.Stream(
            plan.name,
            plan.description,
            plan.unit,
            shape.kind,
            plan.temporality,
            plan.is_monotonic,
            plan.is_synchronous,
            self._clock,
            keys=plan.keys,
            bounds=shape.bounds,
            size=shape.size,
            scale=shape.scale,
            has_extremes=shape.has_extremes,
            new_reservoir=None if self._sampler is None else reservoirs_of(plan),
            on_first=self._on_first,
        )

    def _on_first(self) -> None:
        self._guard.own(self.start_collecting, default=None)

    def _collect(self, sink: Sink, deadline: float, names: AbstractSet[str] | None) -> bool:
        self._renew()
        meters = self._own_meters()
        is_observed = _observe(meters, deadline, names)
        collection = Collection(self._clock(), deadline, time.monotonic)
        resource = self._sdk_config.resource
        is_complete = all(
            collection.hand_over(meter.name, _named(meter.streams(), names), meter.records(sink, resource))
            for meter in meters
        )
        return is_observed and is_complete

    def _collect_last(self, timeout_millis: float) -> None:
        self._is_closed = True
        COLLECTOR.leave(self)
        if self._attention is not None:
            COLLECTOR.leave(self._attention)
        self.collect(timeout_millis)

    def _handle_fork(self) -> None:
        if self._sink is None or self._is_shared:
            super()._handle_fork()
        else:
            self._lock = threading.Lock()
            self._meter_lock = threading.Lock()
            type(self)._all_metric_readers_lock = threading.Lock()  # noqa: SLF001 - as upstream does
            self._must_renew = True
        if self._sink is not None:
            self._begin_collecting_in_this_process()
            COLLECTOR.after_fork()
            for meter in self._own_meters():
                meter.restart()
            if any(meter.observed for meter in self._own_meters()):
                self._on_first()
            if self._attention is not None:
                self._attention.restart()
                self._keep_attending(self._attention)

    def _begin_collecting_in_this_process(self) -> None:
        self._collecting = threading.RLock()
        self._is_collecting = False
        self._readers = Guard("metric readers", "flush")
        self._is_known_to_multiprocessing = False

    def _renew(self) -> None:
        """Take over the resource of a forked child: not in the fork itself, which must be quick."""
        if self._must_renew:
            self._must_renew = False
            self._sdk_config.resource = of_this_process(self._sdk_config.resource)


def _left_ms(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic()) * _MILLISECONDS


def _named(streams: Iterator[metering.Stream], names: AbstractSet[str] | None) -> Iterator[metering.Stream]:
    return streams if names is None else (stream for stream in streams if stream.name in names)


def _observe(meters: Sequence[Meter], deadline: float, names: AbstractSet[str] | None) -> bool:
    """Run all callbacks, or those of named metrics; False when the time was up before the last."""
    for meter in meters:
        for instrument in list(meter.observed):
            if names is not None and not any(stream.name in names for stream in instrument.streams):
                continue
            left_ms = _left_ms(deadline)
            if not left_ms:
                return False
            instrument.observe(CallbackOptions(min(left_ms, _CALLBACK_TIMEOUT_MS)))
    return True


def _collect_at_end_of_child(provider: MeterProvider) -> None:
    """Children of `multiprocessing` end without `atexit`; its own finalisers are cleared at their start."""
    util: Any = sys.modules.get("multiprocessing.util")
    process: Any = sys.modules.get("multiprocessing.process")
    if util is None or process is None or provider._is_known_to_multiprocessing:  # noqa: SLF001 - our own class
        return
    provider._is_known_to_multiprocessing = True  # noqa: SLF001
    util.register_after_fork(provider, _finalise_with_multiprocessing)
    if process.parent_process() is not None:
        _finalise_with_multiprocessing(provider)


def _finalise_with_multiprocessing(provider: MeterProvider) -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(None, _close, args=(weakref.ref(provider),), exitpriority=0)


def _collect_at_end_of_worker(provider: MeterProvider) -> None:
    """Pre-forked workers of celery end by `os._exit`, after a signal of its own; once for each provider."""
    signals: Any = sys.modules.get("celery.signals")
    if signals is not None:
        close = partial(_close, weakref.ref(provider))
        signals.worker_process_shutdown.connect(
            close, weak=False, dispatch_uid=f"tickspan metrics {id(provider)}"
        )


def _close(reference: weakref.ref[MeterProvider], **_sent: Any) -> None:
    provider = reference()
    if provider is not None:
        provider.close()
