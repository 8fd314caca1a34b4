"""A trace as a tree, whatever came of it, and what held it up."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from tickspan_desk.views.criticalpath import critical_path, held
from tickspan_desk.views.tree import Tree

from tickspan.received import ReceivedSpan

MakeSpan = Callable[..., ReceivedSpan]
Told = tuple[int, int, int, int]
"""Id, parent's id, start, end."""


def shape(tree: Tree) -> list[tuple[int, int]]:
    return [(int(node.span.span_id, 16), depth) for node, depth in tree.walk()]


def path_of(tree: Tree) -> list[tuple[int, int, int]]:
    """Id (0 for nothing), start and end in microseconds."""
    return [
        (
            0 if one.node is None else int(one.node.span.span_id, 16),
            (one.start_ns - tree.start_ns) // 1000,
            (one.end_ns - tree.start_ns) // 1000,
        )
        for one in critical_path(tree)
    ]


def test_parents_come_before_their_children_and_siblings_by_their_start(span: MakeSpan) -> None:
    spans = [
        span(1, start=0, end=90),
        span(2, start=50, end=60, parent=1),
        span(3, start=10, end=40, parent=1),
        span(4, start=20, end=30, parent=3),
    ]
    random.Random(7).shuffle(spans)
    assert shape(Tree(spans)) == [(1, 0), (3, 1), (4, 2), (2, 1)]


def test_a_span_whose_parent_is_not_here_is_a_root_and_is_counted(span: MakeSpan) -> None:
    tree = Tree([span(1, start=0), span(2, start=5, parent=99), span(3, start=6, parent=2)])
    assert shape(tree) == [(1, 0), (2, 0), (3, 1)]
    assert (tree.orphans, tree.circles, tree.repeated) == (1, 0, 0)


def test_a_circle_is_cut_at_its_first_span(span: MakeSpan) -> None:
    tree = Tree([span(1, start=5, parent=2), span(2, start=3, parent=3), span(3, start=4, parent=1)])
    assert shape(tree) == [(2, 0), (1, 1), (3, 2)]
    assert (tree.circles, tree.orphans) == (3, 0)


def test_a_span_that_is_its_own_parent_is_a_root(span: MakeSpan) -> None:
    tree = Tree([span(1, parent=1), span(2, start=1, parent=1)])
    assert shape(tree) == [(1, 0), (2, 1)]
    assert tree.circles == 1


def test_a_span_that_came_twice_is_shown_once(span: MakeSpan) -> None:
    tree = Tree([span(1), span(2, start=1, parent=1), span(2, start=1, parent=1)])
    assert shape(tree) == [(1, 0), (2, 1)]
    assert tree.repeated == 1


def test_self_time_is_what_no_child_covers_however_children_overlap(span: MakeSpan) -> None:
    tree = Tree(
        [
            span(1, start=0, end=100),
            span(2, start=10, end=50, parent=1),
            span(3, start=40, end=60, parent=1),
            span(4, start=90, end=200, parent=1),
            span(5, start=70, end=65, parent=1),
        ]
    )
    assert [ns // 1000 for ns in tree.self_ns] == [40, 40, 20, 0, 110]


def test_a_chain_of_thousands_is_walked_without_recursion(span: MakeSpan) -> None:
    spans = [span(at, start=at, end=20_000 - at, parent=at - 1) for at in range(1, 5001)]
    tree = Tree(spans)
    assert shape(tree)[-1] == (5000, 4999)
    assert path_of(tree)[0] == (1, 0, 1)
    assert sum(one.ns for one in held(tree, critical_path(tree))) == tree.end_ns - tree.start_ns


def test_the_path_goes_through_what_ended_last_and_not_through_what_ran_beside_it(span: MakeSpan) -> None:
    tree = Tree(
        [
            span(1, start=0, end=100),
            span(2, start=10, end=30, parent=1),
            span(3, start=12, end=45, parent=1),
            span(4, start=40, end=90, parent=1),
            span(5, start=50, end=80, parent=4),
        ]
    )
    # 3 still ran when 4 started: 4 did not wait for it, but for 2.
    assert path_of(tree) == [
        (1, 0, 10),
        (2, 10, 30),
        (1, 30, 40),
        (4, 40, 50),
        (5, 50, 80),
        (4, 80, 90),
        (1, 90, 100),
    ]


def test_a_child_that_outlives_its_parent_counts_with_its_whole_time(span: MakeSpan) -> None:
    tree = Tree(
        [
            span(1, "tick", start=0, end=8),
            span(2, "decision", start=8, end=34, parent=1),
            span(3, "submit", start=34, end=94, parent=2),
            span(4, "insert", start=97, end=137, parent=1),
        ]
    )
    assert path_of(tree) == [(1, 0, 8), (2, 8, 34), (3, 34, 94), (0, 94, 97), (4, 97, 137)]


def test_what_outlives_its_parent_was_waited_for_by_the_next_that_it_ends_within(span: MakeSpan) -> None:
    tree = Tree(
        [
            span(1, start=0, end=100),
            span(2, start=10, end=60, parent=1),
            span(3, start=20, end=30, parent=2),
            span(4, start=25, end=50, parent=3),
        ]
    )
    assert path_of(tree) == [(1, 0, 10), (2, 10, 25), (4, 25, 50), (2, 50, 60), (1, 60, 100)]


def test_what_held_a_trace_up_is_told_by_span_longest_first(span: MakeSpan) -> None:
    tree = Tree([span(1, start=0, end=100), span(2, start=20, end=80, parent=1)])
    told = held(tree, critical_path(tree))
    assert [(one.node and one.node.place, one.ns, one.share) for one in told] == [
        (1, 60_000, 0.6),
        (0, 40_000, 0.4),
    ]


times = st.integers(0, 300)
traces = st.lists(st.tuples(st.integers(1, 25), st.integers(0, 26), times, times), min_size=1, max_size=40)


@given(traces)
def test_the_path_covers_each_moment_of_any_trace_once(span: MakeSpan, told: Sequence[Told]) -> None:
    tree = Tree([span(number, start=start, end=end, parent=parent) for number, parent, start, end in told])
    path = critical_path(tree)
    borders = [tree.start_ns, *(one.end_ns for one in path)]
    assert [one.start_ns for one in path] == borders[:-1]
    assert borders[-1] == tree.end_ns
    assert all(one.start_ns < one.end_ns for one in path)
    assert all(
        one.node is None or (one.node.start_ns <= one.start_ns and one.end_ns <= one.node.end_ns)
        for one in path
    )


@given(traces)
def test_every_span_of_any_trace_has_one_place(span: MakeSpan, told: Sequence[Told]) -> None:
    spans = [span(number, start=start, end=end, parent=parent) for number, parent, start, end in told]
    tree = Tree(spans)
    assert sorted(number for number, _ in shape(tree)) == sorted({number for number, *_ in told})
    assert all(ns >= 0 for ns in tree.self_ns)
