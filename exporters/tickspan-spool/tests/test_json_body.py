"""OTLP/JSON bodies: the protocol's own mapping, strictly."""

import contextlib
import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tickspan_spool.receiver.json_body import fill_from_json
from tickspan_spool.receiver.limits import Limits
from tickspan_spool.receiver.refusal import Refusal

_LIMITS = Limits()


def _span(value: object, limits: Limits = _LIMITS) -> Span:
    span = Span()
    fill_from_json(span, json.dumps(value).encode(), limits)
    return span


def _complaint(body: bytes, limits: Limits = _LIMITS) -> str:
    with pytest.raises(Refusal) as caught:
        fill_from_json(ExportTraceServiceRequest(), body, limits)
    return caught.value.message


def test_a_span_is_read_by_the_rules_of_otlp():
    span = _span(
        {
            "traceId": "5B8EFFF798038103D269B633813FC60C",
            "spanId": "eee19b7ec3c1b174",
            "parentSpanId": "",
            "name": "place order",
            "kind": 3,
            "startTimeUnixNano": "1544712660000000000",
            "endTimeUnixNano": 1544712661000000000,
            "attributes": [
                {"key": "s", "value": {"stringValue": ""}},
                {"key": "i", "value": {"intValue": "-5"}},
                {"key": "d", "value": {"doubleValue": 1}},
                {"key": "b", "value": {"boolValue": False}},
                {"key": "y", "value": {"bytesValue": "3q2+7w=="}},
                {"key": "a", "value": {"arrayValue": {}}},
                {"key": "m", "value": {"kvlistValue": {"values": [{"key": "in"}]}}},
                {"key": "n", "value": None},
            ],
            "status": {"code": 2},
            "tomorrow": {"unknown": ["fields", "are", "ignored"]},
        }
    )
    expected = Span(
        trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"),
        span_id=bytes.fromhex("eee19b7ec3c1b174"),
        name="place order",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=1544712660000000000,
        end_time_unix_nano=1544712661000000000,
    )
    expected.status.code = 2  # pyright: ignore[reportAttributeAccessIssue] - an enum's number
    values = {key: expected.attributes.add(key=key).value for key in "sidbya"}
    values["s"].string_value = ""
    values["i"].int_value = -5
    values["d"].double_value = 1.0
    values["b"].bool_value = False
    values["y"].bytes_value = b"\xde\xad\xbe\xef"
    values["a"].array_value.SetInParent()
    expected.attributes.add(key="m").value.kvlist_value.values.add(key="in")
    expected.attributes.add(key="n")
    assert span == expected


def test_lists_of_numbers_and_special_doubles_are_read():
    point = HistogramDataPoint()
    fill_from_json(
        point, b'{"bucketCounts": ["1", 2], "explicitBounds": [0.5, "Infinity"], "sum": "NaN"}', Limits()
    )
    assert list(point.bucket_counts) == [1, 2]
    assert list(point.explicit_bounds) == [0.5, math.inf]
    assert math.isnan(point.sum)


