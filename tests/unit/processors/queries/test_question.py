"""What probes share: drivers that are missing, and the budget that a question is taken from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from subprocess import CompletedProcess

import pytest

from tickspan.analysis.plans.budget import Budget, BudgetLimits, BudgetStatistics
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.processors.queries.probes.mysql import MysqlProbe
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe
from tickspan.processors.queries.probes.question import Overrun, question


@pytest.mark.parametrize(
    ("driver", "probe"),
    [
        ("psycopg", PostgresqlProbe("postgresql://prober@127.0.0.1:1/none")),
        ("pymysql", MysqlProbe("mysql://prober@127.0.0.1:1/none")),
    ],
)
def test_a_missing_driver_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, driver: str, probe: PostgresqlProbe | MysqlProbe
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(Unreachable) as unreachable:
        probe.explain("SELECT 1")
    assert str(unreachable.value) == f"{driver} is not installed: pip install 'tickspan[queries]'"


@pytest.mark.parametrize(
    ("outcome", "failed"),
    [(None, 0), (Refused("no such column"), 0), (Overrun("took too long"), 1), (Unreachable("gone"), 1)],
    ids=["answer", "refusal", "overrun", "unreachable"],
)
def test_what_the_database_had_no_time_for_counts_as_a_failure(
    outcome: Exception | None, failed: int
) -> None:
    times = iter([10.0, 10.25])
    budget = Budget()
    try:
        with question(budget, lambda: next(times)):
            _raise(outcome)
    except (Refused, Unreachable) as error:
        told: Exception | None = error
    else:
        told = None
    assert told is outcome
    assert budget.statistics() == BudgetStatistics(asked=1, refused=0, failed=failed, spent_s=0.25)


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def test_what_the_budget_refuses_is_not_asked() -> None:
    budget = Budget(BudgetLimits(per_minute=0))
    with pytest.raises(Refused, match="asked 0 times within a minute"), question(budget):
        pytest.fail("it was asked")


@pytest.mark.integration
@pytest.mark.parametrize(
    "module",
    [
        "tickspan.processors.queries.auto_explain",
        "tickspan.instrumentation.notices",
        "tickspan.analysis.plans",
    ],
)
def test_an_application_that_only_listens_loads_no_parser_and_no_driver(
    run_python: Callable[..., CompletedProcess[str]], module: str
) -> None:
    ended = run_python(
        f"import sys, {module}\n"
        "print([name for name in ('sqlglot', 'psycopg', 'pymysql', 'asyncpg') if name in sys.modules])"
    )
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr
