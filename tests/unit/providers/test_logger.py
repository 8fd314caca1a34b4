"""Logger provider with a sink: what the SDK and its encoder would have sent, for less, whatever is given."""

# pyright: reportUnknownLambdaType=false
# The lambdas stand for functions of a library without types.

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry._logs import LogRecord, NoOpLogger, SeverityNumber
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as WireRecord
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs import LogRecordLimits, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs._internal import _LoggerConfig
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from tickspan_spool.entries import Entry, Signal, StreamKey, export_request
from tickspan_spool.reasons import Reason

from tickspan.providers.logger import Logger, LoggerProvider
from tickspan.received import ReceivedLog, decode_logs

MARKER = "M4rkerOfASecret"
RESOURCE = Resource({"service.name": "bot", "service.version": 3}, "https://resource.example/1")
SPAN = set_span_in_context(
    NonRecordingSpan(SpanContext(0xA1 << 120, 0xB2 << 56, is_remote=False, trace_flags=TraceFlags(1)))
)


class Shelf:
    """Keeps the records of one stream."""

    def __init__(self, sink: Sink, key: StreamKey) -> None:
        self.sink = sink
        self.key = key

    def append(self, record: bytes, items: int = 1) -> None:
        self.sink.entries.append(Entry(self.key, record, items, len(self.sink.entries)))