def test_an_integer_point_is_read():
    point = NumberDataPoint()
    fill_from_json(point, b'{"asInt": "9223372036854775807"}', Limits())
    assert point == NumberDataPoint(as_int=2**63 - 1)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"[]", "$: expected an object, got an array"),
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"\xff\xfe{}", "can't decode byte"),
        (b'{"resourceSpans": {}}', "$.resourceSpans: expected an array, got an object"),
        (b'{"resourceSpans": [null]}', "$.resourceSpans[0]: expected an object, got null"),
        (
            b'{"resourceSpans": [{"schemaUrl": 3}]}',
            "$.resourceSpans[0].schemaUrl: expected a string, got a number",
        ),
        (b'{"resourceSpans": [{"schemaUrl": "\\ud800"}]}', "expected a value that fits schema_url"),
        (b'{"resourceSpans": NaN}', "NaN is no JSON"),
        (b"1" * 5000, "JSON body: Exceeds the limit"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(body: bytes, complaint: str):
    assert complaint in _complaint(body)


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        (
            {"traceId": "xyz"},
            "$.traceId: expected an id of 32 hexadecimal digits, got a string of 3 characters",
        ),
        ({"spanId": "g" * 16}, "$.spanId: expected an id of 16 hexadecimal digits"),
        ({"spanId": "00 00 00 00 00 0"}, "$.spanId: expected an id of 16 hexadecimal digits"),
        ({"kind": "SPAN_KIND_CLIENT"}, "$.kind: expected an integer"),
        ({"kind": True}, "$.kind: expected an integer, as a number or a string, got a boolean"),
        ({"startTimeUnixNano": -1}, "$.startTimeUnixNano: expected a value that fits start_time_unix_nano"),
        ({"startTimeUnixNano": 1.5}, "$.startTimeUnixNano: expected an integer"),
        ({"flags": 2**40}, "$.flags: expected a value that fits flags"),
        (
            {"attributes": [{"value": {"boolValue": 1}}]},
            "$.attributes[0].value.boolValue: expected true or false",
        ),
        (
            {"attributes": [{"value": {"bytesValue": "%"}}]},
            "$.attributes[0].value.bytesValue: expected base64",
        ),
        (
            {"attributes": [{"value": {"bytesValue": "é"}}]},
            "$.attributes[0].value.bytesValue: expected base64",
        ),
        (
            {"attributes": [{"value": {"doubleValue": "1e5x"}}]},
            "$.attributes[0].value.doubleValue: expected a number",
        ),
        ({"attributes": [{"value": {"doubleValue": 10**400}}]}, "expected a number that a double can hold"),
    ],
)
def test_a_member_that_does_not_fit_is_refused_with_its_place(member: object, complaint: str):
    with pytest.raises(Refusal) as caught:
        _span(member)
    assert complaint in caught.value.message


def test_a_number_beyond_its_list_is_refused():
    with pytest.raises(Refusal, match=r"bucketCounts\[1\]: expected a number that fits bucket_counts"):
        fill_from_json(HistogramDataPoint(), b'{"bucketCounts": [1, -1]}', Limits())


def test_a_refusal_never_repeats_the_value():
    assert "hunter2" not in _complaint(b'{"resourceSpans": "hunter2"}')


def test_brackets_beyond_the_nesting_are_refused_however_many():
    assert _complaint(b'{"a":' + b"[" * 64) == "JSON body: brackets nest deeper than 64"
    assert _complaint(b"[" * 290_000) == "JSON body: brackets nest deeper than 64"


def test_brackets_inside_strings_do_not_nest():
    assert _span({"name": "[" * 100 + '\\"' * 100 + "{" * 100}).name.startswith("[[")


def test_more_values_than_allowed_are_refused():
    assert "more than 300000 values" in _complaint(b"[" + b"1," * 300_000 + b"1]")


def test_an_unfinished_string_of_quotes_costs_linear_time():
    start = time.process_time()
    _complaint(b'"' + b'\\"' * 2_000_000)
    assert time.process_time() - start < 2


def test_deep_values_within_the_bound_are_read():
    body, expected = b"{}", AnyValue()
    for _ in range(21):
        body = b'{"arrayValue": {"values": [' + body + b"]}}"
        outer = AnyValue()
        outer.array_value.values.append(expected)
        expected = outer
    value = AnyValue()
    fill_from_json(value, body, Limits())
    assert value == expected


_NAMES = st.text(max_size=3) | st.sampled_from(
    [
        "resourceMetrics",
        "scopeMetrics",
        "metrics",
        "sum",
        "dataPoints",
        "asInt",
        "attributes",
        "value",
        "stringValue",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_is_read_or_refused(value: object):
    message = ExportMetricsServiceRequest()
    with contextlib.suppress(Refusal):
        fill_from_json(message, json.dumps(value).encode(), Limits())


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes):
    with contextlib.suppress(Refusal):
        fill_from_json(ExportTraceServiceRequest(), body, Limits())
