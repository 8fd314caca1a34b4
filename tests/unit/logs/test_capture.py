"""What the application logs is recorded, and its own logging goes on exactly as without us."""

from __future__ import annotations

import inspect
import io
import logging
import logging.config
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context
from tickspan_spool.reasons import Reason

from tickspan.config import LogCapture, LogSettings
from tickspan.logs.capture import Capture, level_number
from tickspan.logs.console import Console
from tickspan.providers.handler import OTLPHandler
from tickspan.providers.logger import LoggerProvider
from tickspan.received import decode_logs

from .conftest import Desk, StartDesk

MARKER = "M4rkerOfASecret"
SPAN = set_span_in_context(
    NonRecordingSpan(SpanContext(0xA1 << 120, 0xB2 << 56, is_remote=False, trace_flags=TraceFlags(1)))
)


class Intercepting(logging.Handler):
    """Finds the caller as loguru's documented `InterceptHandler` does."""

    def __init__(self) -> None:
        super().__init__()
        self.callers: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        frame: Any = inspect.currentframe()
        depth = 0
        while frame:
            filename = frame.f_code.co_filename
            is_frozen = "importlib" in filename and "_bootstrap" in filename
            if depth > 0 and filename != logging.__file__ and not is_frozen:
                break
            frame = frame.f_back
            depth += 1
        self.callers.append((frame.f_code.co_name, Path(frame.f_code.co_filename).name))


def test_a_record_has_body_severity_place_span_and_fields(desk: Desk, plain: logging.Logger):
    token = otel_context.attach(SPAN)
    plain.warning("order %s rejected", "o-1", extra={"symbol": "BTC/USDT"})
    otel_context.detach(token)
    (log,) = desk.logs()
    assert (log.body, log.severity_text, log.severity_number, log.scope) == (
        "order o-1 rejected",
        "WARN",
        13,
        "app.orders",
    )
    assert (log.trace_id, log.span_id) == (f"{0xA1 << 120:032x}", f"{0xB2 << 56:016x}")
    place = {
        "code.file.path": __file__,
        "code.function.name": "test_a_record_has_body_severity_place_span_and_fields",
    }
    line = {"code.line.number": log.attributes["code.line.number"]}
    assert log.attributes == {
        "symbol": "BTC/USDT",
        "tickspan.log.template": "order %s rejected",
        **place,
        **line,
    }


def test_levels_of_the_application_and_ours_decide(start: StartDesk, plain: logging.Logger):
    desk = start(level="WARNING")
    plain.info("below ours")
    plain.setLevel(logging.ERROR)
    plain.warning("below the application's")
    plain.error("told")
    assert desk.bodies() == ["told"]


def test_debug_records_are_captured_where_they_are_wanted(start: StartDesk, plain: logging.Logger):
    desk = start(level="debug")
    plain.debug("detail")
    assert desk.bodies() == ["detail"]


def test_a_level_that_is_none_says_what_was_expected():
    assert level_number("15") == 15
    with pytest.raises(ValueError, match=r"logs\.level: expected one of CRITICAL.*, or a number; got 'LOUD'"):
        level_number("LOUD")


def test_a_walk_up_the_stack_finds_the_caller(desk: Desk, plain: logging.Logger):
    handler = Intercepting()
    plain.addHandler(handler)
    plain.warning("by the standard library's logger")
    desk.logger("app.orders", "trading").warning("by ours")
    me = ("test_a_walk_up_the_stack_finds_the_caller", "test_capture.py")
    assert handler.callers == [me, me]
    assert len(desk.bodies()) == 2


def test_our_loggers_tell_the_line_that_called_them(desk: Desk):
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr] - there is a frame
    desk.logger().info("here")
    desk.logger().audit("here")
    assert [
        (log.attributes["code.line.number"], log.attributes["code.function.name"]) for log in desk.logs()
    ] == [(line + n, "test_our_loggers_tell_the_line_that_called_them") for n in (0, 1)]


