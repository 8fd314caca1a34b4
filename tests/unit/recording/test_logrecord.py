"""Log records as bytes, in the interpreted and the compiled form alike."""

# pyright: reportUnknownLambdaType=false
# The lambdas stand for functions of a library without types.

from __future__ import annotations

import logging
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs, SeverityNumber
from opentelemetry.sdk._logs._internal import std_to_otel

from tickspan.recording import Interop

MARKER = "M4rkerOfASecret"


class Span:
    def __init__(self, trace_id: int, span_id: int, trace_flags: int) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.trace_flags = trace_flags


class Stream:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def append(self, record: bytes, items: int = 1) -> None:
        assert items == 1
        self.bodies.append(record)

    def records(self) -> list[LogRecord]:
        """The entries, which are framed for the message they will stand in."""
        return list(ScopeLogs.FromString(b"".join(self.bodies)).log_records)


@pytest.fixture(params=["tickspan.recording.logrecord", "tickspan._compiled.recording.logrecord"])
def form(request: pytest.FixtureRequest) -> ModuleType:
    """The module interpreted and compiled."""
    return pytest.importorskip(request.param, reason="the hot modules are not compiled here")


@pytest.fixture
def stream() -> Stream:
    return Stream()


Make = Callable[..., Any]


@pytest.fixture
def make(form: ModuleType, stream: Stream) -> Make:
    """A recorder with these limits; `current` is the current span."""

    def make_it(attributes: int | None = None, length: int | None = None, current: Any = None) -> Any:
        nothing: Any = None
        now = SimpleNamespace(get=lambda: {"span": current})
        interop = Interop(now, dict, "span", Span, nothing, lambda span: span.identity, nothing)
        return form.LogRecorder(interop, stream, attributes, length)

    return make_it


def record(recorder: Any, **given: Any) -> None:
    names = (
        "time_ns",
        "observed_ns",
        "context",
        "severity",
        "severity_text",
        "body",
        "attributes",
        "event_name",
    )
    recorder.record(*(given.get(name) for name in names))


def test_a_record_is_an_entry_of_scope_logs(make: Make, stream: Stream):
    recorder = make(current=Span(1 << 64, 2, 1))
    record(
        recorder,
        time_ns=1,
        observed_ns=2,
        severity=9,
        severity_text="INFO",
        body=("a", 1, None),
        attributes={"k": 1.5},
        event_name="tick",
    )

    (told,) = stream.records()
    expected = LogRecord(
        time_unix_nano=1,
        observed_time_unix_nano=2,
        severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
        severity_text="INFO",
        trace_id=(1 << 64).to_bytes(16, "big"),
        span_id=(2).to_bytes(8, "big"),
        flags=1,
        event_name="tick",
    )
    for value in ({"string_value": "a"}, {"int_value": 1}, {}):
        expected.body.array_value.values.add(**value)
    expected.attributes.add(key="k").value.double_value = 1.5
    assert told == expected


def test_no_body_is_an_empty_value_as_upstream_writes_it(make: Make, stream: Stream):
    record(make())

    assert (stream.records()[0].HasField("body"), stream.records()[0].body.WhichOneof("value")) == (
        True,
        None,
    )


@pytest.mark.parametrize(
    ("context", "current", "ids"),
    [
        (None, None, (b"", b"", 0)),
        (None, Span(3, 4, 0), (b"\0" * 15 + b"\3", b"\0" * 7 + b"\4", 0)),
        ({"span": Span(5, 6, 1)}, Span(3, 4, 0), (b"\0" * 15 + b"\5", b"\0" * 7 + b"\6", 1)),
        ({"span": None}, Span(3, 4, 0), (b"", b"", 0)),
        ({}, Span(3, 4, 0), (b"\0" * 15 + b"\3", b"\0" * 7 + b"\4", 0)),
        (
            {"span": SimpleNamespace(identity=(7, 8, True, 1, None))},
            None,
            (b"\0" * 15 + b"\7", b"\0" * 7 + b"\x08", 1),
        ),
        ({"span": SimpleNamespace(identity=None)}, None, (b"", b"", 0)),
    ],
    ids=[
        "nothing",
        "current",
        "given",
        "given without a span",
        "empty is current",
        "foreign",
        "foreign without",
    ],
)
def test_ids_are_those_of_the_span_in_the_context(
    make: Make, stream: Stream, context: Any, current: Any, ids: tuple[bytes, bytes, int]
):
    record(make(current=current), context=context)

    (told,) = stream.records()
    assert (told.trace_id, told.span_id, told.flags) == ids


@pytest.mark.parametrize(
    ("limit", "kept", "dropped"),
    [(None, ["a", "b", "c"], 0), (3, ["a", "b", "c"], 0), (2, ["b", "c"], 1), (0, [], 3)],
)
def test_beyond_the_limit_the_oldest_attributes_go(
    make: Make, stream: Stream, limit: int | None, kept: list[str], dropped: int
):
    record(make(limit), attributes={"a": 1, "b": 2, "c": 3})

    (told,) = stream.records()
    assert ([pair.key for pair in told.attributes], told.dropped_attributes_count) == (kept, dropped)


