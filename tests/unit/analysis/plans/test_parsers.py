"""Plans that real servers made, read into the one model; `record.py` says how they were recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tickspan.analysis.plans import Plan, PlanNode, PlanSource, Trigger, mysql, postgresql, sqlite
from tickspan.analysis.plans.document import MAX_DOCUMENT, PlanFormatError, load

SHAPES = Path(__file__).with_name("shapes")


def shape(name: str) -> Any:
    return json.loads((SHAPES / f"{name}.json").read_text(encoding="utf-8"))


def outline(node: PlanNode, depth: int = 0) -> list[str]:
    words = [node.kind, node.relation, f"({node.alias})" if node.alias != node.relation else "", node.index]
    line = "  " * depth + " ".join(word for word in words if word)
    return [line, *(inner for child in node.children for inner in outline(child, depth + 1))]


def postgresqls(name: str) -> Plan:
    return postgresql.plan_of(shape(f"postgresql_{name}"), PlanSource.ANALYZE)


def mariadbs(name: str) -> Plan:
    aliases = {"o": "orders", "s": "symbols"}
    return mysql.plan_of(
        shape(f"mariadb_{name}"), PlanSource.ANALYZE, system="mariadb", cost=12.5, aliases=aliases
    )


def test_subplans_and_common_table_expressions_of_postgresql_come_behind_what_is_joined() -> None:
    assert outline(postgresqls("dashboard").root) == [
        "Limit",
        "  Result",
        "    Sort",
        "      Merge Join",
        "        Sort",
        "          CTE Scan (r)",
        "        Sort",
        "          Seq Scan symbols (s)",
        "    Aggregate",
        "      Seq Scan fills (f)",
        "  Index Scan orders orders_placed",
        "  Aggregate",
        "    Index Scan fills fills_pkey",
    ]


def test_a_step_of_postgresql_has_its_numbers_for_one_loop_and_canonical_expressions() -> None:
    plan = postgresqls("dashboard")
    scan = next(node for node in plan.nodes() if node.relation == "fills" and not node.index)
    assert (scan.rows, scan.cost, scan.actual_rows, scan.loops, scan.removed_rows) == (1, 1186, 1, 5, 59999)
    assert scan.details["Filter"] == "(order_id = r.id)"
    filters = [node.details["Filter"] for node in plan.nodes() if "Filter" in node.details]
    assert filters == ["(price > ?)", "(venue = ?::text)", "(order_id = r.id)"]
    assert scan.details["Shared Hit Blocks"] > 0  # type: ignore[operator] - a number


def test_workers_of_postgresql_are_counted_and_not_told_one_by_one() -> None:
    plan = postgresqls("parallel")
    assert outline(plan.root) == ["Aggregate", "  Gather", "    Aggregate", "      Seq Scan orders"]
    gather = plan.root.children[0]
    assert (gather.details["Workers Planned"], gather.details["Workers Launched"]) == (2, 2)
    assert "Workers" not in plan.root.children[0].children[0].details


def test_an_estimated_plan_of_postgresql_has_no_times() -> None:
    plan = postgresqls("estimated")
    assert outline(plan.root) == [
        "ModifyTable orders",
        "  Bitmap Heap Scan orders",
        "    Bitmap Index Scan orders_symbol",
    ]
    assert (plan.is_measured, plan.planning_s, plan.execution_s) == (False, None, None)
    assert plan.cost == plan.root.cost


def test_triggers_of_postgresql_are_told_with_their_time() -> None:
    plan = postgresqls("trigger")
    (trigger,) = plan.triggers
    assert trigger == Trigger("pausing", "slow_journal", 1, trigger.time_s)
    assert trigger.time_s == pytest.approx(0.006, abs=0.002)
    assert plan.execution_s == pytest.approx(0.0068, abs=0.0001)


def test_auto_explains_plan_has_the_time_of_its_last_step() -> None:
    document = {"Query Text": "SELECT 1", "Plan": {"Node Type": "Result", "Actual Total Time": 2.5}}
    plan = postgresql.plan_of(document, PlanSource.AUTO_EXPLAIN)
    assert (plan.root.kind, plan.execution_s) == ("Result", 0.0025)


def test_joins_and_subqueries_of_mariadb_are_a_tree() -> None:
    assert outline(mariadbs("nested").root) == [
        "query_block",
        "  filesort",
        "    temporary_table",
        "      nested_loop",
        "        range symbols (s) code",
        "        ref orders (o) orders_symbol",
        "      query_block",
        "        ALL fills",
    ]


def test_a_table_of_mariadb_hands_out_what_its_filter_leaves() -> None:
    plan = mariadbs("nested")
    orders = next(node for node in plan.nodes() if node.relation == "orders")
    assert (orders.actual_rows, orders.removed_rows, orders.loops) == (
        pytest.approx(87.03, abs=0.1),
        pytest.approx(62.97, abs=0.1),
        111,
    )
    assert orders.details["attached_condition"] == "o.price > (subquery)"


def test_a_plan_of_mariadb_has_its_times_and_the_cost_that_it_was_given() -> None:
    plan = mariadbs("nested")
    assert (plan.system, plan.cost, plan.is_measured) == ("mariadb", 12.5, True)
    assert plan.execution_s == pytest.approx(0.0169, abs=0.0001)
    assert plan.planning_s is not None


def test_what_mariadb_makes_is_no_relation() -> None:
    derived = mariadbs("derived")
    assert outline(derived.root)[:3] == ["query_block", "  ALL (<derived2>)", "    materialized"]
    assert outline(mariadbs("union").root) == [
        "query_block",
        "  union_result",
        "    query_block",
        "      const orders PRIMARY",
        "    query_block",
        "      index fills PRIMARY",
    ]


MYSQL_8 = {
    "query_block": {
        "select_id": 1,
        "cost_info": {"query_cost": "1342.60"},
        "ordering_operation": {
            "using_temporary_table": True,
            "using_filesort": True,
            "cost_info": {"sort_cost": "120.00"},
            "nested_loop": [
                {
                    "table": {
                        "table_name": "s",
                        "access_type": "ALL",
                        "possible_keys": ["PRIMARY"],
                        "rows_examined_per_scan": 200,
                        "rows_produced_per_join": 20,
                        "filtered": "10.00",
                        "cost_info": {
                            "read_cost": "18.25",
                            "prefix_cost": "20.25",
                            "data_read_per_join": "3K",
                        },
                        "used_columns": ["id", "venue"],
                        "attached_condition": "(`db`.`s`.`venue` = 'SECRET')",
                    }
                },
                {
                    "table": {
                        "table_name": "o",
                        "access_type": "ref",
                        "key": "orders_symbol",
                        "used_key_parts": ["symbol_id"],
                        "key_length": "5",
                        "ref": ["db.s.id"],
                        "rows_examined_per_scan": 250,
                        "filtered": "100.00",
                        "cost_info": {"prefix_cost": "1342.60"},
                    }
                },
            ],
        },
    }
}
"""As MySQL 8.0 writes it: numbers in quotes, costs in objects."""


def test_mysqls_own_form_is_read_too() -> None:
    plan = mysql.plan_of(MYSQL_8, PlanSource.GENERIC, aliases={"s": "symbols", "o": "orders"})
    assert outline(plan.root) == [
        "query_block",
        "  ordering_operation",
        "    nested_loop",
        "      ALL symbols (s)",
        "      ref orders (o) orders_symbol",
    ]
    symbols = next(node for node in plan.nodes() if node.relation == "symbols")
    assert (plan.system, plan.cost) == ("mysql", 1342.6)
    assert (symbols.rows, symbols.cost) == (20, 20.25)
    assert symbols.details["attached_condition"] == "(`db`.`s`.`venue` = ?)"
    assert plan.root.children[0].details["using_temporary_table"] is True


def test_a_member_that_comes_twice_is_kept_twice() -> None:
    """As MariaDB before 10.10 wrote joins."""
    text = '{"query_block": {"table": {"table_name": "a"}, "table": {"table_name": "b"}}}'
    plan = mysql.plan_of(load(text), PlanSource.GENERIC)
    assert [node.relation for node in plan.nodes()] == ["", "a", "b"]


def test_a_compound_query_of_sqlite_is_a_tree() -> None:
    rows = [tuple(row) for row in shape("sqlite_compound")]
    plan = sqlite.plan_of(rows, PlanSource.CUSTOM, aliases={"o": "orders", "f": "fills"})
    assert outline(plan.root) == [
        "QUERY PLAN",
        "  MERGE (UNION)",
        "    LEFT",
        "      SEARCH orders (o) PRIMARY KEY",
        "      LIST SUBQUERY 1",
        "        SCAN fills",
        "      SCAN fills (f)",
        "      USE TEMP B-TREE",
        "    RIGHT",
        "      SCAN symbols sqlite_autoindex_symbols_1",
    ]


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("SCAN orders", PlanNode("SCAN", "orders", "orders")),
        ("SCAN TABLE orders AS o", PlanNode("SCAN", "orders", "o")),
        (
            "SEARCH o USING INDEX ix (symbol=? AND ts>?)",
            PlanNode("SEARCH", "o", "o", "ix", details={"columns": "symbol = ? AND ts > ?"}),
        ),
        (
            "SCAN orders USING COVERING INDEX ix",
            PlanNode("SCAN", "orders", "orders", "ix", details={"covering": True}),
        ),
        (
            "SEARCH f USING AUTOMATIC PARTIAL COVERING INDEX (order_id=?)",
            PlanNode(
                "SEARCH",
                "f",
                "f",
                details={"columns": "order_id = ?", "automatic": True, "covering": True},
            ),
        ),
        (
            "SEARCH orders USING INTEGER PRIMARY KEY (rowid=?)",
            PlanNode("SEARCH", "orders", "orders", "PRIMARY KEY", details={"columns": "rowid = ?"}),
        ),
        ("SEARCH f USING INDEX i (a=?) LEFT-JOIN", PlanNode("SEARCH", "f", "f", "i", details={
            "columns": "a = ?", "join": "LEFT-JOIN"})),
        ("SCAN notes VIRTUAL TABLE INDEX 0:M1'secret", PlanNode("SCAN", "notes", "notes", details={
            "virtual": True})),
        ("SCAN CONSTANT ROW", PlanNode("SCAN CONSTANT ROW")),
        ("SCAN (subquery-2)", PlanNode("SCAN", "", "(subquery-2)")),
        (
            "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY",
            PlanNode("USE TEMP B-TREE", details={"for": "RIGHT PART OF ORDER BY"}),
        ),
        ("CO-ROUTINE recent", PlanNode("CO-ROUTINE", alias="recent")),
        ("MULTI-INDEX OR", PlanNode("MULTI-INDEX OR")),
        ("something of the future", PlanNode("?")),
    ],
)  # fmt: skip
def test_a_row_of_sqlite_is_a_step(detail: str, expected: PlanNode) -> None:
    plan = sqlite.plan_of([(2, 0, 0, detail)], PlanSource.GENERIC)
    assert plan.root.children == (expected,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no JSON at all 'secret'", "expected a plan as JSON, got something else at character 0"),
        ("[]", "expected PostgreSQL's EXPLAIN (FORMAT JSON), got JSON without a Plan"),
        (
            '{"Plan": {"Node Type": 5}}',
            "expected PostgreSQL's EXPLAIN (FORMAT JSON), got JSON without a Plan",
        ),
        ("[" * 100_000, "expected a plan, got JSON that is nested too deep"),
        (" " * (MAX_DOCUMENT + 1), f"expected a plan of at most {MAX_DOCUMENT} characters, got 4194305"),
    ],
    ids=["text", "empty", "other type", "deep", "long"],
)
def test_what_is_no_plan_is_said_without_quoting_it(text: str, told: str) -> None:
    with pytest.raises(PlanFormatError) as error:
        postgresql.read_plan(text, PlanSource.GENERIC)
    assert str(error.value) == told


def test_a_document_without_a_query_block_is_no_plan_of_mysql() -> None:
    with pytest.raises(PlanFormatError, match="got JSON without a query_block"):
        mysql.read_plan("{}", PlanSource.GENERIC)


def test_a_row_without_its_parent_is_no_plan_of_sqlite() -> None:
    with pytest.raises(PlanFormatError, match="got one whose parent is 7"):
        sqlite.plan_of([(2, 7, 0, "SCAN orders")], PlanSource.GENERIC)


def test_a_plan_deeper_than_any_real_one_ends_where_it_is_too_deep() -> None:
    document: dict[str, Any] = {"Node Type": "Result"}
    for _ in range(300):
        document = {"Node Type": "Limit", "Plans": [document]}
    plan = postgresql.plan_of({"Plan": document}, PlanSource.GENERIC)
    assert 50 < sum(1 for _ in plan.nodes()) < 150


def test_the_hash_is_that_of_steps_tables_and_indexes() -> None:
    plan = postgresqls("dashboard")
    assert plan.hash == postgresqls("dashboard").hash
    assert plan.hash != postgresqls("parallel").hash
    assert len(plan.hash) == 16