class Sink:
    """A spool that only remembers."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.drops: list[tuple[Signal, Reason, int]] = []
        self.flushes: list[float] = []
        self.shelves: dict[StreamKey, Shelf] = {}

    def stream(self, key: StreamKey) -> Shelf:
        return self.shelves.setdefault(key, Shelf(self, key))

    def drop(self, signal: Signal, reason: Reason, items: int = 1) -> None:
        self.drops.append((signal, reason, items))

    def force_flush(self, timeout_s: float) -> bool:
        self.flushes.append(timeout_s)
        return True

    def request(self) -> ExportLogsServiceRequest:
        return ExportLogsServiceRequest.FromString(export_request(self.entries))

    def logs(self) -> list[ReceivedLog]:
        return decode_logs(self.request())

    def records(self) -> list[WireRecord]:
        return [WireRecord.FromString(after_the_frame(entry.body)) for entry in self.entries]


def after_the_frame(body: bytes) -> bytes:
    end = next(index for index in range(1, 6) if body[index] < 0x80)
    return body[end + 1 :]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def provider(sink: Sink) -> LoggerProvider:
    return LoggerProvider(RESOURCE, shutdown_on_exit=False, sink=sink)


class Seeing(LogRecordProcessor):
    """Calls `act` with each record."""

    def __init__(self, act: Callable[[ReadWriteLogRecord], object]) -> None:
        self.act = act
        self.calls = 0
        self.ended: list[str] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.calls += 1
        self.act(log_record)

    def shutdown(self) -> None:
        self.ended.append("shutdown")

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.ended.append("flush")
        return True


# What the SDK would have sent

KEYS = st.text("abcxyz.é漢", min_size=1, max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=True)
    | TEXTS
    | st.binary(max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
).filter(lambda value: depth(value) <= 4)
TIMES = st.integers(0, 2**64 - 1)
EVENTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"observed_timestamp": TIMES},
    optional={
        "timestamp": TIMES,
        "context": st.sampled_from([SPAN, otel_context.Context()]),
        "severity_number": st.sampled_from(SeverityNumber),
        "severity_text": TEXTS,
        "body": VALUES,
        "attributes": st.dictionaries(KEYS, VALUES, max_size=6),
        "event_name": TEXTS,
    },
)
LIMITS = st.builds(
    LogRecordLimits,
    max_log_record_attributes=st.sampled_from([LogRecordLimits.UNSET, 0, 1, 3]),
    max_log_record_attribute_length=st.sampled_from([LogRecordLimits.UNSET, 0, 5]),
)


def depth(value: Any) -> int:
    inner: Any = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner), default=0) if isinstance(value, dict | list) else 0


def as_the_sdk_sends(event: Mapping[str, Any], limits: LogRecordLimits, *, is_record: bool) -> bytes:
    kept = InMemoryLogRecordExporter()
    provider = sdk.LoggerProvider(RESOURCE, shutdown_on_exit=False, log_record_limits=limits)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    with warnings.catch_warnings(action="ignore"):  # the SDK's about dropped attributes
        emit(provider, event, is_record=is_record)
    return encode_logs(kept.get_finished_logs()).SerializeToString(deterministic=True)


def as_we_send(
    event: Mapping[str, Any], limits: LogRecordLimits, *processors: LogRecordProcessor, is_record: bool
) -> bytes:
    sink = Sink()
    provider = LoggerProvider(RESOURCE, shutdown_on_exit=False, log_record_limits=limits, sink=sink)
    for processor in processors:
        provider.add_log_record_processor(processor)
    emit(provider, event, is_record=is_record)
    return sink.request().SerializeToString(deterministic=True)


def emit(provider: sdk.LoggerProvider, event: Mapping[str, Any], *, is_record: bool) -> None:
    logger = provider.get_logger("strategy", "1.2", "https://scope.example/1", {"tier": 1})
    logger.emit(LogRecord(**event)) if is_record else logger.emit(**event)


@given(EVENTS, LIMITS, st.booleans())
@settings(deadline=None)
def test_a_record_is_what_the_sdk_and_its_encoder_make_of_it(
    event: Mapping[str, Any], limits: LogRecordLimits, is_record: bool
):
    expected = as_the_sdk_sends(event, limits, is_record=is_record)

    assert as_we_send(event, limits, is_record=is_record) == expected


@given(EVENTS, LIMITS, st.booleans())
@settings(deadline=None, max_examples=50)
def test_a_processor_beside_the_sink_changes_nothing_of_it(
    event: Mapping[str, Any], limits: LogRecordLimits, is_record: bool
):
    expected = as_the_sdk_sends(event, limits, is_record=is_record)

    assert as_we_send(event, limits, Seeing(lambda _: None), is_record=is_record) == expected


def test_the_current_span_is_told(provider: LoggerProvider, sink: Sink):
    token = otel_context.attach(SPAN)
    provider.get_logger("a").emit(body="x")
    otel_context.detach(token)
    provider.get_logger("a").emit(body="y")

    assert [(record.trace_id, record.span_id, record.flags) for record in sink.records()] == [
        (b"\xa1" + bytes(15), b"\xb2" + bytes(7), 1),
        (b"", b"", 0),
    ]


def test_a_time_that_is_not_given_stays_out_and_the_observed_one_is_now(provider: LoggerProvider, sink: Sink):
    provider.get_logger("a").emit(body="x")

    (record,) = sink.records()
    assert (record.time_unix_nano, record.observed_time_unix_nano > 1_600_000_000 * 10**9) == (0, True)


def test_an_exception_is_told_under_what_the_caller_says(provider: LoggerProvider, sink: Sink):
    error = ValueError(f"wrong password={MARKER}")
    calls: list[dict[str, Any]] = [
        {"exception": error, "attributes": {"exception.type": "mine"}},
        {"exception": error},
    ]
    for given_as in calls:
        provider.get_logger("a").emit(**given_as)
        provider.get_logger("a").emit(LogRecord(**given_as))

    expected = {"exception.message": "wrong password=[redacted]", "exception.stacktrace": ""}
    mine, theirs = {**expected, "exception.type": "mine"}, {**expected, "exception.type": "ValueError"}
    assert [log.attributes for log in sink.logs()] == [mine, mine, theirs, theirs]


# What is wrong, or must not leave


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def cyclic() -> dict[str, Any]:
    circle: dict[str, Any] = {}
    circle["self"] = circle
    return circle


POISON: list[Any] = [Raising(), cyclic(), 10**5000, "\ud800", object, {1: {2: 3}}, b"\xff" * 10**6, 1j]


@pytest.mark.parametrize("place", ["body", "attributes", "severity_text", "event_name", "timestamp"])
@pytest.mark.parametrize("poison", POISON, ids=lambda poison: type(poison).__name__)
def test_any_object_in_any_place_is_one_record(provider: LoggerProvider, sink: Sink, place: str, poison: Any):
    logger: Any = provider.get_logger("a")
    logger.emit(**{place: poison})
    logger.emit(attributes={"given": poison, "other": 1})
    logger.emit(severity_number=poison, observed_timestamp=poison)
    logger.emit(LogRecord(**{place: poison}))

    assert len(sink.records()) == 4
    assert sink.logs()[1].attributes["other"] == 1


def test_secrets_stay_here(provider: LoggerProvider, sink: Sink):
    logger = provider.get_logger("a")
    logger.emit(body=f"login failed, api_key={MARKER}")
    logger.emit(body={"note": f"Authorization: Bearer {MARKER}", "password": MARKER})
    logger.emit(body=f"GET https://user:{MARKER}@venue.example/bot?signature={MARKER}")
    logger.emit(attributes={"api_secret": MARKER, "nested": {"token": MARKER}})

    assert MARKER.encode() not in b"".join(entry.body for entry in sink.entries)
    assert [log.body for log in sink.logs()] == [
        "login failed, api_key=[redacted]",
        {"note": "Authorization: [redacted]", "password": "[redacted]"},
        "GET https://venue.example/bot",
        None,
    ]


def test_ten_thousand_attributes_cost_what_the_limit_allows(provider: LoggerProvider, sink: Sink):
    provider.get_logger("a").emit(attributes={f"k{number}": number for number in range(10_000)})

    (record,) = sink.records()
    assert (len(record.attributes), record.dropped_attributes_count) == (128, 9_872)


# Foreign processors


def test_the_sink_gets_the_record_as_processors_left_it(provider: LoggerProvider, sink: Sink):
    def change(log_record: ReadWriteLogRecord) -> None:
        record = log_record.log_record
        record.body = "changed"
        record.severity_number = SeverityNumber.FATAL
        record.attributes = {**(record.attributes or {}), "added": MARKER, "token": MARKER}

    provider.add_log_record_processor(Seeing(change))
    provider.get_logger("a").emit(body="x", attributes={"given": 1})

    (log,) = sink.logs()
    assert (log.body, log.severity_number, log.attributes) == (
        "changed",
        21,
        {"given": 1, "added": MARKER, "token": "[redacted]"},
    )


def test_a_processor_sees_the_sdks_form(provider: LoggerProvider):
    seen: list[Any] = []
    provider.add_log_record_processor(Seeing(seen.append))
    logger = provider.get_logger("a", "1")
    given_record = LogRecord(body={"k": (1, 2), "l": [{"m": [1]}]}, attributes={"x": cyclic()})
    logger.emit(given_record)

    (record,) = seen
    assert (record.resource, record.instrumentation_scope) == (RESOURCE, InstrumentationScope("a", "1"))
    assert isinstance(record.log_record.attributes, BoundedAttributes)
    assert (record.log_record.body, dict(record.log_record.attributes)) == (
        {"k": (1, 2), "l": [{"m": [1]}]},
        {"x": {"self": "<deep>"}},
    )
    assert given_record.attributes is not record.log_record.attributes


def test_a_raising_processor_is_off_after_ten_errors_and_costs_no_other_its_turn(
    provider: LoggerProvider, sink: Sink
):
    def fail(_: ReadWriteLogRecord) -> None:
        raise ValueError

    failing, other = Seeing(fail), Seeing(lambda _: None)
    provider.add_log_record_processor(failing)
    provider.add_log_record_processor(other)
    for number in range(12):
        provider.get_logger("a").emit(body=number)
    provider.force_flush()
    provider.shutdown()

    assert (failing.calls, other.calls, len(sink.entries)) == (10, 12, 12)
    assert (failing.ended, other.ended) == (["flush", "shutdown"], ["flush", "shutdown"])


def test_what_a_processor_logs_on_the_way_goes_to_the_sink_alone(provider: LoggerProvider, sink: Sink):
    logger = provider.get_logger("a")
    seeing = Seeing(lambda _: logger.emit(body="from within"))
    provider.add_log_record_processor(seeing)
    logger.emit(body="from outside")

    assert seeing.calls == 1
    assert [log.body for log in sink.logs()] == ["from within", "from outside"]


def test_a_processor_that_was_given_at_the_start_is_asked(sink: Sink):
    seeing = Seeing(lambda _: None)
    provider = LoggerProvider(shutdown_on_exit=False, multi_log_record_processor=seeing, sink=sink)
    provider.get_logger("a").emit(body="x")

    assert (seeing.calls, len(sink.entries)) == (1, 1)


def test_a_record_in_the_sdks_form_keeps_its_resource_scope_and_limits(provider: LoggerProvider, sink: Sink):
    resource, scope = Resource({"other": 1}), InstrumentationScope("other")
    with warnings.catch_warnings(action="ignore"):
        record = ReadWriteLogRecord(
            LogRecord(body="x", attributes={"a": 1, "b": 2}, exception=KeyError("k")),
            resource,
            scope,
            LogRecordLimits(max_log_record_attributes=3),
        )
    logger: Any = provider.get_logger("a")
    logger.emit(record)

    group = sink.request().resource_logs[0]
    (sent,) = sink.records()
    assert (group.resource.attributes[0].key, group.scope_logs[0].scope.name) == ("other", "other")
    assert sorted(sink.logs()[0].attributes) == [
        "exception.message",
        "exception.stacktrace",
        "exception.type",
    ]
    assert sent.dropped_attributes_count == 2


# Provider


def test_without_arguments_it_is_the_sdks():
    provider = LoggerProvider()
    provider.shutdown()

    assert type(provider.get_logger("a")) is sdk.Logger


def test_a_logger_of_a_name_is_made_once(provider: LoggerProvider):
    assert provider.get_logger("a", "1") is provider.get_logger("a", "1")
    assert isinstance(provider.get_logger("a", attributes={"x": 1}), Logger)


def test_a_disabled_scope_records_nothing(sink: Sink):
    provider = LoggerProvider(
        shutdown_on_exit=False,
        sink=sink,
        _logger_configurator=lambda scope: _LoggerConfig(is_enabled=scope.name != "off"),
    )
    on, off = provider.get_logger("on"), provider.get_logger("off")
    on.emit(body="x")
    off.emit(body="x")
    verdicts = (on.enabled(severity_number=SeverityNumber.TRACE), off.enabled())
    provider._set_logger_configurator(logger_configurator=lambda _: _LoggerConfig(is_enabled=True))
    off.emit(body="y")

    assert (verdicts, off.enabled(), len(sink.entries)) == ((True, False), True, 2)


def test_a_logger_may_be_asked_for_while_another_is_made(sink: Sink):
    """As a signal handler or a finalizer would."""
    inner: list[Any] = []

    def configure(scope: InstrumentationScope) -> _LoggerConfig:
        if scope.name == "outer":
            inner.append(provider.get_logger("inner"))
        return _LoggerConfig()

    provider = LoggerProvider(shutdown_on_exit=False, sink=sink, _logger_configurator=configure)
    provider.get_logger("outer").emit(body="x")
    provider._handle_fork()
    provider.get_logger("outer", "2").emit(body="y")

    assert (len(inner), len(sink.entries)) == (2, 2)


def test_a_disabled_sdk_has_loggers_that_do_nothing(monkeypatch: pytest.MonkeyPatch, sink: Sink):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    assert isinstance(LoggerProvider(shutdown_on_exit=False, sink=sink).get_logger("a"), NoOpLogger)


def test_the_sdks_own_metric_counts_records(monkeypatch: pytest.MonkeyPatch, sink: Sink):
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    provider = LoggerProvider(shutdown_on_exit=False, sink=sink, meter_provider=meters)
    provider.get_logger("a").emit(body="x")
    provider.get_logger("a").emit(LogRecord(body="x"))
    data: Any = reader.get_metrics_data()
    meters.shutdown()

    metric = data.resource_metrics[0].scope_metrics[0].metrics[0]
    assert (metric.name, metric.data.data_points[0].value) == ("otel.sdk.log.created", 2)


def test_after_shutdown_records_are_counted_as_lost(provider: LoggerProvider, sink: Sink):
    early = provider.get_logger("early")
    early.emit(body="x")
    provider.shutdown()
    early.emit(body="y")
    provider.get_logger("late").emit(body="z")
    provider._update_resource(Resource({"pid": 1}))
    early.emit(body="y")

    assert len(sink.entries) == 1
    assert sink.drops == [("logs", Reason.AFTER_SHUTDOWN, 1)] * 3


def test_a_flush_is_one_budget_for_processors_and_sink(provider: LoggerProvider, sink: Sink):
    seeing = Seeing(lambda _: None)
    provider.add_log_record_processor(seeing)

    assert provider.force_flush(500) is True
    assert seeing.ended == ["flush"]
    assert [0.4 < left <= 0.5 for left in sink.flushes] == [True]


def test_a_changed_resource_is_told_from_then_on(provider: LoggerProvider, sink: Sink):
    logger = provider.get_logger("a")
    logger.emit(body="x")
    provider._update_resource(Resource({"service.instance.id": "child"}))
    logger.emit(body="y")

    told = [len(group.resource.attributes) for group in sink.request().resource_logs]
    assert told == [2, 3]


def test_a_forked_child_has_a_resource_of_its_own(provider: LoggerProvider, sink: Sink):
    logger = provider.get_logger("a")
    logger.emit(body="parent")
    read, write = os.pipe()
    with warnings.catch_warnings(action="ignore"):  # about forking while threads run, from 3.12
        child = os.fork()
    if not child:
        logger.emit(body="child")
        is_new = sink.entries[1].stream is not sink.entries[0].stream
        os.write(write, b"new" if is_new and len(sink.entries) == 2 else b"old")
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)

    assert os.read(read, 3) == b"new"
    os.close(read)


def test_threads_that_record_at_once_lose_nothing(provider: LoggerProvider, sink: Sink):
    logger = provider.get_logger("a")
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for index in range(500):
            logger.emit(body=f"{number}-{index}", attributes={"thread": number, "index": index})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    told = {log.body: log.attributes for log in sink.logs()}
    assert told == {f"{n}-{i}": {"thread": n, "index": i} for n in range(4) for i in range(500)}


def test_our_logger_says_nothing_to_the_standard_library(
    provider: LoggerProvider, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    odd: Any = object()
    provider.get_logger("a").emit(attributes={"": 1, "long": "x" * 100_000, "odd": odd})

    assert caplog.records == []
