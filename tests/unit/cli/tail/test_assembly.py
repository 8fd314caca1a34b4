"""When a trace is over, as spans of many come by turns."""

from tickspan.cli.tail.assembly import (
    MOST_SPANS,
    MOST_TRACES,
    ORPHANED_S,
    SETTLE_S,
    STANDING_S,
    Assembly,
    Ended,
)
from tickspan.semconv.trading import SPAN_ORDER, SPAN_ORDER_LIFECYCLE

from .spans import made

_SUBMIT = f"{SPAN_ORDER}.submit binance"


def test_a_trace_is_over_a_moment_after_its_last_span_once_its_root_is_there():
    assembly = Assembly()
    child, root = made("SELECT", "2", "1"), made("tick", "1")
    assert assembly.add([child], 0.0) == []
    assert assembly.over(SETTLE_S) == []
    assembly.add([root], 1.0)
    assert assembly.over(1.0 + SETTLE_S / 2) == []
    assert assembly.over(1.0 + SETTLE_S) == [Ended("t", (child, root))]
    assert assembly.over(100.0) == []


def test_a_trace_whose_root_never_comes_is_over_when_it_was_silent_for_seconds():
    assembly = Assembly()
    orphan = made("SELECT", "2", "1")
    assembly.add([orphan], 0.0)
    assert assembly.over(ORPHANED_S - 0.1) == []
    assert assembly.over(ORPHANED_S) == [Ended("t", (orphan,))]


def test_an_order_that_stands_is_waited_for():
    assembly = Assembly()
    submit, life = made(_SUBMIT, "1"), made(SPAN_ORDER_LIFECYCLE, "2", "1")
    assembly.add([submit], 0.0)
    assert assembly.over(STANDING_S - 1) == []
    assembly.add([life], STANDING_S - 1)
    assert assembly.over(STANDING_S) == [Ended("t", (submit, life))]


def test_an_order_that_stands_for_long_is_told_as_far_as_it_is_known():
    assembly = Assembly()
    submit, life = made(_SUBMIT, "1"), made(SPAN_ORDER_LIFECYCLE, "2", "1")
    assembly.add([submit], 0.0)
    assert assembly.over(STANDING_S) == [Ended("t", (submit,))]
    assembly.add([life], 200.0)
    assert assembly.over(200.0 + ORPHANED_S) == [Ended("t", (life,), is_later_part=True)]


def test_traces_are_told_in_the_order_in_which_they_became_silent():
    assembly = Assembly()
    assembly.add([made("a", "1", trace="a"), made("b", "1", trace="b"), made("a", "2", trace="a")], 0.0)
    assert [ended.trace_id for ended in assembly.over(1.0)] == ["b", "a"]


def test_where_too_many_are_open_the_one_that_is_silent_for_longest_goes_first():
    assembly = Assembly()
    pushed_out = assembly.add(
        [made("x", "1", "0", trace=str(number)) for number in range(MOST_TRACES + 1)], 0.0
    )
    assert [ended.trace_id for ended in pushed_out] == ["0"]


def test_a_trace_without_end_is_told_in_parts():
    assembly = Assembly()
    first = assembly.add([made("x", str(number)) for number in range(MOST_SPANS)], 0.0)
    second = assembly.add([made("x", str(number)) for number in range(MOST_SPANS)], 0.0)
    assert [(len(ended.spans), ended.is_later_part) for ended in [*first, *second]] == [
        (MOST_SPANS, False),
        (MOST_SPANS, True),
    ]


def test_at_the_end_all_others_are_told():
    assembly = Assembly()
    span = made("x", "2", "1")
    assembly.add([span], 0.0)
    assert (assembly.rest(), assembly.rest()) == ([Ended("t", (span,))], [])
