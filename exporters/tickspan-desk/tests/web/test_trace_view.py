"""The page of a trace as values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind
from tickspan_desk.views.flame import flame
from tickspan_desk.views.text import VALUE_MAX, shown, value_shown
from tickspan_desk.views.trace import TraceView, trace_view
from tickspan_desk.views.tree import Tree
from tickspan_desk.views.waterfall import ABOUT_MAX, DEPTH_MAX, ROWS_MAX

from tickspan.received import ReceivedEvent, ReceivedLink, ReceivedLog, ReceivedSpan
from tickspan.semconv.trading import ORDER_CLIENT_ID, ORDER_VENUE_ID

MakeSpan = Callable[..., ReceivedSpan]
MakeLog = Callable[..., ReceivedLog]
OTHER_TRACE = "f" * 32


def outline(view: TraceView) -> list[tuple[str, str, int, int]]:
    return [(row.kind, row.name, row.many, row.depth) for row in view.rows]


def unfolded(view: TraceView) -> int:
    """Levels that are open after the last row; the page is well-formed when there are none."""
    return sum(row.has_more - row.closes for row in view.rows)


def test_a_waterfall_has_a_line_for_each_span_with_its_place_in_time(span: MakeSpan) -> None:
    view = trace_view(
        [
            span(1, "tick", 0, 100, kind=SpanKind.CONSUMER),
            span(2, "submit", 25, 75, 1, kind=SpanKind.CLIENT, error="rejected"),
        ],
        [],
    )
    assert [(row.at, row.width, row.total_ns, row.self_ns, row.problem) for row in view.rows] == [
        (0.0, 100.0, 100_000, 50_000, ""),
        (25.0, 50.0, 50_000, 50_000, "rejected"),
    ]
    assert (view.name, view.duration_ns, view.spans, view.errors, view.depth) == ("tick", 100_000, 2, 1, 2)
    assert [tick.offset_ns for tick in view.ticks] == [0, 20_000, 40_000, 60_000, 80_000, 100_000]


def test_siblings_alike_are_one_line_that_unfolds(span: MakeSpan) -> None:
    rows = [span(at, "SELECT orders", at, at + 1, 1, error="x" if at == 9 else None) for at in range(2, 39)]
    view = trace_view([span(1, "page", 0, 100), *rows, span(50, "COMMIT", 60, 61, 1)], [])
    folded = view.rows[1]
    assert outline(view)[:3] == [
        ("span", "page", 1, 0),
        ("alike", "SELECT orders", 37, 1),
        ("span", "SELECT orders", 1, 2),
    ]
    assert outline(view)[-1] == ("span", "COMMIT", 1, 1)
    assert (folded.total_ns, folded.at, folded.width, folded.problem) == (37_000, 2.0, 37.0, "1 failed")
    assert (folded.is_open, folded.has_more) == (False, True)
    assert unfolded(view) == 0


def test_four_alike_or_alike_ones_with_another_between_are_lines_of_their_own(span: MakeSpan) -> None:
    names = ["a", "a", "a", "a", "b", "a", "a", "a"]
    view = trace_view([span(1), *(span(at + 2, name, at, at, 1) for at, name in enumerate(names))], [])
    assert [row.kind for row in view.rows] == ["span"] * 9


def test_one_service_is_coloured_by_instrumentation_and_several_by_service(span: MakeSpan) -> None:
    one = trace_view([span(1, scope="ccxt"), span(2, scope="redis", parent=1, start=1)], [])
    two = trace_view([span(1, service="bot"), span(2, service="risk", parent=1, start=1)], [])
    assert (one.hue_by, [hue.name for hue in one.hues]) == ("instrumentation", ["ccxt", "redis"])
    assert (two.hue_by, [hue.name for hue in two.hues]) == ("service", ["bot", "risk"])


def test_what_is_broken_is_said_plainly(span: MakeSpan) -> None:
    view = trace_view(
        [
            span(2, start=10, end=20, parent=99),
            span(3, start=5, end=15, parent=2),
            span(4, start=30, end=25, parent=2),
            span(4, start=30, end=25, parent=2),
        ],
        [],
    )
    assert view.notes == (
        (
            "One span of it names a parent that is not here: it has not come yet, was not sampled, was lost, "
            "or is of a process that sends elsewhere."
        ),
        "The root of this trace is not here.",
        "One span of it came again under the same id; the first is shown.",
        "One span of it starts before the parent: the clocks of their machines differ.",
        "One span of it ends before the start: a clock was set back meanwhile.",
    )


def test_a_span_tells_all_that_it_says_of_itself(span: MakeSpan) -> None:
    view = trace_view(
        [
            span(
                1,
                attributes={
                    ORDER_CLIENT_ID: "bot-1",
                    ORDER_VENUE_ID: "77",
                    "n": 5,
                    "b": True,
                    "l": ("x", None),
                },
                events=[ReceivedEvent("retry", span(1).start_ns + 500_000, {"attempt": 2})],
                links=[ReceivedLink(OTHER_TRACE, "a" * 16, {})],
            )
        ],
        [],
    )
    about = view.about[0]
    assert [(pair.name, pair.value) for pair in about.attributes] == [
        ("b", "true"),
        ("l", "('x', None)"),
        ("n", "5"),
        (ORDER_CLIENT_ID, "bot-1"),
        (ORDER_VENUE_ID, "77"),
    ]
    assert [(event.name, event.offset_ns, event.attributes[0].value) for event in about.events] == [
        ("retry", 500_000, "2")
    ]
    assert [(link.trace_id, link.span_id) for link in about.links] == [(OTHER_TRACE, "a" * 16)]
    assert (about.orders, view.orders) == (("bot-1",), ("bot-1",))
    assert view.rows[0].marks == (50.0,)


def test_an_order_that_only_the_venue_numbered_is_found_by_that_number(span: MakeSpan) -> None:
    assert trace_view([span(1, attributes={ORDER_VENUE_ID: "77"})], []).orders == ("77",)


def test_log_records_stand_in_the_order_of_time_at_their_span(span: MakeSpan, log: MakeLog) -> None:
    view = trace_view(
        [span(1)], [log("later", 700, 17, span=1), log("first", 200, 9), log("odd", 300, 13, 9)]
    )
    assert [(line.body, line.offset_ns, line.level, line.severity, line.span_id) for line in view.logs] == [
        ("first", 200_000, "info", "INFO", ""),
        ("odd", 300_000, "warn", "WARN", ""),
        ("later", 700_000, "bad", "ERROR", f"{1:016x}"),
    ]
    assert view.rows[0].marks == (70.0,)


def large(span: MakeSpan, many: int = 5000) -> list[ReceivedSpan]:
    """Ten jobs with many different steps; one of the shortest failed."""
    jobs = [span(at, f"job {at}", at, 100_000 + at, 1) for at in range(2, 12)]
    steps = [
        span(at, f"step {at}", at, at + at % 50, 2 + at % 10, error="broken" if at == 4000 else None)
        for at in range(12, many)
    ]
    return [span(1, "run", 0, 200_000), *jobs, *steps]


def test_of_a_large_trace_what_matters_most_is_shown_and_the_rest_is_counted(span: MakeSpan) -> None:
    spans = large(span)
    view = trace_view(spans, [])
    shown_spans = sum(row.kind == "span" for row in view.rows)
    left_out = [row for row in view.rows if row.kind == "left out"]
    assert shown_spans == ROWS_MAX
    assert view.left_out == sum(row.many for row in left_out) == len(spans) - ROWS_MAX
    assert [row.problem for row in view.rows if row.errors] == ["broken"]
    assert {row.span_id for row in left_out} <= {one.span_id for one in spans}
    assert len(view.about) == ABOUT_MAX
    assert unfolded(view) == 0


def test_a_part_of_a_large_trace_is_shown_alone_and_whole(span: MakeSpan) -> None:
    view = trace_view(large(span), [], part=f"{5:016x}")
    assert view.part == "job 5"
    assert view.left_out == 0
    assert {row.depth for row in view.rows} == {0, 1}
    assert (view.rows[0].at, view.rows[0].width) == (0.0, 100.0)


def test_a_selected_span_of_a_large_trace_is_there_and_tells_of_itself(span: MakeSpan) -> None:
    short = f"{4050:016x}"
    without, within = trace_view(large(span), []), trace_view(large(span), [], selected=short)
    assert short not in {row.span_id for row in without.rows if row.kind == "span"}
    assert short in {about.span_id for about in within.about}


def test_a_deep_trace_folds_to_a_depth_that_a_page_can_have(span: MakeSpan) -> None:
    view = trace_view([span(at, f"level {at}", at, 9000 - at, at - 1) for at in range(1, 301)], [])
    assert max(row.depth for row in view.rows) == DEPTH_MAX
    assert len(view.rows) == 300
    assert unfolded(view) == 0


names = st.sampled_from(["a", "b"])
traces = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 41), names, st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=60,
)


@given(traces)
def test_any_trace_makes_a_page_that_is_well_formed_and_complete(
    span: MakeSpan, told: Sequence[tuple[int, int, str, int, int]]
) -> None:
    view = trace_view(
        [span(number, name, start, end, parent) for number, parent, name, start, end in told], []
    )
    levels, level = [], 0
    for row in view.rows:
        levels.append(level)
        level += row.has_more - row.closes
    assert levels == [row.depth for row in view.rows]
    assert level == 0
    assert sum(row.kind == "span" for row in view.rows) == view.spans
    assert all(0 <= row.at <= 100 and 0 <= row.width <= 100 for row in view.rows)


def test_frames_of_a_flame_lie_within_those_above_them(span: MakeSpan) -> None:
    tree = Tree(
        [
            span(1, "run", 0, 100),
            span(2, "get", 10, 30, 1),
            span(3, "get", 40, 60, 1),
            span(4, "read", 45, 55, 3),
        ]
    )
    found = flame(tree, lambda _node: 0)
    assert [(f.name, f.depth, f.at, f.width, f.calls, f.ns, f.self_ns) for f in found.frames] == [
        ("run", 0, 0.0, 100.0, 1, 100_000, 60_000),
        ("get", 1, 0.0, 40.0, 2, 40_000, 30_000),
        ("read", 2, 0.0, 10.0, 1, 10_000, 10_000),
    ]
    assert (found.depth, found.left_out) == (3, 0)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("plain", 10, "plain"),
        ("x" * 12, 10, "x" * 10 + "… (2 more)"),
        ("a\x00b\x1bc", 10, "a\ufffdb\ufffdc"),
        ("exe\u202etxt", 10, "exe\ufffdtxt"),
        ("two\nlines\tand tabs", 40, "two\nlines\tand tabs"),
    ],
)
def test_texts_are_cut_and_nothing_in_them_turns_a_line_around(text: str, limit: int, expected: str) -> None:
    assert shown(text, limit) == expected


def test_values_read_as_what_they_are() -> None:
    values = (None, True, 7, 0.5, b"\x00\xff", "text", {"a": (1,)})
    assert [value_shown(value) for value in values] == [
        "null",
        "true",
        "7",
        "0.5",
        "00ff (2 bytes)",
        "text",
        "{'a': (1,)}",
    ]
    assert len(value_shown("x" * 65536)) < VALUE_MAX + 20
