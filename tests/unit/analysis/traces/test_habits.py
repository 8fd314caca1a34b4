"""What a process did lately: bounded, and forgotten when it does not come again."""

from __future__ import annotations

from tickspan.analysis.traces import CLIENT, Calls, SeenSpan, Trace
from tickspan.analysis.traces.habits import Habits
from tickspan.semconv import db

S = 10**9


def read(number: int, hashed: str, at_s: float) -> Trace:
    attributes = {
        db.DB_SYSTEM_NAME: "sqlite",
        db.DB_QUERY_TEXT: "SELECT a FROM t WHERE b = ?",
        db.TICKSPAN_DB_PARAMS_HASH: hashed,
    }
    start = round(at_s * S)
    span = SeenSpan(number, number, 0, start, start + 1000, "SELECT t", CLIENT, attributes, is_root=True)
    return Trace([span], CALLS)


CALLS = Calls()


def test_equal_reads_of_a_minute_are_counted() -> None:
    habits = Habits()
    for number in range(5):
        habits.take(read(number, "a", number))
    recurrence = habits.reads(read(9, "a", 9).calls[0])
    assert recurrence is not None
    assert (recurrence.count, recurrence.total_ns, recurrence.span_s(5), recurrence.span_s(6)) == (
        5,
        5000,
        4.0,
        None,
    )
    assert habits.reads(read(9, "b", 9).calls[0]) is None


def test_a_new_minute_begins_anew() -> None:
    habits = Habits()
    for number, at_s in enumerate((0, 10, 61)):
        habits.take(read(number, "a", at_s))
    recurrence = habits.reads(read(9, "a", 9).calls[0])
    assert recurrence is not None
    assert recurrence.count == 1


def test_what_does_not_come_again_is_forgotten_and_what_is_usual_is_not() -> None:
    habits = Habits()
    habits.take(read(1, "a", 0))
    habits.take(read(2, "b", 50))
    habits.forget(10 * S)
    call = read(3, "b", 51).calls[0]
    assert habits.reads(read(3, "a", 51).calls[0]) is None
    assert habits.reads(call) is not None
    assert habits.latencies(call).count == 2


def test_groups_are_bounded_and_the_ones_not_seen_longest_go() -> None:
    habits = Habits(max_groups=7)
    for number in range(6):
        habits.take(read(number, f"h{number}", number))
    assert repr(habits) == "<Habits 7 groups, 6 evicted>"
    assert habits.reads(read(9, "h0", 9).calls[0]) is None
    assert habits.reads(read(9, "h5", 9).calls[0]) is not None
