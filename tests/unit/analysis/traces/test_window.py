"""What is kept while traces are not over, and for how long."""

from __future__ import annotations

from tickspan.analysis.traces import SeenSpan, Window, WindowStatistics


def span(trace_id: int, span_id: int, parent_id: int = 0, *, is_root: bool | None = None) -> SeenSpan:
    root = parent_id == 0 if is_root is None else is_root
    return SeenSpan(trace_id, span_id, parent_id, 0, 1, "work", 1, {}, root)


def ids(spans: list[SeenSpan] | None) -> list[int] | None:
    return None if spans is None else [one.span_id for one in spans]


def test_a_trace_is_over_with_its_root() -> None:
    window = Window()
    given = [window.add(one, 0.0) for one in (span(1, 2, 1), span(2, 5, 4), span(1, 3, 1), span(1, 1))]
    assert [ids(one) for one in given] == [None, None, None, [2, 3, 1]]
    assert window.statistics() == WindowStatistics(spans=1, traces=1, evicted=0)


def test_a_span_whose_parent_is_in_another_process_is_a_root() -> None:
    window = Window()
    window.add(span(1, 2, 1), 0.0)
    assert ids(window.add(span(1, 1, 9, is_root=True), 0.0)) == [2, 1]


def test_a_trace_without_a_root_is_over_when_nothing_more_comes() -> None:
    window = Window(quiet_s=5.0)
    window.add(span(1, 2, 1), 0.0)
    window.add(span(2, 3, 9), 3.0)
    assert [ids(one) for one in window.due(4.9)] == []
    assert [ids(one) for one in window.due(5.0)] == [[2]]
    assert window.statistics() == WindowStatistics(spans=1, traces=1, evicted=0)


def test_a_trace_that_never_is_quiet_is_looked_at_each_minute() -> None:
    window = Window(quiet_s=5.0, idle_s=60.0)
    for second in range(60):
        window.add(span(1, second + 2, 1), float(second))
    assert [len(one) for one in window.due(60.0)] == [60]


def test_a_trace_of_very_many_spans_is_looked_at_in_parts() -> None:
    window = Window(max_trace_spans=3)
    given = [window.add(span(1, number, 1), 0.0) for number in (2, 3, 4, 5)]
    assert [ids(one) for one in given] == [None, None, [2, 3, 4], None]


def test_beyond_the_bound_the_oldest_trace_goes_and_is_counted() -> None:
    window = Window(max_spans=3)
    for one in (span(1, 2, 1), span(1, 3, 1), span(2, 5, 4), span(3, 7, 6)):
        window.add(one, 0.0)
    assert window.statistics() == WindowStatistics(spans=2, traces=2, evicted=2)
    assert repr(window) == "<Window 2 spans of 2 traces, 2 evicted>"
