"""How often a database is asked for plans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.plans.budget import Budget, BudgetLimits, BudgetStatistics


def test_a_second_lies_between_two_questions() -> None:
    budget = Budget()
    assert budget.refusal(10.0) is None
    budget.spent(10.0, 10.01)
    assert budget.refusal(10.9) == "asked less than 1 s ago"
    assert budget.refusal(11.0) is None


def test_ten_questions_a_minute_are_enough() -> None:
    budget = Budget()
    for second in range(10):
        budget.spent(float(second), second + 0.001)
    assert budget.refusal(30.0) == "asked 10 times within a minute"
    assert budget.refusal(60.0) is None


def test_half_a_percent_of_a_minute_is_the_share_of_plans() -> None:
    budget = Budget()
    budget.spent(0.0, 0.2)
    assert budget.refusal(1.5) is None
    budget.spent(1.5, 1.6)
    assert budget.refusal(30.0) == "0.5% of the last minute went into plans"
    assert budget.refusal(60.5) is None


def test_three_failures_in_a_row_open_the_breaker_and_each_further_one_for_twice_as_long() -> None:
    budget = Budget(BudgetLimits(interval_s=0.0, share=1.0, per_minute=1_000))
    for second in (0.0, 1.0, 2.0):
        assert budget.refusal(second) is None
        budget.spent(second, second, is_failure=True)
    assert budget.refusal(12.0) == "3 questions in a row failed; asking again in 50 s"
    assert budget.refusal(62.0) is None
    budget.spent(62.0, 62.0, is_failure=True)
    assert budget.refusal(63.0) == "4 questions in a row failed; asking again in 119 s"


def test_an_answer_closes_the_breaker() -> None:
    budget = Budget(BudgetLimits(interval_s=0.0))
    budget.spent(0.0, 0.0, is_failure=True)
    budget.spent(1.0, 1.0, is_failure=True)
    budget.spent(2.0, 2.0)
    budget.spent(3.0, 3.0, is_failure=True)
    assert budget.refusal(4.0) is None


def test_the_longest_pause_is_an_hour() -> None:
    budget = Budget()
    for second in range(60):
        budget.spent(float(second), float(second), is_failure=True)
    assert budget.refusal(60.0) == "60 questions in a row failed; asking again in 3599 s"


def test_what_was_done_is_counted() -> None:
    budget = Budget()
    budget.refusal(0.0)
    budget.spent(0.0, 0.1)
    budget.refusal(0.5)
    budget.spent(5.0, 5.1, is_failure=True)
    assert budget.statistics() == BudgetStatistics(2, 1, 1, budget.statistics().spent_s)
    assert repr(budget) == "<Budget 2 asked, 1 refused, 0.200 s spent>"


@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.0, 0.25)), max_size=200))
def test_no_minute_ever_has_more_than_its_share(waits: list[tuple[float, float]]) -> None:
    budget = Budget()
    now_s = 0.0
    asked: list[tuple[float, float]] = []
    for wait, took in waits:
        now_s += wait
        if budget.refusal(now_s) is None:
            budget.spent(now_s, now_s + took)
            asked.append((now_s, took))
            now_s += took
    for start, _ in asked:
        window = [(began, took) for began, took in asked if start <= began < start + 60.0]
        assert len(window) <= 10
        assert sum(took for _, took in window[:-1]) < 0.3