def test_handlers_get_the_record_unchanged(
    desk: Desk, plain: logging.Logger, caplog: pytest.LogCaptureFixture
):
    arguments = ("o-1", 5)
    plain.warning("order %s of %d", *arguments)
    (record,) = caplog.records
    assert (record.msg, record.args, record.getMessage()) == ("order %s of %d", arguments, "order o-1 of 5")
    assert caplog.record_tuples == [("app.orders", logging.WARNING, "order o-1 of 5")]
    assert desk.bodies() == ["order o-1 of 5"]


def test_what_a_handler_raises_reaches_the_caller_and_the_record_is_there(desk: Desk, plain: logging.Logger):
    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise KeyError(record.msg)

    plain.addHandler(Raising())
    with pytest.raises(KeyError, match="boom"):
        plain.warning("boom")
    assert desk.bodies() == ["boom"]


def test_without_propagation_and_handlers_a_record_is_captured(desk: Desk, plain: logging.Logger):
    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    plain.warning("alone")
    assert desk.bodies() == ["alone"]


def test_a_filter_of_the_logger_decides_for_us_too(desk: Desk, plain: logging.Logger):
    def no_heartbeats(record: logging.LogRecord) -> bool:
        return "heartbeat" not in record.msg

    plain.addFilter(no_heartbeats)
    try:
        plain.warning("heartbeat")
        desk.logger("app.orders").warning("heartbeat")
        plain.warning("told")
    finally:
        plain.removeFilter(no_heartbeats)
    assert desk.bodies() == ["told"]


def test_dict_config_changes_nothing_for_us(desk: Desk):
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"null": {"class": "logging.NullHandler"}},
            "loggers": {"app.configured": {"handlers": ["null"], "level": "INFO", "propagate": False}},
        }
    )
    logging.getLogger("app.configured").info("after dictConfig")
    assert desk.bodies() == ["after dictConfig"]


_PROGRAM = """
import logging, sys
if sys.argv[1] == "with":
    from tickspan.config import LogSettings
    from tickspan.logs.capture import CAPTURE
    from tickspan.providers.logger import LoggerProvider
    from tickspan.testing.sink import MemorySink
    sink = MemorySink()
    CAPTURE.start(LoggerProvider(shutdown_on_exit=False, sink=sink), LogSettings())
log = logging.getLogger("app")
log.warning("last resort %d", 1)
log.info("below")
logging.basicConfig(format="%(levelname)s %(name)s %(funcName)s %(lineno)d %(message)s", level=logging.INFO)
def place():
    log.info("configured %s", "late")
place()
logging.getLogger("app.child").error("child")
if sys.argv[1] == "with":
    assert len(sink.entries) == 3, len(sink.entries)
print([type(one).__name__ for one in logging.getLogger().handlers], logging.getLogger().level)
"""


