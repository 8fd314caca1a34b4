"""Metrics of the program's own business, by name and in one call: `tickspan.record_metric`.

A series is found once and then kept at hand: a further call costs a look-up and the addition. What is
measured before there is a meter provider waits for it, up to 1,000 measurements.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from opentelemetry import metrics
from opentelemetry.metrics import Meter

from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.recording import AttributeValue, Guard, diagnostics
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.metrics import IGNORED_REASON, METRIC_NAME, TICKSPAN_MEASUREMENTS_IGNORED
from tickspan.version import __version__

__all__ = ["Business", "Kind", "KindName", "record_metric"]

SCOPE: Final = "tickspan.business"
MOST_WAITING: Final = 1_000
"""Measurements that wait for a provider; of more the oldest are forgotten."""
MOST_SERIES: Final = 8_192
"""Series at hand; the table is emptied when it is full."""
MOST_DEFINITIONS: Final = 1_000
"""Names of metrics, each with its kinds and units: names are no place for data."""

KindName: TypeAlias = Literal["counter", "rate", "gauge", "histogram"]
Attributes: TypeAlias = Mapping[str, AttributeValue]


class Kind(StrEnum):
    """What becomes of the measurements."""

    COUNTER = "counter"
    """They are added up."""
    RATE = "rate"
    """The same: a rate is the growth of a sum, and only sums of several processes can be added."""
    GAUGE = "gauge"
    """The last one counts."""
    HISTOGRAM = "histogram"
    """They are counted by size."""


class _Definition(NamedTuple):
    kind: Kind
    unit: str


class _Measurement(NamedTuple):
    name: str
    value: float
    kind: str
    unit: str
    attributes: Attributes | None


_Record: TypeAlias = Callable[[Any], None]


class Business:
    """Metrics of one process, by name. Safe for any thread; no call raises or waits.

    Args:
        provider: gives the meter provider, or None while there is none.
    """

    def __init__(self, provider: Callable[[], metrics.MeterProvider | None]) -> None:
        self._provider = provider
        self._guard = Guard("recording", "business metrics")
        self._series: dict[Any, _Record] = {}
        self._definitions: dict[str, list[_Definition]] = {}
        self._instruments: dict[tuple[str, _Definition], Any] = {}
        self._waiting: deque[_Measurement] = deque(maxlen=MOST_WAITING)
        self._told: set[str] = set()
        self._ignored: Any = None

    def __repr__(self) -> str:
        return f"<Business {len(self._definitions)} metrics, {len(self._waiting)} measurements wait>"

    def record(
        self,
        name: str,
        value: float,
        kind: KindName | Kind = "gauge",
        unit: str = "",
        attributes: Attributes | None = None,
    ) -> None:
        """See `record_metric`."""
        try:
            record = self._series[name, kind, unit, tuple(attributes.items()) if attributes else ()]
        except (KeyError, TypeError, AttributeError):  # not at hand, or no key
            self._guard.own(self._record, _Measurement(name, value, kind, unit, attributes), default=None)
            return
        record(value)

    def flush(self) -> None:
        """Record what waits, if there is a provider by now."""
        if self._waiting and self._provider() is not None:
            self._guard.own(self._record_waiting, default=None)

    def _record(self, measurement: _Measurement) -> None:
        if self._provider() is None:
            self._waiting.append(measurement)
            return
        self._record_waiting()
        self._record_now(measurement)

    def _record_waiting(self) -> None:
        while self._waiting:
            try:
                measurement = self._waiting.popleft()
            except IndexError:  # another thread took the last
                return
            self._record_now(measurement)

    def _record_now(self, measurement: _Measurement) -> None:
        record = self._recorder(measurement)
        if record is not None:
            record(measurement.value)

    def _recorder(self, measurement: _Measurement) -> _Record | None:
        name, _, kind_name, unit, attributes = measurement
        try:
            kind = Kind(kind_name)
        except ValueError:
            self._tell_once(name, f"expected a kind of {', '.join(Kind)}, got {kind_name!r}; ignored")
            return None
        instrument = self._instrument(name, _Definition(_stored(kind), unit))
        if instrument is None:
            return None
        record = self._checked(name, _stored(kind), _measuring(instrument, dict(attributes or {})))
        try:
            key = (name, kind_name, unit, tuple(attributes.items()) if attributes else ())
            if len(self._series) >= MOST_SERIES:
                self._series.clear()
            self._series[key] = record
        except TypeError:  # a value that cannot be a key, such as a list: found anew each time
            pass
        return record

    def _instrument(self, name: str, definition: _Definition) -> Any:
        known = self._instruments.get((name, definition))
        if known is not None:
            return known
        if len(self._instruments) >= MOST_DEFINITIONS:
            self._tell_once("", f"is one of more than {MOST_DEFINITIONS}: ignored")
            return None
        definitions = self._definitions.setdefault(name, [])
        if definition not in definitions:
            definitions.append(definition)
        if definition != definitions[0]:
            self._tell_once(
                name,
                f"is a {definitions[0].kind} of unit '{definitions[0].unit}' and also a {definition.kind} of"
                f" unit '{definition.unit}'; both are kept, under one name",
            )
        try:
            made = _made(self._meter(definitions.index(definition)), name, definition)
        except Exception as error:  # noqa: BLE001 - the SDK raises what it likes for a name it does not like
            self._tell_once(name, f"cannot be the name or unit of a metric: {type(error).__name__}")
            return None
        return self._instruments.setdefault((name, definition), made)

    def _meter(self, number: int = 0) -> Meter:
        """A scope of its own for each further definition of a name, which no SDK has to complain about."""
        provider = self._provider() or metrics.get_meter_provider()
        return provider.get_meter(f"{SCOPE}.{number}" if number else SCOPE, __version__)

    def _checked(self, name: str, kind: Kind, record: _Record) -> _Record:
        def put(value: Any) -> None:
            try:
                if value >= 0 and value - value == 0:
                    record(value)
                    return
                is_number = value - value == 0
            except Exception:  # noqa: BLE001 - whatever the application's type raises, it is no number
                is_number = False
            if is_number and kind is not Kind.COUNTER:
                record(value)
            else:
                self._ignore(name, "negative" if is_number else "not_a_number")

        return put

    def _ignore(self, name: str, reason: str) -> None:
        self._tell_once(f"{name} {reason}", f"was given a value that is {reason}; it is ignored")
        if self._ignored is None:
            metric = METRICS[TICKSPAN_MEASUREMENTS_IGNORED]
            self._ignored = self._meter().create_counter(metric.name, metric.unit, metric.brief)
        self._ignored.add(1, {METRIC_NAME: name, IGNORED_REASON: reason})

    def _tell_once(self, about: str, what: str) -> None:
        if about not in self._told and len(self._told) < MOST_DEFINITIONS:
            self._told.add(about)
            diagnostics.warning("metric '%s' %s", about.partition(" ")[0], what)


def _stored(kind: Kind) -> Kind:
    return Kind.COUNTER if kind is Kind.RATE else kind


def _made(meter: Meter, name: str, definition: _Definition) -> Any:
    if definition.kind is Kind.HISTOGRAM:
        bounds = _BOUNDS.get(definition.unit, _ANY_BOUNDS)
        return meter.create_histogram(name, definition.unit, explicit_bucket_boundaries_advisory=bounds)
    create: Any = meter.create_counter if definition.kind is Kind.COUNTER else meter.create_gauge
    return create(name, definition.unit)


_BOUNDS: Final[Mapping[str, tuple[float, ...]]] = {
    "s": SECONDS_FROM_10_US,
    "ms": tuple(round(bound * 1e3, 10) for bound in SECONDS_FROM_10_US),
    "us": tuple(round(bound * 1e6, 10) for bound in SECONDS_FROM_10_US),
    "1": tuple(
        percent / 100 for percent in (0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98, 99, 100)
    ),
    "By": tuple(float(1 << power) for power in range(6, 32, 2)),
}
_ANY_BOUNDS: Final = (
    *(-digit * 10.0**power for power in range(4, -3, -1) for digit in (5, 2, 1)),
    0.0,
    *(round(digit * 10.0**power, 10) for power in range(-2, 5) for digit in (1, 2, 5)),
)
"""Of what may be negative too, such as a profit: 1-2-5 per decade, a hundredth to 50,000."""


def _measuring(instrument: Any, attributes: dict[str, AttributeValue]) -> _Record:
    """What adds to one series: bound where the instrument can be, which costs a fraction."""
    method = next(one for one in ("add", "set", "record") if hasattr(instrument, one))
    bind = getattr(instrument, "bind", None)  # an extension of our meter provider
    if bind is not None:
        return getattr(bind(attributes), method)
    measure: Callable[..., None] = getattr(instrument, method)

    def record(value: Any) -> None:
        measure(value, attributes)

    return record


def _global_provider() -> metrics.MeterProvider | None:
    """OpenTelemetry's, once somebody has set one; a proxy stands there before."""
    found = metrics.get_meter_provider()
    return None if type(found).__name__ == "_ProxyMeterProvider" else found


BUSINESS: Final = Business(_global_provider)
"""The one of this process."""


def record_metric(
    name: str,
    value: float,
    kind: KindName | Kind = "gauge",
    unit: str = "",
    attributes: Attributes | None = None,
) -> None:
    """Measure something of the program's own, such as `record_metric("desk.trades", 3, kind="rate")`.

    Safe for any thread. Never raises: NaN, infinity, what is no number, and a negative increment are ignored
    and counted in `tickspan.measurements.ignored`. One name with two kinds or units is told once, and both
    are kept.

    Args:
        name: of the metric, letters, digits, `_`, `.`, `-` and `/`; no data.
        value: an increment of a counter or rate; else what was measured.
        kind: counter, rate (an increment too: it is stored as a counter), gauge or histogram.
        unit: UCUM, such as `s`, `By` or `{trade}`.
        attributes: few values each: every combination is a series.
    """
    BUSINESS.record(name, value, kind, unit, attributes)
