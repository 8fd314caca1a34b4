"""The probe of PostgreSQL against a server that logs every statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import psycopg
import pytest
from probed_database import Never, Probed, never

from tickspan.analysis.plans import PlanSource
from tickspan.analysis.plans.budget import Budget, BudgetLimits
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.analysis.sql import Dialect
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe

pytestmark = pytest.mark.backends

_ADMITTED = (
    "SELECT * FROM orders WHERE symbol = $1 AND placed_at > now() - interval ?",
    "SELECT o.id FROM orders o LEFT JOIN fills f ON f.order_id = o.id WHERE lower(o.symbol) = %s LIMIT %s",
    "WITH x(a) AS (SELECT max(price) FROM orders) SELECT coalesce(a, ?) FROM x",
    "INSERT INTO orders (id, symbol) VALUES (%(id)s, %(symbol)s) ON CONFLICT (id) DO NOTHING",
    "UPDATE orders SET price = ? WHERE id = ?",
    "DELETE FROM orders WHERE id IN (?)",
    "SELECT * FROM good_view WHERE symbol = 'S7'",
    "SELECT ?::side, numeric(10, 2) '1.5' FROM orders",
    "SELECT symbol, row_number() OVER (PARTITION BY symbol ORDER BY id) FROM orders",
)
_OURS = re.compile(
    r"BEGIN READ ONLY|ROLLBACK|SET LOCAL \w+ = [\w.]+|DEALLOCATE tickspan_probe"
    r"|PREPARE tickspan_probe AS .*|EXPLAIN \(FORMAT JSON\) .*|\s*SELECT .*pg_catalog\..*",
    re.DOTALL,
)
_LOGGED = re.compile(
    r"^\S+ \S+ \S+ \[\d+\] prober@probed \S* LOG:  (?P<how>execute <unnamed>|statement|execute \w+): "
    r"(?P<sql>.*?)(?=^\S+ \S+ \S+ \[\d+\] |\Z)",
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture
def probe(probed: Probed) -> Iterator[PostgresqlProbe]:
    with PostgresqlProbe(probed.url("prober")) as probe:
        yield probe


def logged(probed: Probed, since: int) -> list[tuple[str, str]]:
    """How and what the account's statements were, without their comment."""
    text = probed.server.log.read_text()[since:]
    return [
        (match["how"], match["sql"].strip().removeprefix("/* tickspan:probe */").strip())
        for match in _LOGGED.finditer(text)
    ]


@pytest.mark.parametrize("case", never(Dialect.POSTGRESQL), ids=lambda case: case.sql)
def test_a_statement_that_could_act_is_refused_with_its_reason(probe: PostgresqlProbe, case: Never) -> None:
    with pytest.raises(Refused) as refused:
        probe.explain(case.sql)
    assert fnmatchcase(str(refused.value), case.reason)


def test_the_server_sees_catalog_reads_and_admitted_explains_only(probed: Probed) -> None:
    since = len(probed.server.log.read_text())
    hostile = [case.sql for case in never(Dialect.POSTGRESQL)]
    with PostgresqlProbe(probed.url("prober")) as probe:
        for sql in hostile:
            with pytest.raises(Refused):
                probe.explain(sql)
        for sql in _ADMITTED:
            probe.explain(sql)
        probe.explain_custom("SELECT * FROM orders WHERE symbol = ?")
    seen = logged(probed, since)
    assert {how for how, _ in seen} == {"execute <unnamed>"}
    assert [sql for _, sql in seen if not _OURS.fullmatch(sql)] == []
    planned = [sql for _, sql in seen if sql.startswith(("PREPARE", "EXPLAIN (FORMAT JSON) SELECT"))]
    assert len(planned) == len(_ADMITTED) + 1
    asked = "\n".join(planned)
    assert not any(sql.rstrip(";") in asked for sql in hostile)


def test_nothing_was_written_by_any_of_it(probed: Probed, probe: PostgresqlProbe) -> None:
    for case in never(Dialect.POSTGRESQL):
        with pytest.raises(Refused):
            probe.explain(case.sql)
    with psycopg.connect(probed.url("postgres")) as connection:
        audit = connection.execute("SELECT count(*) FROM audit").fetchone()
        sequence = connection.execute("SELECT last_value, is_called FROM audit_id_seq").fetchone()
        left = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    assert (audit, sequence, left) == ((0,), (1, False), (0,))


@pytest.mark.parametrize("sql", _ADMITTED)
def test_an_ordinary_statement_of_an_application_is_explained(probe: PostgresqlProbe, sql: str) -> None:
    plan = probe.explain(sql)
    assert plan.cost is not None
    assert plan.cost > 0
    assert not plan.is_measured


def test_the_plan_of_placeholders_is_the_generic_one(probe: PostgresqlProbe) -> None:
    plan = probe.explain("SELECT * FROM orders WHERE symbol = %s")
    assert (plan.source, plan.root.kind, plan.root.relation) == (PlanSource.GENERIC, "Seq Scan", "orders")
    assert plan.root.details["Filter"] == "(symbol = ?)"
    assert plan.root.rows == 40