@pytest.mark.integration
def test_a_program_prints_the_same_bytes_with_capture_and_without():
    def printed(how: str) -> tuple[str, str]:
        ended = subprocess.run(
            [sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True, timeout=60
        )
        return ended.stdout, ended.stderr

    assert printed("with") == printed("without")
    assert printed("with")[1].splitlines()[0] == "last resort 1"


def test_off_puts_no_tee_in():
    before = logging.Logger.callHandlers
    capture = Capture()
    capture.start(LoggerProvider(shutdown_on_exit=False), LogSettings(capture=LogCapture.OFF))
    assert (capture.is_on, logging.Logger.callHandlers) == (False, before)


def test_stop_puts_the_very_same_function_back(start: StartDesk):
    before = logging.Logger.callHandlers
    desk = start()
    assert logging.Logger.callHandlers is not before
    assert logging.Logger.callHandlers.__doc__ == before.__doc__
    desk.capture.stop()
    assert logging.Logger.callHandlers is before


def test_a_tee_that_someone_else_wrapped_stays_and_passes_calls(start: StartDesk, plain: logging.Logger):
    desk = start()
    ours = logging.Logger.callHandlers

    def theirs(self: logging.Logger, record: logging.LogRecord) -> None:
        ours(self, record)

    logging.Logger.callHandlers = theirs
    desk.capture.start(desk.provider, LogSettings())
    plain.warning("while on")
    desk.capture.stop()
    plain.warning("after the stop")
    assert (logging.Logger.callHandlers, desk.bodies()) == (theirs, ["while on"])


@pytest.mark.parametrize(
    "name", ["tickspan", "tickspan.recording", "tickspan_spool.agent", "opentelemetry.sdk"]
)
def test_telemetrys_own_loggers_are_left_out(desk: Desk, name: str):
    logging.getLogger(name).error("told by telemetry")
    assert desk.bodies() == []


def test_a_chain_with_a_handler_of_opentelemetrys_is_recorded_once(desk: Desk, plain: logging.Logger):
    plain.addHandler(OTLPHandler(logger_provider=desk.provider))
    plain.warning("once")
    assert desk.bodies() == ["once"]


def test_foreign_processors_get_category_and_fields():
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    capture = Capture()
    desk = Desk(capture, None, provider)  # type: ignore[arg-type] - what users do
    capture.start(provider, LogSettings())
    try:
        desk.logger("oms", "risk").warning("limit", limit=5)
        desk.direct("md", "market_data").info("tick", px=1.5)
    finally:
        capture.stop()
    logs = decode_logs(encode_logs(exporter.get_finished_logs()))
    assert [(log.body, log.attributes["tickspan.log.category"]) for log in logs] == [
        ("limit", "risk"),
        ("tick", "market_data"),
    ]


def test_arguments_that_do_not_fit_leave_the_template(desk: Desk, plain: logging.Logger):
    plain.addHandler(logging.NullHandler())
    plain.propagate = False
    plain.warning("%d orders", "many")
    (log,) = desk.logs()
    assert (log.body, log.attributes["tickspan.log.format_error"]) == ("%d orders", "TypeError")


def test_an_argument_that_raises_leaves_the_template(desk: Desk, plain: logging.Logger):
    class Raising:
        def __str__(self) -> str:
            raise ZeroDivisionError(MARKER)

    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    plain.warning("order %s", Raising(), extra={"order": Raising()})
    (log,) = desk.logs()
    assert (log.body, log.attributes["tickspan.log.format_error"]) == ("order %s", "ZeroDivisionError")
    assert MARKER not in repr(log)


def test_what_changes_after_the_call_does_not_change_the_record(desk: Desk, plain: logging.Logger):
    order = {"id": "o-1"}
    plain.warning("order %s", order, extra={"order": order})
    order["id"] = "o-2"
    (log,) = desk.logs()
    assert (log.body, log.attributes["order"]) == ("order {'id': 'o-1'}", {"id": "o-1"})


def test_an_argument_that_logs_itself_ends(desk: Desk, plain: logging.Logger):
    class Talking:
        def __str__(self) -> str:
            plain.warning("asked for %s", self)
            return "talking"

    plain.propagate = False
    plain.addHandler(logging.NullHandler())
    plain.warning("order %s", Talking())
    assert desk.bodies() == [*["asked for talking"] * 3, "order talking"]
    assert desk.capture.statistics().nested == 1


def test_a_message_of_a_megabyte_is_cut(desk: Desk, plain: logging.Logger):
    plain.warning("x " * (1 << 19), extra={"blob": "y " * (1 << 19)})
    (log,) = desk.logs()
    assert len(str(log.body)) < 5_000
    assert len(str(log.attributes["blob"])) < 5_000


@pytest.mark.parametrize(
    "extra",
    [
        {"password": MARKER},
        {"api_secret": MARKER},
        {"info": f"api_key={MARKER}"},
        {"info": {"token": MARKER}},
        {"info": [f"password: {MARKER}"]},
        {"info": f"https://venue.example/x?signature={MARKER}"},
        {"headers": f"Authorization: Bearer {MARKER}"},
    ],
)
def test_a_secret_in_a_field_is_not_recorded(desk: Desk, plain: logging.Logger, extra: dict[str, object]):
    plain.warning("connected", extra=extra)
    desk.logger("app.orders").warning("connected", **extra)
    desk.direct("app.orders").warning("connected", **extra)
    assert len(desk.bodies()) == 3
    assert not any(MARKER.encode() in entry.body for entry in desk.sink.entries)


def test_a_secret_in_message_template_or_exception_is_not_recorded(desk: Desk, plain: logging.Logger):
    try:
        raise ConnectionError(f"https://u:{MARKER}@venue.example/?token={MARKER}")
    except ConnectionError:
        plain.exception(f"password={MARKER}")
    plain.warning(f"password={MARKER} %s", "x")
    plain.warning("login %s", f"password={MARKER}")
    assert len(desk.bodies()) == 3
    assert not any(MARKER.encode() in entry.body for entry in desk.sink.entries)


def test_a_child_process_counts_its_own(desk: Desk, plain: logging.Logger):
    plain.warning("parent")
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            plain.warning("child")
            os.write(writer, repr(desk.capture.statistics().records).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 100) == b"{'system': 1}"
    os.close(reader)
    os.close(writer)


def test_threads_that_log_at_once_lose_nothing(start: StartDesk, plain: logging.Logger):
    desk = start(throttle=0)
    plain.propagate = False
    plain.addHandler(logging.NullHandler())

    def work() -> None:
        for number in range(200):
            plain.warning("record %d", number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(desk.sink.entries), desk.capture.statistics().records) == (800, {"system": 800})


def test_while_the_spool_is_nearly_full_what_matters_least_stays_outside(desk: Desk):
    desk.capture._share = lambda: 0.86
    desk.capture.look()
    desk.direct("md", "market_data").info("tick")
    desk.logger("sys").warning("system")
    desk.logger("oms", "trading").warning("order")
    desk.capture._share = lambda: 0.95
    desk.capture.look()
    desk.logger("oms", "trading").warning("order")
    desk.logger("oms").audit("limit")
    assert desk.bodies() == ["order", "limit"]
    assert desk.capture.statistics().dropped == {"market_data": 1, "system": 1, "trading": 1}
    assert desk.sink.dropped == {("logs", Reason.DISK_BOUND): 3}


def test_performance_records_can_be_switched_off(start: StartDesk):
    desk = start(performance=False)
    desk.logger("perf", "performance").warning("slow")
    desk.logger("perf", "trading").warning("order")
    assert desk.bodies() == ["order"]


@pytest.mark.parametrize("is_json", [True, False])
def test_the_console_shows_what_is_recorded_without_secrets(desk: Desk, plain: logging.Logger, is_json: bool):
    stream = io.StringIO()
    desk.capture.show_on(Console(is_json=is_json, stream=lambda: stream))
    desk.logger("app.orders", "trading").warning("filled\nat once", symbol="AAPL", password=MARKER)
    told = stream.getvalue()
    assert told.count("\n") == 1
    assert [word in told for word in ("filled", "AAPL", "trading", "app.orders", MARKER)] == [True] * 4 + [
        False
    ]


def test_fields_that_a_record_factory_or_filter_has_set_are_recorded(desk: Desk, plain: logging.Logger):
    factory = logging.getLogRecordFactory()

    def with_desk(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        record.desk = "fx"
        del record.process
        record.process = 7
        record.lineno = 1
        return record

    logging.setLogRecordFactory(with_desk)
    try:
        plain.warning("filled", extra={"symbol": "AAPL"})
    finally:
        logging.setLogRecordFactory(factory)
    (log,) = desk.logs()
    assert {key: log.attributes.get(key) for key in ("desk", "symbol", "process")} == {
        "desk": "fx",
        "symbol": "AAPL",
        "process": None,
    }
