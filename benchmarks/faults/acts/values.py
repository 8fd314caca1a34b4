"""Acts of poison: any object in any place of a record; its neighbours must arrive."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace.status import StatusCode

from .stage import Stage, act


class _RaisingText:
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class _SlowText:
    def __str__(self) -> str:
        time.sleep(0.4)
        return "slow"


class _LyingClass:
    @property
    def __class__(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise RuntimeError("a lazy proxy without a context")


class _RaisingHash:
    def __hash__(self) -> int:
        raise TypeError("unhashable")

    def __eq__(self, other: object) -> bool:
        raise TypeError("incomparable")


class _RaisingText2(str):
    __slots__ = ()

    def encode(self, *_args: Any, **_named: Any) -> bytes:
        raise ValueError("no bytes")

    def __len__(self) -> int:
        raise ValueError("no length")


class _Colour(enum.Enum):
    RED = "red"


def _cycle() -> list[Any]:
    circle: list[Any] = []
    circle.append(circle)
    return circle


def _cyclic_dict() -> dict[str, Any]:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    return circle


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(3000):
        value = [value]
    return value


POISON: Final[dict[str, Callable[[], Any]]] = {
    "lone surrogate": lambda: "a\ud800b",
    "NUL": lambda: "a\0b\r\n\x1b[2J",
    "huge text": lambda: "x" * (20 * 2**20),
    "huge bytes": lambda: b"\xff" * (20 * 2**20),
    "huge int": lambda: 1 << 70,
    "colossal int": lambda: 1 << 100_000,
    "negative int": lambda: -(1 << 63),
    "NaN": lambda: math.nan,
    "infinity": lambda: [math.inf, -math.inf],
    "None": lambda: None,
    "list of mixed": lambda: [1, "a", None, 2.5, True],
    "list with None": lambda: ["a", None],
    "cyclic list": _cycle,
    "cyclic dict": _cyclic_dict,
    "deep list": _deep,
    "long list": lambda: list(range(100_000)),
    "dict": lambda: {"a": {"b": [1, {"c": 2}]}},
    "dict with int keys": lambda: {1: 2, None: 3},
    "set": lambda: {1, 2},
    "generator": lambda: (number for number in range(3)),
    "raising str": _RaisingText,
    "slow str": _SlowText,
    "lying class": _LyingClass,
    "raising hash": _RaisingHash,
    "raising subclass of str": lambda: _RaisingText2("text"),
    "decimal": lambda: decimal.Decimal("0.10000000000000000000001"),
    "decimal sNaN": lambda: decimal.Decimal("sNaN"),
    "datetime": lambda: dt.datetime.now(tz=dt.UTC),
    "uuid": uuid.uuid4,
    "enum": lambda: _Colour.RED,
    "class": lambda: object,
    "lambda": lambda: lambda: None,
    "module": lambda: sys,
    "exception": lambda: ValueError("lone \udfff"),
    "memoryview": lambda: memoryview(b"abc"),
}
NEIGHBOURS: Final = 20


@act
def poison_value(stage: Stage) -> None:
    """Each poison as a value of attributes of spans, events, links and log records, and as a log body."""
    stage.recorder.warm()
    for name in stage.settings.get("names") or POISON:
        value = POISON[name]()
        stage.recorder.several(NEIGHBOURS // 10)
        span = stage.recorder.start("poison")
        call = stage.recorder.call
        call(f"set_attribute {name}", span.set_attribute, "poison", value)
        call(f"set_attributes {name}", span.set_attributes, {"poison2": value})
        call(f"add_event {name}", span.add_event, "event", {"poison": value})
        call(f"add_link {name}", span.add_link, span.get_span_context(), {"poison": value})
        stage.recorder.end(span)
        stage.recorder.log(attributes={"poison": value})
        stage.recorder.log(body=value)
        stage.recorder.count()
    stage.recorder.several(NEIGHBOURS)


@act
def poison_metric_attribute(stage: Stage) -> None:
    """Each poison as an attribute of a measurement, and as the measurement."""
    from opentelemetry import metrics

    stage.recorder.warm()
    meter = metrics.get_meter("faults")
    counter, histogram = meter.create_counter("work.poison"), meter.create_histogram("work.poison2")
    for name, make in POISON.items():
        value = make()
        stage.recorder.call(f"add {name}", counter.add, 1, {"poison": value})
        stage.recorder.call(f"record {name}", histogram.record, 1.0, {"poison": value})
        stage.recorder.call(f"add the amount {name}", counter.add, value)
        stage.recorder.call(f"record the amount {name}", histogram.record, value)
    stage.recorder.several(NEIGHBOURS)


@act
def poison_name(stage: Stage) -> None:
    """Each poison as the name of a span, of an event, and as a key."""
    stage.recorder.warm()
    for name, make in POISON.items():
        value = make()
        span = stage.recorder.call(f"start_span named {name}", stage.recorder.start, value)
        if span is None:
            continue
        stage.recorder.call(f"update_name {name}", span.update_name, value)
        stage.recorder.call(f"add_event named {name}", span.add_event, value)
        if type(value) not in {list, dict, set}:
            stage.recorder.call(f"key {name}", span.set_attribute, value, 1)
        stage.recorder.end(span)
    stage.recorder.several(NEIGHBOURS)


@act
def poison_status(stage: Stage) -> None:
    """Each poison as status, as description of a status, and as a recorded exception."""
    stage.recorder.warm()
    for name, make in POISON.items():
        value = make()
        span = stage.recorder.start("poison")
        stage.recorder.call(f"set_status {name}", span.set_status, value)
        stage.recorder.call(f"description {name}", span.set_status, StatusCode.ERROR, value)
        stage.recorder.call(f"record_exception {name}", span.record_exception, value)
        stage.recorder.end(span)
    stage.recorder.several(NEIGHBOURS)


TIMES: Final[dict[str, Any]] = {
    "float": time.time(),
    "float nanoseconds": time.time() * 1e9,
    "negative": -1,
    "huge": 1 << 80,
    "NaN": math.nan,
    "infinity": math.inf,
    "text": "now",
    "datetime": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    "naive datetime": dt.datetime(2026, 1, 1),  # noqa: DTZ001 - that is the poison
    "bool": True,
    "object": object(),
}


@act
def poison_time(stage: Stage) -> None:
    """Each poison as start, as end, and as an event's time."""
    stage.recorder.warm()
    tracer = trace.get_tracer("faults")
    for name, value in TIMES.items():
        span = stage.recorder.call(f"start_time {name}", tracer.start_span, "poison", start_time=value)
        if span is None:
            continue
        stage.recorder.call(f"event at {name}", span.add_event, "event", None, value)
        stage.recorder.end(span, value)
        stage.recorder.several(1)
    stage.recorder.several(NEIGHBOURS)


