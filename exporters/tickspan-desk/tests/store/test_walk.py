"""The walk over a request's bytes, in the form that runs and as its source."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from tickspan_desk.store import walk as source
from tickspan_desk.store._hot import walk as chosen
from tickspan_desk.store.bodies import Term, has
from tickspan_desk.store.sketch import pack_sketch

from tickspan.received import decode_traces

NOON_NS = 1_795_694_400_000_000_000
FORMS = (source, chosen)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values: st.SearchStrategy[AnyValue] = st.recursive(
    st.one_of(
        st.builds(AnyValue, string_value=texts),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, int_value=st.integers(-(1 << 63), (1 << 63) - 1)),
        st.builds(AnyValue, double_value=st.floats()),
        st.builds(AnyValue, bytes_value=st.binary(max_size=6)),
    ),
    lambda inner: st.one_of(
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(inner, max_size=3))),
        st.builds(
            AnyValue,
            kvlist_value=st.builds(
                KeyValueList,
                values=st.lists(st.builds(KeyValue, key=texts, value=inner), min_size=1, max_size=1),
            ),
        ),
    ),
    max_leaves=4,
)


def key_of(pair: KeyValue) -> str:
    return pair.key


pairs = st.lists(st.builds(KeyValue, key=texts, value=values), max_size=4, unique_by=key_of)
spans = st.builds(
    Span,
    trace_id=st.binary(max_size=20),
    span_id=st.binary(max_size=10),
    parent_span_id=st.sampled_from([b"", b"parent"]),
    name=texts,
    kind=st.integers(0, 5),
    start_time_unix_nano=st.integers(0, (1 << 64) - 1),
    end_time_unix_nano=st.integers(0, (1 << 64) - 1),
    attributes=pairs,
    events=st.lists(st.builds(Span.Event, name=texts, attributes=pairs), max_size=2),
    links=st.lists(st.builds(Span.Link, trace_id=st.binary(max_size=16), attributes=pairs), max_size=2),
)
scopes = st.builds(ScopeSpans, spans=st.lists(spans, max_size=4))
groups = st.builds(
    ResourceSpans,
    resource=st.builds(Resource, attributes=pairs),
    scope_spans=st.lists(scopes, min_size=1, max_size=1),
)
requests_ = st.builds(ExportTraceServiceRequest, resource_spans=st.lists(groups, max_size=3))


def everything(form: ModuleType, body: bytes, *, is_logs: bool = False) -> Any:
    """All that a walk tells, as values; or that the bytes are no request."""
    try:
        told = form.tell(body, is_logs=is_logs, service_key=b"a", order_keys={b"b": "order"}, came_ns=NOON_NS)
    except ValueError as error:
        return str(error)
    return {name: getattr(told, name) for name in type(told).__slots__}


@settings(max_examples=40, deadline=None)
@given(request=requests_)
def test_both_forms_tell_the_same(request: ExportTraceServiceRequest) -> None:
    body = request.SerializeToString()
    told = [everything(form, body) for form in FORMS]
    assert told[0] == told[1]
    assert told[0]["records"] == len(decode_traces(request))


@given(body=st.binary(max_size=60), is_logs=st.booleans())
def test_whatever_the_bytes_are_both_forms_say_the_same(body: bytes, is_logs: bool) -> None:
    assert everything(source, body, is_logs=is_logs) == everything(chosen, body, is_logs=is_logs)


@settings(max_examples=40, deadline=None)
@given(request=requests_, cut=st.integers(0, 400), put=st.binary(min_size=1, max_size=3))
def test_a_damaged_request_is_read_or_refused_alike(
    request: ExportTraceServiceRequest, cut: int, put: bytes
) -> None:
    body = request.SerializeToString()
    damaged = body[:cut] + put + body[cut + len(put) :]
    assert everything(source, damaged) == everything(chosen, damaged)


@settings(max_examples=40, deadline=None)
@given(request=requests_)
def test_every_value_name_and_id_is_posted_and_found_again(request: ExportTraceServiceRequest) -> None:
    body = request.SerializeToString()
    posted = everything(chosen, body)["values"]
    for group in request.resource_spans:
        for span in group.scope_spans[0].spans:
            named = (span.name.encode(), span.trace_id, span.span_id)
            hashes = {chosen.hash_of(what) for what in named if what}
            for pair in [*group.resource.attributes, *span.attributes]:
                hashes |= {chosen.hash_of(text) for text in chosen.attribute(pair.SerializeToString())[1]}
            found = chosen.sift(body, is_logs=False, sought=chosen.Sought(tuple(hashes)[:60]))
            assert span.SerializeToString() in {Span.FromString(raw).SerializeToString() for *_, raw in found}
            assert hashes <= posted


@given(pair=st.builds(KeyValue, key=st.just("key"), value=values))
def test_a_value_is_posted_as_the_text_by_which_it_is_compared(pair: KeyValue) -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(attributes=[pair])
    attributes = decode_traces(request)[0].attributes
    key, posted = source.attribute(pair.SerializeToString())
    assert key == b"key"
    assert all(has(attributes, Term(text.decode(), "key")) for text in posted)


def test_a_resource_may_stand_behind_its_records() -> None:
    behind = source.frame(2, source.frame(2, b"")) + source.frame(
        1, source.frame(1, KeyValue(key="a", value=AnyValue(string_value="bot")).SerializeToString())
    )
    told = everything(chosen, source.frame(1, behind))
    assert [service for service, _ in told["traces"]] == [b"bot"]


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 3_000_000])
def test_a_frame_is_a_field_of_bytes(size: int) -> None:
    framed = source.frame(1, b"x" * size)
    assert source.fields_of(framed) == [(1, b"x" * size)]


@pytest.mark.parametrize("form", FORMS)
@given(sketch=st.dictionaries(st.integers(0, 2_300), st.integers(1, 0xFFFF_FFFF)))
def test_a_sketch_comes_back_from_its_bytes_and_adds_up(form: ModuleType, sketch: dict[int, int]) -> None:
    twice: dict[int, int] = {}
    form.add_sketch(twice, pack_sketch(sketch))
    form.add_sketch(twice, pack_sketch(sketch))
    assert twice == {bucket: 2 * calls for bucket, calls in sketch.items()}
