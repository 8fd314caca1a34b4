"""A trace as OTLP/JSON and as Markdown, and two against each other."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.trace import SpanKind
from tickspan_desk.views.compare import Side, compare_view
from tickspan_desk.views.markdown import LINES_MAX, trace_as_markdown
from tickspan_desk.views.otlp import traces_as_otlp
from tickspan_spool.receiver import Batch

from tickspan.received import Attributes, ReceivedEvent, ReceivedLink, ReceivedSpan, decode_traces

MakeSpan = Callable[..., ReceivedSpan]
MakeBatch = Callable[[Sequence[ReceivedSpan]], Batch]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=20),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
attributes = st.dictionaries(st.text("abc.", min_size=1, max_size=8), values, max_size=4)


def read_back(batch: Batch) -> list[ReceivedSpan]:
    assert isinstance(batch.message, ExportTraceServiceRequest)
    return decode_traces(batch.message)


@given(attributes, st.sampled_from(SpanKind), st.text("xyz<>&\"'", max_size=9))
def test_a_receiver_reads_the_very_spans_from_their_json(
    span: MakeSpan, batch: MakeBatch, told: Attributes, kind: SpanKind, text: str
) -> None:
    spans = [
        span(1, text, 0, 9, kind=kind, attributes=told, error=text, service="a", scope="s"),
        span(2, text, 1, 5, 1, events=[ReceivedEvent(text, 7, told)], service="b"),
        span(3, text, 2, 5, 1, links=[ReceivedLink("e" * 32, "d" * 16, told)], service="b"),
    ]
    assert read_back(batch(spans)) == spans


def test_numbers_that_json_does_not_have_are_told_by_name(span: MakeSpan, batch: MakeBatch) -> None:
    one = span(1, attributes={"a": math.inf, "b": -math.inf, "c": math.nan})
    back = read_back(batch([one]))[0].attributes
    assert json.loads(json.dumps(traces_as_otlp([one]), allow_nan=False))
    assert [str(value) for value in back.values()] == ["inf", "-inf", "nan"]


def test_the_json_is_as_the_protocol_writes_it(span: MakeSpan) -> None:
    one = span(2, "get", 0, 1, 1, kind=SpanKind.CLIENT, attributes={"n": 5, "b": b"\x01"}, error="no")
    assert traces_as_otlp([one])["resourceSpans"][0]["scopeSpans"][0]["spans"] == [
        {
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "spanId": "0000000000000002",
            "parentSpanId": "0000000000000001",
            "name": "get",
            "kind": 3,
            "startTimeUnixNano": "1767225600000000000",
            "endTimeUnixNano": "1767225600000001000",
            "attributes": [
                {"key": "n", "value": {"intValue": "5"}},
                {"key": "b", "value": {"bytesValue": "AQ=="}},
            ],
            "events": [],
            "links": [],
            "status": {"code": 2, "message": "no"},
        }
    ]


def test_markdown_has_the_waterfall_as_text_and_what_held_it_up(span: MakeSpan) -> None:
    spans = [
        span(1, "tick", 0, 100_000),
        span(2, "submit", 25_000, 75_000, 1, error="rejected"),
    ]
    assert trace_as_markdown(spans).splitlines() == [
        "## tick: 100.00 ms",
        "",
        "Trace `0af7651916cd43dd8448eb211c80319c`, 2 spans, 1 failed, of bot.",
        "",
        "```text",
        f"{'tick':40}{'█' * 40}      0.00    100.00 ms",
        f"{'  submit':40}{' ' * 10}{'█' * 20}{' ' * 10}     25.00     50.00 ms  failed",
        "```",
        "",
        "| held up by | service | itself | of the trace |",
        "| --- | --- | ---: | ---: |",
        "| tick | bot | 50.00 ms | 50.0% |",
        "| submit | bot | 50.00 ms | 50.0% |",
    ]


@pytest.mark.parametrize(
    "name", ["``` \n# not a heading", "a|b", "<script>", "![x](http://evil)", "\x1b[31m"]
)
def test_names_do_not_become_markup_of_the_markdown(span: MakeSpan, name: str) -> None:
    lines = trace_as_markdown([span(1, name)]).splitlines()
    fence = next(line for line in lines if line.endswith("text")).removesuffix("text")
    inside = lines[lines.index(f"{fence}text") + 1 : lines.index(fence)]
    assert len(inside) == 1
    assert fence not in inside[0]
    assert lines[-1].replace(r"\|", "").count("|") == 5
    assert not re.search(r"(?<!\\)[<\[|`]", lines[0])


def test_markdown_of_a_large_trace_says_how_much_it_leaves_out(span: MakeSpan) -> None:
    text = trace_as_markdown([span(at, f"s{at}", at, at + 1) for at in range(1, LINES_MAX + 51)])
    assert "… 50 more spans" in text


def test_two_traces_are_aligned_by_the_way_of_names(span: MakeSpan) -> None:
    a = [
        span(1, "tick", 0, 100),
        span(2, "get", 10, 30, 1),
        span(3, "get", 40, 60, 1),
        span(4, "old", 70, 80, 1),
    ]
    b = [span(1, "tick", 0, 160), span(2, "get", 10, 90, 1, error="x"), span(5, "new", 91, 95, 1)]
    view = compare_view(a, b)
    told = [
        (row.depth, row.name, row.a.calls, row.b.calls, row.difference_ns, row.self_difference_ns, row.word)
        for row in view.rows
    ]
    assert told == [
        (0, "tick", 1, 1, 60_000, 26_000, "slower"),
        (1, "get", 2, 1, 40_000, 40_000, "slower"),
        (1, "old", 1, 0, -10_000, -10_000, "only in A"),
        (1, "new", 0, 1, 4_000, 4_000, "only in B"),
    ]
    assert view.rows[1].b == Side(1, 1, 80_000, 80_000)
    assert [row.name for row in view.most] == ["get", "tick", "old", "new"]
    assert [row.weight for row in view.most] == [1.0, 0.65, 0.25, 0.1]
    assert (view.difference_ns, view.word) == (60_000, "slower")


def test_a_trace_is_alike_itself(span: MakeSpan) -> None:
    spans = [span(1, "tick", 0, 100), span(2, "get", 10, 30, 1)]
    view = compare_view(spans, spans)
    assert {row.word for row in view.rows} == {"alike"}
    assert view.most == ()


def test_b_against_a_is_the_reverse_of_a_against_b(span: MakeSpan) -> None:
    a, b = [span(1, "tick", 0, 100)], [span(1, "tick", 0, 50)]
    assert (compare_view(a, b).word, compare_view(b, a).word) == ("faster", "slower")
    assert compare_view(a, b).difference_ns == -compare_view(b, a).difference_ns