def test_texts_are_cut_to_the_limit_wherever_they_stand(make: Make, form: ModuleType):
    assert make(length=2).cleaned({"a": "xyz", "b": ["xyz", 1], "c": {"d": "xyz"}}) == (
        {"a": "xy", "b": ("xy", 1), "c": {"d": "xy"}},
        0,
    )


def test_attributes_that_are_no_mapping_are_none(make: Make):
    class Foreign(dict[str, int]):
        def __iter__(self) -> Any:
            raise RuntimeError("no keys")

        keys = items = __iter__  # type: ignore[assignment]

    assert [make().cleaned(given) for given in (None, {}, 7, [1, 2])] == [({}, 0)] * 4
    assert make().cleaned(Foreign(a=1))[1] == 0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"time_ns": -1}, (0, 0)),
        ({"time_ns": 2**64 - 1}, (2**64 - 1, 0)),
        ({"time_ns": 2**70}, (2**64 - 1, 0)),
        ({"time_ns": 7.9}, (7, 0)),
        ({"severity": 24}, (0, 24)),
        ({"severity": 25}, (0, 0)),
        ({"severity": -1}, (0, 0)),
        ({"severity": "high"}, (0, 0)),
        ({"severity": True}, (0, 0)),
    ],
)
def test_numbers_out_of_range_are_what_is_nearest_or_nothing(
    make: Make, stream: Stream, given: dict[str, Any], told: tuple[int, int]
):
    record(make(), **given)

    (sent,) = stream.records()
    assert (sent.time_unix_nano, sent.severity_number) == told


def test_a_long_body_is_cut_where_the_scanner_stops(make: Make, stream: Stream):
    record(make(), body="word " * 10_000)

    assert len(stream.records()[0].body.string_value) < 4200


def test_every_text_of_a_body_is_scanned(make: Make, stream: Stream):
    record(make(), body=[f"token={MARKER}", {"a": f"https://u:{MARKER}@x/", "secret": MARKER}])

    assert MARKER.encode() not in stream.bodies[0]


# Records of the standard library


def standard(**fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"created": 1.5, "msg": "m", "levelno": 20, "levelname": "INFO", **fields})


@pytest.mark.parametrize("level", [-1, 0, 9, *range(10, 55), 1000])
def test_levels_are_upstreams(form: ModuleType, level: int):
    assert form.severity_of(level) == std_to_otel(level).value


def test_level_names_are_opentelemetrys(form: ModuleType):
    names = ("WARNING", "CRITICAL", "INFO", "Level 7", None)

    assert [form.severity_text_of(name) for name in names] == ["WARN", "FATAL", "INFO", "Level 7", ""]


def test_a_standard_record_has_its_place_behind_what_the_application_adds(make: Make, stream: Stream):
    recorder = make(current=Span(1, 2, 1))
    recorder.record_standard(
        standard(pathname="a.py", funcName="f", lineno=3, zeta=1, alpha="x"), None, {"exception.type": "E"}
    )

    (told,) = stream.records()
    assert [pair.key for pair in told.attributes] == [
        "zeta",
        "alpha",
        "code.file.path",
        "code.function.name",
        "code.line.number",
        "exception.type",
    ]
    assert (told.time_unix_nano, told.body.string_value, told.flags) == (1_500_000_000, "m", 1)


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 5, 6, 30])
def test_a_standard_record_keeps_the_limit(make: Make, stream: Stream, limit: int):
    make(limit).record_standard(standard(one=1, two=2, three=3), None, None)

    (told,) = stream.records()
    assert (len(told.attributes), told.dropped_attributes_count) == (min(limit, 6), max(0, 6 - limit))


def test_a_formatters_text_is_the_body(make: Make, stream: Stream):
    make().record_standard(standard(msg="raw"), f"INFO raw password={MARKER}", None)

    assert stream.records()[0].body.string_value == "INFO raw password=[redacted]"


@pytest.mark.parametrize(
    ("message", "arguments", "body", "error"),
    [
        ("plain 100 %", (), "plain 100 %", None),
        ("%s", ("x",), "x", None),
        ("%(a)s", {"a": 1}, "1", None),
        ("%d", ("x",), "%d", "TypeError"),
        (7, (), 7, None),
        (None, (), None, None),
        ([1, "a"], (), [1, "a"], None),
        ({"a": (1,)}, None, {"a": (1,)}, None),
        (ValueError("text"), (), "text", None),
        (b"raw", (), b"raw", None),
        (7, ("x",), 7, "TypeError"),
    ],
)
def test_the_body_is_the_message_or_the_object_that_was_logged(
    form: ModuleType, message: Any, arguments: Any, body: Any, error: str | None
):
    attributes: dict[str, Any] = {}

    assert form.standard_body(standard(msg=message, args=arguments), attributes) == body
    assert attributes.get("tickspan.log.format_error") == error


def test_attributes_for_others_are_clean_too(form: ModuleType):
    attributes = form.standard_attributes(standard(api_key=MARKER, odd=1j), {"exception.type": "E"})

    assert (attributes["api_key"], attributes["odd"], attributes["exception.type"]) == (
        "[redacted]",
        "1j",
        "E",
    )
