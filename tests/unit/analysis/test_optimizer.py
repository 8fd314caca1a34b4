"""`QueryOptimizer`: rules, plan and index advice of a query in one call."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tickspan
from tickspan.analysis.findings import Confidence, Severity
from tickspan.analysis.indexes import IndexSpec, WorkloadQuery
from tickspan.analysis.optimizer import QueryAnalysis, QueryOptimizer
from tickspan.analysis.plans import Plan, PlanNode, PlanSource
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.ddl import read_ddl
from tickspan.analysis.sql.schema import Schema
from tickspan.testing.sql import DIALECTS, statement

MISSION = "SELECT * FROM trades WHERE symbol = 'AAPL' ORDER BY timestamp DESC"
SCHEMA, _ = read_ddl(
    """
    CREATE TABLE orders (id bigint PRIMARY KEY, symbol text, side text, note text, price double precision,
        created_at timestamptz, venue_order_id text);
    CREATE TABLE fills (id bigint PRIMARY KEY, symbol text, price numeric, created_at timestamp);
    CREATE INDEX ON fills (symbol, created_at);
    """,
    Dialect.POSTGRESQL,
)
LARGE = Schema(tuple(dataclasses.replace(table, rows=10_000_000) for table in SCHEMA), "public")
PLAN = Plan(
    "postgresql",
    PlanNode(
        "Seq Scan",
        "orders",
        rows=10.0,
        cost=9e5,
        actual_rows=10.0,
        loops=1.0,
        removed_rows=5e6,
        details={"Filter": "(side = ?)"},
    ),
    PlanSource.ANALYZE,
)


@dataclasses.dataclass
class FakeProbe:
    """A database that answers as it is told to."""

    answer: Plan | Exception
    known: Schema | Exception = dataclasses.field(default_factory=lambda: LARGE)
    asked: list[str] = dataclasses.field(default_factory=list[str])

    def schema(self) -> Schema:
        self.asked.append("schema")
        if isinstance(self.known, Exception):
            raise self.known
        return self.known

    def explain(self, sql: str, *, analyze: bool = False) -> Plan:
        self.asked.append(f"{sql} {analyze}")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def rules(analysis: QueryAnalysis) -> list[str]:
    return [finding.rule for finding in analysis.findings]


def test_the_query_of_a_symbols_trades_in_order_of_time_gets_its_index() -> None:
    analysis = tickspan.get_query_optimizer().analyze_query(MISSION, execution_time_ms=150.5)
    (advice,) = analysis.index_recommendations
    assert advice.index == IndexSpec("trades", ("symbol", "timestamp DESC"))
    assert advice.confidence is Confidence.SYNTACTIC
    assert str(advice) == (
        "SET lock_timeout = '5s';\n"
        "CREATE INDEX CONCURRENTLY ix_trades_symbol_timestamp_desc ON trades (symbol, timestamp DESC);"
    )
    assert (analysis.tables, analysis.execution_time_s, analysis.plan) == (("trades",), 0.1505, None)
    assert rules(analysis) == ["select_star"]
    assert analysis.unknown == ("no schema: row counts unknown",)


def test_the_facade_hands_out_one_optimizer_and_loads_no_parser_before() -> None:
    code = "import sys, tickspan; print('sqlglot' in sys.modules, tickspan.get_query_optimizer())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False <QueryOptimizer postgresql: no schema>\n"
    assert tickspan.get_query_optimizer() is tickspan.get_query_optimizer()


def test_the_rules_of_an_application_load_no_parser() -> None:
    code = "import sys, tickspan.analysis.sql.rules.tokens; print('sqlglot' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"


def test_findings_of_text_and_plan_come_together_the_worst_first() -> None:
    optimizer = QueryOptimizer(schema=LARGE)
    sql = "SELECT * FROM orders o, fills f WHERE lower(o.symbol) = $1 AND f.price > $2"
    analysis = optimizer.analyze_query(sql, plan=PLAN)
    assert rules(analysis)[0] == "cartesian_join"
    assert {"function_on_column", "seq_scan_selective", "unbounded_select"} <= set(rules(analysis))
    severities = [finding.severity for finding in analysis.findings]
    assert severities == sorted(severities, reverse=True)


def test_a_text_that_cannot_be_read_is_told_of_by_its_tokens_and_its_place() -> None:
    analysis = QueryOptimizer().analyze_query("DELETE FROM orders;\nSELECT a FROM b WHERE")
    assert rules(analysis) == ["write_without_where", "multi_statement"]
    assert analysis.unknown[1] == "not read: syntax not understood (line 2, column 17)"


def test_what_is_no_query_has_no_advice_and_says_so() -> None:
    analysis = QueryOptimizer().analyze_query("VACUUM orders")
    assert (analysis.findings, analysis.index_recommendations) == ((), ())
    assert analysis.unknown[1] == "not read: neither a query nor a definition (line 1, column 1)"


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("INSERT INTO public.orders (id) VALUES (1)", ("public.orders",)),
        ("WITH x AS (SELECT id FROM fills) SELECT id FROM x JOIN orders USING (id)", ("fills", "orders")),
        ("DELETE FROM orders USING fills WHERE orders.id = fills.id", ("orders", "fills")),
        ("SELECT 1", ()),
    ],
)
def test_tables_are_those_of_the_database(sql: str, tables: tuple[str, ...]) -> None:
    assert sorted(QueryOptimizer().analyze_query(sql).tables) == sorted(tables)


def test_a_probe_is_asked_for_its_schema_once_and_for_each_plan() -> None:
    probe = FakeProbe(PLAN)
    optimizer = QueryOptimizer(probe=probe)
    first = optimizer.analyze_query("SELECT id FROM orders WHERE side = $1")
    optimizer.analyze_query("SELECT id FROM fills WHERE id = $1")
    assert probe.asked == [
        "schema",
        "SELECT id FROM orders WHERE side = $1 False",
        "SELECT id FROM fills WHERE id = $1 False",
    ]
    assert first.plan == PLAN
    assert "seq_scan_selective" in rules(first)


def test_a_probe_that_refuses_or_cannot_be_reached_is_told_of() -> None:
    refusing = QueryOptimizer(probe=FakeProbe(Refused("volatile function"))).analyze_query("SELECT f(1)")
    away = QueryOptimizer(probe=FakeProbe(PLAN, Unreachable("connection refused"))).analyze_query("SELECT 1")
    assert refusing.unknown == ("no plan: volatile function",)
    assert away.unknown == ("no schema: connection refused",)


def test_ignored_rules_say_nothing() -> None:
    optimizer = QueryOptimizer(schema=LARGE, ignore=["select_star", "seq_scan_selective", "unbounded_select"])
    assert rules(optimizer.analyze_query("SELECT * FROM orders WHERE side = $1", plan=PLAN)) == []


@pytest.mark.parametrize(
    ("sql", "options", "error", "message"),
    [
        (None, {}, TypeError, "sql: expected a text, got NoneType"),
        (b"SELECT 1", {}, TypeError, "sql: expected a text, got bytes"),
        ("  \n", {}, ValueError, "sql: expected a statement, got an empty text"),
        ("SELECT 1", {"execution_time_ms": "5"}, TypeError, "execution_time_ms: expected a number, got str"),
        (
            "SELECT 1",
            {"execution_time_ms": True},
            TypeError,
            "execution_time_ms: expected a number, got bool",
        ),
        (
            "SELECT 1",
            {"execution_time_ms": -1},
            ValueError,
            "execution_time_ms: expected 0 or more milliseconds, got -1",
        ),
        (
            "SELECT 1",
            {"execution_time_ms": float("nan")},
            ValueError,
            "execution_time_ms: expected 0 or more milliseconds, got nan",
        ),
        ("SELECT 1", {"calls": 0}, ValueError, "calls: expected 1 or more, got 0"),
        ("SELECT 1", {"calls": 1.5}, TypeError, "calls: expected a whole number, got float"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    sql: Any, options: Mapping[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        QueryOptimizer().analyze_query(sql, **options)
    assert str(raised.value) == message


def test_remembered_queries_are_a_workload() -> None:
    optimizer = QueryOptimizer(dialect="sqlite")
    optimizer.analyze_query("SELECT id FROM orders WHERE side = 'a'")
    optimizer.enable_query_analysis()
    optimizer.analyze_query("SELECT id FROM orders WHERE side = 'a'", execution_time_ms=100, calls=3)
    optimizer.analyze_query("SELECT id FROM orders WHERE side = 'b'", execution_time_ms=500)
    fingerprint = optimizer.analyze_query("SELECT 1").statement.fingerprint
    sides, one = optimizer.workload
    assert (sides.calls, sides.mean_s, one) == (4, 0.2, WorkloadQuery("SELECT 1", fingerprint))
    analysis = optimizer.analyze_workload(optimizer.workload)
    assert [advice.index for advice in analysis.advice] == [IndexSpec("orders", ("side",))]
    assert repr(optimizer) == "<QueryOptimizer sqlite: no schema, 2 queries remembered>"


def test_a_bound_of_storage_without_a_what_if_is_told_to_bound_nothing() -> None:
    analysis = QueryOptimizer(schema=LARGE).analyze_workload([], storage_bytes=1)
    assert analysis.unknown == ("no what-if: sizes are estimates, and storage_bytes bounds nothing",)


def test_a_rule_that_raises_is_switched_off_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    from tickspan.analysis.sql.rules import select_star

    def broken(_select: Any, _context: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(select_star, "check", broken)
    optimizer = QueryOptimizer()
    first = optimizer.analyze_query("SELECT * FROM orders ORDER BY random()")
    second = optimizer.analyze_query("SELECT * FROM orders ORDER BY random()")
    assert first.unknown[1:] == ("rule 'select_star' disabled after ZeroDivisionError; the others go on",)
    assert second.unknown[1:] == ()
    assert rules(first) == rules(second) == ["order_by_random"]


def test_severity_is_a_number_of_opentelemetry() -> None:
    (finding,) = QueryOptimizer().analyze_query("DELETE FROM orders").findings
    assert (finding.severity, int(finding.severity)) == (Severity.CRITICAL, 20)


# --- hostile input


def disabled(analysis: QueryAnalysis) -> list[str]:
    return [line for line in analysis.unknown if "disabled" in line]


def texts(value: Any) -> Iterator[str]:
    """Every string in a value."""
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield from texts(tuple(value.items()))
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=60)
@given(random=st.randoms(use_true_random=False))
def test_no_literal_is_in_an_analysis(dialect: str, random: Any) -> None:
    written = statement(random, dialect)
    analysis = QueryOptimizer(dialect=dialect, schema=LARGE).analyze_query(written.sql)
    assert [(text, written.found_in(text)) for text in texts(analysis) if written.found_in(text)] == []
    assert disabled(analysis) == []


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None, max_examples=60)
@given(sql=st.text(min_size=1).filter(str.strip))
@example(sql="SELECT " + "(" * 200 + "1" + ")" * 200)
@example(sql="SELECT " + "NOT " * 3000 + "a FROM t")
@example(sql="SELECT " + "- " * 3000 + "1")
@example(sql="SELECT a FROM t WHERE " + "a = 1 OR " * 1500 + "a = 2")
@example(sql="SELECT " + "1 + " * 4000 + "1")
@example(sql="SELECT " + "CASE WHEN a THEN " * 200 + "1" + " END" * 200)
@example(sql="SELECT 1" + " UNION SELECT 1" * 1000)
@example(sql="SELECT a FROM t" + " JOIN t ON a" * 300)
@example(sql="SELECT \x00 \ud800 FROM \udfff")
@example(sql="x" * 100_000)
@example(sql=";" * 5000)
def test_any_text_is_analysed_without_an_exception(dialect: str, sql: str) -> None:
    analysis = QueryOptimizer(dialect=dialect, schema=LARGE).analyze_query(sql)
    assert analysis.statement.fingerprint
    assert disabled(analysis) == []


@settings(deadline=None, max_examples=60)
@given(sql=st.binary(min_size=1).map(lambda data: "SELECT a FROM t WHERE b = '" + data.decode("latin-1")))
def test_binary_text_is_analysed_without_an_exception(sql: str) -> None:
    assert QueryOptimizer(dialect="mysql").analyze_query(sql).statement.summary.startswith("SELECT")


def test_nothing_is_written_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    for sql in (
        "ALTER TABLE t VALIDATE CONSTRAINT x",
        "CREATE FUNCTION f() RETURNS int AS 'secret'",
        "SHOW x",
    ):
        QueryOptimizer().analyze_query(sql)
    assert capfd.readouterr() == ("", "")
