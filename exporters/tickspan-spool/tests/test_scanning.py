"""Records counted on the bytes, before they are decoded."""

import contextlib
from types import ModuleType

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tickspan_spool.receiver import _hot as chosen
from tickspan_spool.receiver import scanning
from tickspan_spool.receiver.limits import Limits
from tickspan_spool.receiver.refusal import Reason, Refusal
from tickspan_spool.receiver.scanning import count_records, shape_of

_TRACES = shape_of(ExportTraceServiceRequest.DESCRIPTOR)
_METRICS = shape_of(ExportMetricsServiceRequest.DESCRIPTOR)


def _request(spans: int, attributes: int = 0) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for _ in range(spans):
        span = scope.spans.add(name="o", trace_id=bytes(16), span_id=bytes(8))
        for index in range(attributes):
            span.attributes.add(key=f"k{index}").value.int_value = index
    return request


def _refusal(body: bytes, limits: Limits) -> tuple[Reason, int]:
    with pytest.raises(Refusal) as caught:
        count_records(body, _TRACES, limits)
    return caught.value.reason, caught.value.status


@given(st.integers(0, 50), st.integers(0, 5))
def test_spans_are_counted(spans: int, attributes: int):
    assert count_records(_request(spans, attributes).SerializeToString(), _TRACES, Limits()) == spans


def test_points_of_every_metric_kind_are_counted():
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    metrics.add().gauge.data_points.add()
    metrics.add().sum.data_points.add()
    metrics.add().histogram.data_points.add(bucket_counts=[1, 2], explicit_bounds=[0.5])
    metrics.add().exponential_histogram.data_points.add().positive.bucket_counts.extend([1, 2])
    metrics.add().summary.data_points.add()
    assert count_records(request.SerializeToString(), _METRICS, Limits()) == 5


def test_as_many_records_as_allowed_pass_and_one_more_is_refused():
    limits = Limits(records=10)
    assert count_records(_request(10).SerializeToString(), _TRACES, limits) == 10
    assert _refusal(_request(11).SerializeToString(), limits) == (Reason.RECORDS, 413)


def test_empty_spans_of_two_bytes_are_counted_before_they_take_memory():
    spans = b"\x12\x00" * 200_000
    scope = b"\x12" + _varint(len(spans)) + spans
    assert _refusal(b"\x0a" + _varint(len(scope)) + scope, Limits()) == (Reason.RECORDS, 413)


def test_other_values_are_bounded_too():
    assert _refusal(_request(1, attributes=20).SerializeToString(), Limits(values=20)) == (
        Reason.RECORDS,
        413,
    )


def test_numbers_of_a_list_are_bounded_packed_or_not():
    packed = ExportMetricsServiceRequest()
    point = (
        packed.resource_metrics.add()
        .scope_metrics.add()
        .metrics.add()
        .exponential_histogram.data_points.add()
    )
    point.positive.bucket_counts.extend([1] * 1000)
    body = packed.SerializeToString()
    assert count_records(body, _METRICS, Limits()) == 1
    with pytest.raises(Refusal, match="more than 100 values"):
        count_records(body, _METRICS, Limits(values=100))


def test_values_nested_as_deep_as_allowed_pass_and_one_deeper_is_refused():
    span = Span()
    value = span.attributes.add().value
    for _ in range(10):
        value = value.array_value.values.add()
    body = span.SerializeToString()
    deep = 2 + 10 * 2
    assert count_records(body, shape_of(Span.DESCRIPTOR), Limits(nesting=deep)) == 0
    with pytest.raises(Refusal, match=f"deeper than {deep - 1}"):
        count_records(body, shape_of(Span.DESCRIPTOR), Limits(nesting=deep - 1))


def test_a_body_of_nothing_but_nesting_is_refused_at_once():
    body = b""
    for _ in range(2_000):
        body = b"\x0a" + _varint(len(body)) + body
        body = b"\x2a" + _varint(len(body)) + body
    with pytest.raises(Refusal, match="deeper than 64"):
        count_records(body, shape_of(AnyValue.DESCRIPTOR), Limits())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x0a", id="a length is missing"),
        pytest.param(b"\x0a\x05abc", id="a field is longer than the body"),
        pytest.param(b"\x0a\x02\x12\x05", id="a field is longer than its message"),
        pytest.param(b"\x02\x00", id="field number zero"),
        pytest.param(b"\x0b\x0c", id="a group"),
        pytest.param(b"\x08" + b"\xff" * 11, id="an endless number"),
        pytest.param(b"\x0d\x00", id="a truncated fixed number"),
    ],
)
def test_what_is_no_protobuf_is_refused(body: bytes):
    assert _refusal(body, Limits()) == (Reason.MALFORMED, 400)


def test_unknown_fields_are_passed_over():
    assert (
        count_records(_request(3).SerializeToString() + b"\xf2\x3f\x03abc\xf8\x3f\x01", _TRACES, Limits())
        == 3
    )


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_damaged_body_that_protobuf_still_reads_is_counted_as_protobuf_reads_it(at: int, damage: bytes):
    whole = bytearray(_request(4, 3).SerializeToString())
    whole[at : at + len(damage)] = damage
    message = ExportTraceServiceRequest()
    with contextlib.suppress(Refusal, DecodeError):
        counted = count_records(bytes(whole), _TRACES, Limits())
        message.ParseFromString(bytes(whole))
        scopes = [scope for resource in message.resource_spans for scope in resource.scope_spans]
        assert counted == sum(len(scope.spans) for scope in scopes)


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


@given(body=st.binary(max_size=60), cut=st.integers(0, 300), put=st.binary(min_size=1, max_size=3))
def test_the_form_that_runs_counts_and_refuses_as_its_source_does(body: bytes, cut: int, put: bytes) -> None:
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(name="n" * 40, trace_id=b"t" * 16)
    whole = message.SerializeToString()
    damaged = whole[:cut] + put + whole[cut + len(put) :]
    for given_body in (body, damaged):
        assert _outcome(scanning, given_body) == _outcome(chosen.scanning, given_body)


def _outcome(form: ModuleType, body: bytes) -> int | str:
    try:
        return form.count_records(body, form.shape_of(ExportTraceServiceRequest.DESCRIPTOR), Limits())
    except Refusal as refusal:
        return str(refusal)
