"""Sums of samples, made fewer without a sample being forgotten."""

from __future__ import annotations

from tickspan.analysis.profiles import Link
from tickspan.profiler.rows import Rows, slimmed, unlinked
from tickspan.profiler.states import State

A, B = Link(1, 10), Link(1, 11)


def test_without_their_spans_rows_that_are_alike_are_one():
    rows: Rows = {
        (1, "t", State.CPU, A): [2, 20],
        (1, "t", State.CPU, B): [1, 10],
        (1, "t", State.IO, A): [1, 5],
    }
    assert unlinked(rows) == {(1, "t", State.CPU, None): [3, 30], (1, "t", State.IO, None): [1, 5]}


def test_the_most_frequent_stacks_stay_and_the_others_count_for_no_stack():
    rows: Rows = {
        (1, "t", State.CPU, A): [5, 50],
        (2, "t", State.CPU, A): [1, 10],
        (3, "u", State.IO, None): [2, 20],
        (2, "t", State.CPU, B): [3, 30],
        (0, "t", State.CPU, None): [9, 90],
    }
    assert slimmed(rows, 2) == (
        {
            (1, "t", State.CPU, A): [5, 50],
            (2, "t", State.CPU, A): [1, 10],
            (0, "u", State.IO, None): [2, 20],
            (2, "t", State.CPU, B): [3, 30],
            (0, "t", State.CPU, None): [9, 90],
        },
        2,
    )


def test_sums_that_are_given_are_not_changed():
    rows: Rows = {(1, "t", State.CPU, A): [2, 20], (1, "t", State.CPU, B): [1, 10]}
    unlinked(rows)
    slimmed(rows, 0)
    assert rows == {(1, "t", State.CPU, A): [2, 20], (1, "t", State.CPU, B): [1, 10]}