def test_the_plan_of_a_common_value_takes_it_from_the_statistics(probe: PostgresqlProbe) -> None:
    plan = probe.explain_custom("SELECT * FROM orders o WHERE o.symbol = %s LIMIT %s")
    assert plan.source is PlanSource.CUSTOM
    assert plan.root.children[0].details["Filter"] == "(symbol = ?::text)"


def test_a_placeholder_without_a_common_value_has_no_custom_plan(probe: PostgresqlProbe) -> None:
    with pytest.raises(Refused, match="beside no column with a common value"):
        probe.explain_custom("SELECT * FROM orders WHERE price + 1 > %s")


def test_a_select_is_run_for_its_plan_when_a_person_asks(probe: PostgresqlProbe) -> None:
    plan = probe.explain("SELECT * FROM orders WHERE symbol = 'S7'", analyze=True)
    assert (plan.source, plan.root.actual_rows, plan.root.removed_rows) == (PlanSource.ANALYZE, 40, 1960)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("DELETE FROM orders WHERE id = 1", "only a SELECT is run for its plan, not DELETE"),
        ("SELECT * FROM orders WHERE id = $1", "its placeholders have no values to run it with"),
        ("SELECT acting('x')", "acting is a function of the user's: planning may run it"),
    ],
)
def test_what_could_act_is_not_run_for_its_plan(probe: PostgresqlProbe, sql: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        probe.explain(sql, analyze=True)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT nothing FROM orders", "the database does not plan it: UndefinedColumn (42703)"),
        ("SELECT $1", "1"),
        ("SELECT * FROM orders WHERE id = 'secret'", "InvalidTextRepresentation (22P02)"),
    ],
)
def test_the_servers_refusal_is_told_by_its_code_without_values(
    probe: PostgresqlProbe, sql: str, reason: str
) -> None:
    try:
        told = str(probe.explain(sql).nodes().__next__().rows)
    except Refused as refused:
        told = str(refused)
    assert reason in told
    assert "secret" not in told


def test_a_probe_goes_on_after_a_refusal_of_the_server(probe: PostgresqlProbe) -> None:
    with pytest.raises(Refused):
        probe.explain("SELECT nothing FROM orders WHERE id = $1")
    assert probe.explain("SELECT id FROM orders WHERE id = $1").root.index == "orders_pkey"


def test_a_locked_table_is_not_waited_for(probed: Probed, probe: PostgresqlProbe) -> None:
    with psycopg.connect(probed.url("postgres")) as holder:
        holder.execute("LOCK TABLE fills IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Refused, match=r"somebody holds a lock on its table \(55P03\)"):
            probe.explain("SELECT * FROM fills WHERE order_id = $1")


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with PostgresqlProbe("postgresql://prober@127.0.0.1:1/none") as probe, pytest.raises(Unreachable):
        probe.explain("SELECT 1")


def test_a_connection_that_was_cut_is_made_anew(probed: Probed, probe: PostgresqlProbe) -> None:
    probe.explain("SELECT id FROM orders")
    with psycopg.connect(probed.url("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'prober'")
    with pytest.raises(Unreachable):
        probe.explain("SELECT id FROM orders")
    assert probe.explain("SELECT id FROM orders").root.relation == "orders"


def test_a_budget_bounds_how_often_a_database_is_asked(probed: Probed) -> None:
    budget = Budget(BudgetLimits(interval_s=60.0))
    with PostgresqlProbe(probed.url("prober"), budget=budget) as probe:
        probe.explain("SELECT id FROM orders")
        with pytest.raises(Refused, match="asked less than 60 s ago"):
            probe.explain("SELECT id FROM orders")
    assert (budget.statistics().asked, budget.statistics().refused) == (1, 1)


def test_locks_in_a_row_open_the_breaker(probed: Probed) -> None:
    budget = Budget(BudgetLimits(interval_s=0.0, share=1.0))
    with (
        psycopg.connect(probed.url("postgres")) as holder,
        PostgresqlProbe(probed.url("prober"), budget=budget) as probe,
    ):
        holder.execute("LOCK TABLE fills IN ACCESS EXCLUSIVE MODE")
        told: list[str] = []
        for _ in range(4):
            with pytest.raises(Refused) as refused:
                probe.explain("SELECT * FROM fills")
            told.append(str(refused.value))
    assert told[:3] == ["somebody holds a lock on its table (55P03)"] * 3
    assert told[3].startswith("3 questions in a row failed; asking again in ")


def test_the_schema_comes_over_the_same_connection(probe: PostgresqlProbe) -> None:
    table = probe.schema().table("orders")
    assert table is not None
    assert (table.rows, [column.name for column in table.columns][:2]) == (2000, ["id", "symbol"])
