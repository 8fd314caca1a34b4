"""The handler of the standard library's logging: upstream's mapping, no exception, no loop."""

# pyright: reportUnknownLambdaType=false
# The lambdas stand for functions of a library without types.

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel_context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk import _logs as sdk
from opentelemetry.sdk._logs import LogRecordLimits, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from tickspan_spool.entries import Entry, Signal, StreamKey, export_request
from tickspan_spool.reasons import Reason

from tickspan.providers.handler import OTLPHandler
from tickspan.providers.logger import LoggerProvider
from tickspan.received import ReceivedLog, decode_logs

MARKER = "M4rkerOfASecret"
SPAN = set_span_in_context(
    NonRecordingSpan(SpanContext(0xA1 << 120, 0xB2 << 56, is_remote=False, trace_flags=TraceFlags(1)))
)


class Shelf:
    """Keeps the records of one stream; `act` is called with each."""

    def __init__(self, sink: Sink, key: StreamKey) -> None:
        self.sink = sink
        self.key = key

    def append(self, record: bytes, items: int = 1) -> None:
        self.sink.entries.append(Entry(self.key, record, items, len(self.sink.entries)))
        self.sink.act()


class Sink:
    """A spool that only remembers."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.act: Callable[[], object] = lambda: None

    def stream(self, key: StreamKey) -> Shelf:
        return Shelf(self, key)

    def drop(self, signal: Signal, reason: Reason, items: int = 1) -> None:
        pass

    def force_flush(self, timeout_s: float) -> bool:
        return timeout_s >= 0

    def request(self) -> ExportLogsServiceRequest:
        return ExportLogsServiceRequest.FromString(export_request(self.entries))

    def logs(self) -> list[ReceivedLog]:
        return decode_logs(self.request())

    def bodies(self) -> list[Any]:
        return [log.body for log in self.logs()]


class Emitting(LogRecordProcessor):
    """Calls `act` with each record."""

    def __init__(self, act: Callable[[ReadWriteLogRecord], object] = lambda _: None) -> None:
        self.act = act
        self.is_flushed = False

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.act(log_record)

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.is_flushed = True
        return True


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def provider(sink: Sink) -> LoggerProvider:
    return LoggerProvider(shutdown_on_exit=False, sink=sink)


@pytest.fixture
def handler(provider: LoggerProvider) -> OTLPHandler:
    return OTLPHandler(logger_provider=provider)


@pytest.fixture
def log(handler: OTLPHandler) -> logging.Logger:
    """A logger outside the hierarchy, with our handler alone."""
    logger = logging.Logger("strategy.test", logging.DEBUG)  # noqa: LOG001 - nobody else shall hear it
    logger.addHandler(handler)
    return logger


# Upstream's mapping

NAMES = st.text("abcxyz_", min_size=1, max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS
VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(NAMES, SCALARS, max_size=3)
RECORDS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "a.b", "c"]),
        "levelno": st.integers(0, 60),
        "levelname": st.sampled_from(["DEBUG", "INFO", "WARNING", "CRITICAL", "Level 7", ""]),
        "pathname": TEXTS,
        "lineno": st.integers(0, 99_999),
        "funcName": st.none() | TEXTS,
        "created": st.floats(0, 4e9),
        "extra": st.dictionaries(NAMES, VALUES, max_size=4),
    }
)
MESSAGES = st.one_of(
    st.tuples(VALUES, st.just(())),
    st.tuples(st.just("order %s at %s"), st.tuples(SCALARS, SCALARS)),
    st.tuples(st.just("%(a)s and %(b)r"), st.fixed_dictionaries({"a": SCALARS, "b": SCALARS})),
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.just(())),
    st.tuples(TEXTS.filter(lambda text: "%" not in text), st.just(())),
)


def standard(fields: Mapping[str, Any], message: Any, arguments: Any) -> logging.LogRecord:
    named = {key: value for key, value in fields.items() if key != "extra"}
    return logging.makeLogRecord({**fields["extra"], **named, "msg": message, "args": arguments})


def as_the_sdk_sends(record: logging.LogRecord, limits: LogRecordLimits, formatter: Any) -> bytes:
    kept = InMemoryLogRecordExporter()
    provider = sdk.LoggerProvider(shutdown_on_exit=False, log_record_limits=limits)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    with warnings.catch_warnings(action="ignore"):  # its handler is deprecated, and it tells what it drops
        handler: Any = sdk.LoggingHandler(logger_provider=provider)
        handler.setFormatter(formatter)
        handler.handle(record)
    return encode_logs(kept.get_finished_logs()).SerializeToString(deterministic=True)


def as_we_send(
    record: logging.LogRecord, limits: LogRecordLimits, formatter: Any, *processors: LogRecordProcessor
) -> bytes:
    sink = Sink()
    provider = LoggerProvider(shutdown_on_exit=False, log_record_limits=limits, sink=sink)
    for processor in processors:
        provider.add_log_record_processor(processor)
    handler = OTLPHandler(logger_provider=provider)
    handler.setFormatter(formatter)
    handler.handle(record)
    return sink.request().SerializeToString(deterministic=True)


def without_observed_time(request: bytes) -> ExportLogsServiceRequest:
    message = ExportLogsServiceRequest.FromString(request)
    message.resource_logs[0].scope_logs[0].log_records[0].ClearField("observed_time_unix_nano")
    return message


FORMATTERS = st.sampled_from([None, logging.Formatter("%(levelname)s %(message)s")])


@given(RECORDS, MESSAGES, FORMATTERS, st.sampled_from([LogRecordLimits.UNSET, 0, 2, 4]))
@settings(deadline=None)
def test_a_record_is_what_upstreams_handler_makes_of_it(
    fields: Mapping[str, Any], message: tuple[Any, Any], formatter: logging.Formatter | None, most: int
):
    limits = LogRecordLimits(max_log_record_attributes=most)
    expected = without_observed_time(as_the_sdk_sends(standard(fields, *message), limits, formatter))
    ours = [
        without_observed_time(as_we_send(standard(fields, *message), limits, formatter, *processors))
        for processors in ((), (Emitting(),))
    ]

    serialised = [request.SerializeToString(deterministic=True) for request in ours]
    assert serialised == [expected.SerializeToString(deterministic=True)] * 2


def test_a_call_tells_place_level_and_span(log: logging.Logger, sink: Sink):
    token = otel_context.attach(SPAN)
    log.warning("order %s rejected", "o-1", extra={"symbol": "BTC/USDT"})
    otel_context.detach(token)

    (told,) = sink.logs()
    assert (told.body, told.severity_number, told.severity_text, told.scope) == (
        "order o-1 rejected",
        13,
        "WARN",
        "strategy.test",
    )
    assert (told.trace_id, told.span_id) == ("a1" + "00" * 15, "b2" + "00" * 7)
    assert told.attributes == {
        "symbol": "BTC/USDT",
        "code.file.path": __file__,
        "code.function.name": "test_a_call_tells_place_level_and_span",
        "code.line.number": told.attributes["code.line.number"],
    }


def test_an_exception_is_told_without_its_secrets(log: logging.Logger, sink: Sink):
    try:
        raise ValueError(f"token={MARKER}")
    except ValueError:
        log.exception("failed")

    (told,) = sink.logs()
    assert told.attributes["exception.type"] == "ValueError"
    assert told.attributes["exception.message"] == "token=[redacted]"
    assert "test_an_exception_is_told_without_its_secrets" in str(told.attributes["exception.stacktrace"])


def test_no_exception_at_hand_is_no_exception(log: logging.Logger, sink: Sink):
    log.error("nothing was raised", exc_info=True)  # noqa: LOG014 - the point

    assert "exception.type" not in sink.logs()[0].attributes


def test_secrets_in_messages_and_extra_stay_here(log: logging.Logger, sink: Sink):
    log.info("api_key=%s", MARKER)
    log.info("x", extra={"api_secret": MARKER})
    log.info({"password": MARKER})

    assert MARKER.encode() not in b"".join(entry.body for entry in sink.entries)
    assert sink.bodies() == ["api_key=[redacted]", "x", {"password": "[redacted]"}]


# What is wrong in a record


class Raising:
    def __str__(self) -> str:
        raise KeyError("no text")

    __repr__ = __str__


@pytest.mark.parametrize(
    ("template", "arguments", "error"),
    [
        ("%d orders", ("many",), "TypeError"),
        ("%s %s", ("one",), "TypeError"),
        ("%s", (Raising(),), "KeyError"),
        ("100 %", (1,), "ValueError"),
        ("%(name)s", ({"other": 1},), "KeyError"),
    ],
)
def test_a_message_that_cannot_be_formatted_is_its_template(
    log: logging.Logger, sink: Sink, template: str, arguments: tuple[Any, ...], error: str
):
    log.info(template, *arguments)

    (told,) = sink.logs()
    assert (told.body, told.attributes["tickspan.log.format_error"]) == (template, error)


def test_a_formatter_that_raises_leaves_the_message(log: logging.Logger, handler: OTLPHandler, sink: Sink):
    handler.setFormatter(logging.Formatter("%(missing)s"))
    log.info("a %s", "b")

    assert sink.bodies() == ["a b"]


def test_any_object_is_logged(log: logging.Logger, sink: Sink):
    circle: list[Any] = []
    circle.append(circle)
    for _ in range(12):
        log.info(Raising())
    log.info(circle, extra={"circle": circle, "raising": Raising(), "big": 2**70, "lone": "\ud800"})

    assert len(sink.logs()) == 13
    assert sink.logs()[12].attributes["lone"] == "\ufffd"


def test_a_filter_that_raises_leaves_no_content(log: logging.Logger, handler: OTLPHandler, sink: Sink):
    def fail(record: logging.LogRecord) -> bool:
        raise ValueError(record)

    handler.addFilter(fail)
    for _ in range(12):
        log.info("password %s", MARKER, extra={"mine": MARKER})

    assert MARKER.encode() not in b"".join(entry.body for entry in sink.entries)
    assert {(told.body, told.severity_number) for told in sink.logs()} == {("[redacted]", 9)}
    assert len(sink.entries) == 12


def test_a_filter_decides(log: logging.Logger, handler: OTLPHandler, sink: Sink):
    handler.addFilter(lambda record: record.levelno > logging.INFO)
    log.info("out")
    log.error("in")

    assert sink.bodies() == ["in"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters may replace records from 3.12")
def test_a_filter_may_replace_the_record(log: logging.Logger, handler: OTLPHandler, sink: Sink):
    replaced: Any = logging.makeLogRecord({"name": "other", "msg": "replaced"})
    handler.addFilter(lambda _: replaced)
    log.info("given")

    assert sink.bodies() == ["replaced"]


def test_a_record_class_of_the_application_formats_its_own_way(log: logging.Logger, sink: Sink):
    class Braces(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802 - the standard library's name
            return str(self.msg).format(*(self.args or ()))

    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Braces)
    log.info("order {}", 7)  # noqa: PLE1205 - its own format
    logging.setLogRecordFactory(before)

    assert sink.bodies() == ["order 7"]


# Loops


def test_an_argument_that_logs_is_a_record_of_its_own(log: logging.Logger, sink: Sink):
    class Chatty:
        def __str__(self) -> str:
            log.debug("within")
            return "chatty"

    log.info("%s", Chatty())

    assert sink.bodies() == ["within", "chatty"]


def test_a_processor_that_logs_does_not_loop(log: logging.Logger, provider: LoggerProvider, sink: Sink):
    provider.add_log_record_processor(Emitting(lambda _: log.info("exporting")))
    log.info("outer")

    assert sink.bodies() == ["exporting", "outer"]


def test_a_sink_that_logs_once_does_not_loop(log: logging.Logger, sink: Sink):
    def act() -> None:
        sink.act = lambda: None
        log.warning("the disk is full")

    sink.act = act
    log.info("outer")

    assert sink.bodies() == ["outer", "the disk is full"]


@pytest.mark.parametrize(
    "name", ["opentelemetry", "opentelemetry.sdk.trace", "tickspan", "tickspan.trading", "tickspan_spool"]
)
def test_telemetrys_own_loggers_are_left_out(handler: OTLPHandler, sink: Sink, name: str):
    for _ in range(2):
        handler.handle(logging.makeLogRecord({"name": name, "msg": "own"}))
    handler.handle(logging.makeLogRecord({"name": "tickspanner", "msg": "foreign"}))

    assert sink.bodies() == ["foreign"]


@pytest.mark.parametrize("name", ["tickspan-sender", "OtelBatchLogRecordRecordProcessor"])
def test_what_exporting_threads_log_is_left_out(log: logging.Logger, sink: Sink, name: str):
    thread = threading.Thread(target=log.info, args=("POST /v1/logs",), name=name)
    log.info("before")
    thread.start()
    thread.join()

    assert sink.bodies() == ["before"]


# Providers


def test_a_provider_without_a_sink_is_served_as_upstream_would():
    kept = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    handler = OTLPHandler(logger_provider=provider)
    circle: dict[str, Any] = {}
    circle["self"] = circle
    for number in range(12):
        handler.handle(
            logging.makeLogRecord({"name": "a", "msg": "x %s", "args": (number,), "circle": circle})
        )

    assert [log.log_record.body for log in kept.get_finished_logs()] == [f"x {n}" for n in range(12)]


def test_a_disabled_sdk_is_no_error(monkeypatch: pytest.MonkeyPatch, sink: Sink):
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    handler = OTLPHandler(logger_provider=LoggerProvider(shutdown_on_exit=False, sink=sink))
    handler.handle(logging.makeLogRecord({"name": "a", "msg": "x"}))

    assert sink.entries == []


def test_the_global_provider_is_looked_up_at_each_record_until_it_is_ours(
    monkeypatch: pytest.MonkeyPatch, provider: LoggerProvider, sink: Sink
):
    current: list[Any] = [sdk.LoggerProvider(shutdown_on_exit=False)]
    monkeypatch.setattr("tickspan.providers.handler.get_logger_provider", lambda: current[0])
    handler = OTLPHandler()
    record = logging.makeLogRecord({"name": "a", "msg": "x"})
    handler.handle(record)
    current[0] = provider
    handler.handle(record)

    assert len(sink.entries) == 1


def test_a_flush_starts_no_thread_since_dict_config_asks_for_it_under_loggings_lock(
    handler: OTLPHandler, provider: LoggerProvider
):
    processor = Emitting()
    provider.add_log_record_processor(processor)
    before = threading.active_count()
    handler.flush()

    assert (threading.active_count(), processor.is_flushed) == (before, False)


def test_dict_config_closes_it_and_it_works_on(run_python: Callable[..., Any]):
    """In a process of its own: every handler there is gets closed."""
    ended = run_python(
        "import logging, logging.config\n"
        "from tickspan.providers.handler import OTLPHandler\n"
        "from tickspan.providers.logger import LoggerProvider\n"
        "class Sink:\n"
        "    def stream(self, key): return self\n"
        "    def append(self, record, items=1): print('recorded')\n"
        "provider = LoggerProvider(shutdown_on_exit=False, sink=Sink())\n"
        "handler = OTLPHandler(logger_provider=provider)\n"
        "logging.config.dictConfig({'version': 1})\n"
        "logging.getLogger('mine').addHandler(handler)\n"
        "logging.getLogger('mine').warning('still here')\n"
    )

    assert (ended.stdout, ended.stderr) == ("recorded\n", "")


def test_the_root_logger_has_no_handler_of_ours(handler: OTLPHandler):
    assert handler not in logging.getLogger().handlers


def test_the_level_is_the_lowest_that_is_recorded(log: logging.Logger, handler: OTLPHandler, sink: Sink):
    handler.setLevel("ERROR")
    log.warning("below")
    log.error("above")

    assert sink.bodies() == ["above"]
