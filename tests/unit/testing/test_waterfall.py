"""A trace as a waterfall in plain text."""

from opentelemetry.trace import SpanKind, StatusCode

from tickspan.received import ReceivedSpan, ReceivedStatus
from tickspan.waterfall import order_traces, waterfall


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


def test_siblings_alike_without_children_are_one_line_where_that_is_asked_for():
    spans = [
        span("root", "1", None, 0, 10),
        *(span("GET", f"g{at}", "1", at, at + 1) for at in range(3)),
        span("SET", "s", "1", 4, 5),
        span("GET", "g4", "1", 5, 8),
        span("inner", "i", "g4", 6, 7),
        span("GET", "g5", "1", 8, 9),
        span("GET", "g6", "1", 9, 10),
    ]
    lines = waterfall(spans, 10, fold_from=3)
    assert [(line.label.strip(), line.depth, line.count) for line in lines] == [
        ("root", 0, 1),
        ("GET x3", 1, 3),
        ("SET", 1, 1),
        ("GET", 1, 1),
        ("inner", 2, 1),
        ("GET", 1, 1),
        ("GET", 1, 1),
    ]
    assert (lines[1].bar, lines[1].end_ns - lines[1].start_ns) == ("███       ", 3_000_000)
    assert len(waterfall(spans, 10)) == len(spans)


def test_parents_that_name_one_another_are_told_once_each():
    lines = waterfall([span("a", "1", "2", 0, 1), span("b", "2", "1", 0, 1), span("c", "3", "3", 0, 1)])
    assert [(line.label.strip(), line.depth) for line in lines] == [("a", 0), ("b", 1), ("c", 0)]
