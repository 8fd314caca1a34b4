"""Eras: when a plan is asked for, and whose calls are compared with whose."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tickspan.analysis.plans import Plan, PlanNode, PlanSource
from tickspan.analysis.traces import CLIENT, Calls, DatabaseCall, SeenSpan
from tickspan.processors.queries.eras import Eras, Need, Reign
from tickspan.processors.queries.store import QueryKey, QueryStore, Told
from tickspan.semconv import db

KEY = QueryKey("bot", "sqlite", "book.db", "f1")
SQL = "SELECT price FROM fills WHERE order_id = ?"
INDEXED = Plan("sqlite", PlanNode("SEARCH", "fills", index="fills_order"), PlanSource.GENERIC)
SCANNED = Plan("sqlite", PlanNode("SCAN", "fills"), PlanSource.GENERIC)
MS = 10**6


def call(duration_ms: float, span_id: int = 8) -> DatabaseCall:
    attributes = {db.DB_SYSTEM_NAME: "sqlite", db.DB_NAMESPACE: "book.db", db.DB_QUERY_TEXT: SQL}
    span = SeenSpan(
        7, span_id, 0, 0, round(duration_ms * MS), "SELECT fills", CLIENT, attributes, is_root=True
    )
    found = Calls().of(span)
    assert found is not None
    return found


def ran(eras: Eras, times: int, duration_ms: float) -> list[Need]:
    """Why plans are needed meanwhile."""
    notes = [eras.note("101", KEY, call(duration_ms), is_on_order_path=False) for _ in range(times)]
    return [need for need in notes if need is not None]


def told(reigns: list[Reign]) -> list[tuple[str, float]]:
    found = [(reign.regression(), reign.time_lost_s) for reign in reigns]
    return [(finding.message, round(lost_s, 1)) for finding, lost_s in found if finding is not None]


def changed_after(eras: Eras, calls_before: int, calls_after: int, after_ms: float = 100) -> list[Reign]:
    eras.explained(KEY, INDEXED, 1)
    ran(eras, calls_before, 10)
    eras.explained(KEY, SCANNED, 2)
    ran(eras, calls_after, after_ms)
    return eras.due()


def test_a_statement_that_ran_thirty_times_has_its_plan_asked_for() -> None:
    assert [ran(Eras(), times, 10) for times in (29, 30)] == [[], [Need.ROUTINE]]


def test_calls_twice_as_slow_as_under_the_known_plan_ask_for_it_again() -> None:
    eras = Eras()
    eras.explained(KEY, INDEXED, 1)
    needs = [ran(eras, 30, duration_ms) for duration_ms in (10, 15, 40)]
    assert needs == [[Need.ROUTINE], [Need.ROUTINE], [Need.SHIFTED]]


def test_another_plan_with_slower_calls_is_a_regression() -> None:
    assert told(changed_after(Eras(), 30, 30)) == [
        ("Since its plan changed, p95 is 98.6 ms, from 10.2 ms.", pytest.approx(2.7, abs=0.1))
    ]


@pytest.mark.parametrize(
    ("calls_before", "calls_after", "after_ms"), [(29, 60, 100), (30, 29, 100), (30, 30, 19)]
)
def test_fewer_calls_on_a_side_or_less_than_twice_the_time_is_none(
    calls_before: int, calls_after: int, after_ms: float
) -> None:
    assert told(changed_after(Eras(), calls_before, calls_after, after_ms)) == []


def test_calls_between_the_change_and_its_discovery_count_for_neither_side() -> None:
    eras = Eras()
    eras.explained(KEY, INDEXED, 1)
    ran(eras, 30, 10)
    ran(eras, 59, 100)  # slower already, and nobody has seen the new plan
    eras.explained(KEY, SCANNED, 2)
    ran(eras, 30, 50)
    ((reign),) = eras.due()
    assert [(era.latencies.count, round(era.latencies.quantile(1.0), 2)) for era in reign.eras] == [
        (30, 0.01),
        (30, 0.05),
    ]


def test_slower_calls_under_the_same_plan_are_its_own() -> None:
    eras = Eras()
    eras.explained(KEY, INDEXED, 1)
    ran(eras, 30, 10)
    ran(eras, 30, 100)
    is_new = eras.explained(KEY, INDEXED, 2)
    ((_, (era,)),) = eras.changed().items()
    assert (is_new, era.since_ns, era.latencies.count, eras.due()) == (False, 1, 60, [])


def test_the_slowest_call_since_the_change_is_the_example() -> None:
    eras = Eras()
    eras.explained(KEY, INDEXED, 1)
    ran(eras, 30, 10)
    eras.explained(KEY, SCANNED, 2)
    eras.note("102", KEY, call(200, span_id=9), is_on_order_path=True)
    ran(eras, 29, 100)
    (reign,) = eras.due()
    assert reign.slowest is not None
    assert (reign.slowest.process, reign.slowest.call.span.span_id, reign.slowest.is_on_order_path) == (
        "102",
        9,
        True,
    )


def test_what_is_due_is_handed_out_when_more_is_known() -> None:
    eras = Eras()
    (reign,) = changed_after(eras, 30, 30)
    at_once = eras.due()
    ran(eras, 30, 100)
    later = eras.due()
    reign.is_told = True
    ran(eras, 30, 100)
    assert (at_once, later, eras.due()) == ([], [reign], [])


def test_eras_survive_a_restart(tmp_path: Path) -> None:
    eras, store = Eras(), QueryStore(tmp_path / "queries.sqlite3")
    eras.explained(KEY, INDEXED, 1)
    ran(eras, 30, 10)
    eras.explained(KEY, SCANNED, 2)
    ran(eras, 29, 100)
    store.note(KEY, Told("SELECT fills", SQL), 60 * 10**9, MS, 0, is_error=False)
    store.write((), eras.changed())
    store.close()
    with closing(QueryStore(tmp_path / "queries.sqlite3")) as reopened:
        again = Eras(reopened.eras())
    again.explained(KEY, SCANNED, 3)
    ran(again, 30, 100)
    assert len(told(again.due())) == 1


def test_plans_of_statements_that_are_forgotten_go_too(tmp_path: Path) -> None:
    store = QueryStore(tmp_path / "queries.sqlite3")
    eras = Eras()
    eras.explained(KEY, INDEXED, 1)
    store.note(KEY, Told("SELECT fills", SQL), 60 * 10**9, MS, 0, is_error=False)
    store.write((), eras.changed())
    before = list(store.eras())
    store.forget(30 * 86_400 * 10**9)
    after = store.eras()
    store.close()
    assert (before, after) == ([KEY], {})