@act
def poison_keys(stage: Stage) -> None:
    """Ten thousand attributes on one span, event and log record; a thousand events and links."""
    stage.recorder.warm()
    many = {f"key{number}": number for number in range(10_000)}
    span = stage.recorder.start("poison")
    stage.recorder.call("set_attributes of 10,000", span.set_attributes, many)
    stage.recorder.call("add_event of 10,000", span.add_event, "event", many)
    for _ in range(1000):
        stage.recorder.call("add_event", span.add_event, "event")
        stage.recorder.call("add_link", span.add_link, span.get_span_context())
    stage.recorder.end(span)
    stage.recorder.log(attributes=many)
    stage.recorder.several(NEIGHBOURS)


@act
def poison_context(stage: Stage) -> None:
    """Parents, links and kinds that are none."""
    stage.recorder.warm()
    tracer = trace.get_tracer("faults")
    wrong: list[dict[str, Any]] = [
        {"context": {}},
        {"context": "context"},
        {"kind": "SERVER"},
        {"kind": 77},
        {"links": [None]},
        {"links": 3},
        {"attributes": 3},
        {"attributes": [("a", 1)]},
    ]
    for given in wrong:
        span = stage.recorder.call(f"start_span with {given}", tracer.start_span, "poison", **given)
        if span is not None:
            stage.recorder.end(span)
    stage.recorder.several(NEIGHBOURS)


@act
def poison_exception(stage: Stage) -> None:
    """Exceptions that cannot be printed, contain themselves, or are very deep."""
    stage.recorder.warm()

    class Unprintable(Exception):  # noqa: N818
        def __str__(self) -> str:
            raise RuntimeError("not me")

        __repr__ = __str__

    circle = ValueError("circle")
    circle.__cause__ = circle
    chain: BaseException = ValueError("end")
    for number in range(5000):
        link = ValueError(number)
        link.__context__ = chain
        chain = link
    group = ExceptionGroup("group", [ValueError("one"), ExceptionGroup("inner", [TypeError("two\ud800")])])
    for error in (Unprintable(), circle, chain, group, ValueError("x" * 10_000_000), KeyError("\udcff")):
        span = stage.recorder.start("poison")
        stage.recorder.call(f"record_exception {type(error).__name__}", span.record_exception, error)
        stage.recorder.end(span)
    stage.recorder.several(NEIGHBOURS)
