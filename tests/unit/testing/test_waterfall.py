"""A trace as a waterfall in plain text."""

from opentelemetry.trace import SpanKind, StatusCode

from tickspan.testing.decoding import ReceivedSpan, ReceivedStatus
from tickspan.testing.waterfall import order_traces, waterfall


def span(name: str, span_id: str, parent: str | None, start_ms: int, end_ms: int, trace: str = "t"):
    return ReceivedSpan(
        name=name,
        kind=SpanKind.INTERNAL,
        trace_id=trace,
        span_id=span_id,
        parent_span_id=parent,
        start_ns=start_ms * 1_000_000,
        end_ns=end_ms * 1_000_000,
        attributes={},
        events=(),
        links=(),
        status=ReceivedStatus(StatusCode.UNSET),
        scope="test",
        resource={},
    )


def test_children_stand_below_their_parents_in_the_order_of_their_start_on_one_axis():
    spans = [span("second", "3", "1", 6, 8), span("root", "1", None, 0, 10), span("first", "2", "1", 2, 4)]
    assert [str(line) for line in waterfall(spans, 10)] == [
        "root                                    ██████████     0.00    10.00 ms",
        "  first                                   ██           2.00     2.00 ms",
        "  second                                      ██       6.00     2.00 ms",
    ]


def test_a_span_too_short_to_be_seen_is_seen_and_a_long_name_is_cut():
    (line,) = waterfall([span("n" * 60, "1", None, 5, 5)], 4)
    assert (line.label, line.bar) == ("n" * 38 + "… ", "█   ")


def test_a_span_whose_parent_is_missing_is_a_root():
    assert [line.label.strip() for line in waterfall([span("orphan", "2", "1", 0, 1)])] == ["orphan"]


def test_nothing_makes_no_lines():
    assert waterfall([]) == []


def test_traces_without_an_order_are_left_out():
    spans = [
        span("GET", "1", None, 0, 1, "a"),
        span("trading.order.submit binance", "2", None, 2, 3, "b"),
        span("SELECT t", "3", "2", 2, 3, "b"),
    ]
    assert [[one.name for one in trace] for trace in order_traces(spans)] == [
        ["trading.order.submit binance", "SELECT t"]
    ]
