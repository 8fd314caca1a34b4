"""Plans for people."""

from __future__ import annotations

import json
from pathlib import Path

from tickspan.analysis.findings import Finding
from tickspan.analysis.plans import Plan, PlanNode, PlanSource, mysql, postgresql
from tickspan.analysis.plans.context import PlanContext
from tickspan.analysis.plans.render import render
from tickspan.analysis.plans.rules import CHECKS

SHAPES = Path(__file__).with_name("shapes")


def recorded(name: str) -> Plan:
    document = json.loads((SHAPES / f"{name}.json").read_text(encoding="utf-8"))
    if name.startswith("mariadb"):
        return mysql.plan_of(document, PlanSource.ANALYZE, system="mariadb", aliases={"o": "orders"})
    return postgresql.plan_of(document, PlanSource.ANALYZE)


def findings(plan: Plan) -> list[Finding]:
    return [found for _, check in CHECKS for found in check(PlanContext(plan))]


def test_a_plan_is_a_tree_with_its_own_time_for_each_step() -> None:
    assert render(recorded("postgresql_trigger")).splitlines() == [
        "postgresql, analyze: cost 0.01, planned in 0.0 ms, ran 6.8 ms",
        "ModifyTable on slow_journal  cost 0.01  rows 0 → 0  6.8 ms 100%",
        "└─ Result  cost 0.01  rows 1 → 1  0.0 ms 0%",
        "trigger pausing on slow_journal  calls 1  6.0 ms",
    ]


def test_workers_run_at_once_so_that_their_time_counts_once() -> None:
    assert render(recorded("postgresql_parallel")).splitlines() == [
        "postgresql, analyze: cost 862, planned in 0.3 ms, ran 19.9 ms",
        "Aggregate  cost 862  rows 1,000 → 994  0.6 ms 3%",
        "│     Group Key: note",
        "└─ Gather  cost 842  rows 2,000 → 2,982  11.3 ms 57%",
        "   └─ Aggregate  cost 842  rows 1,000 → 994  loops 3  3.7 ms 19%",
        "      │     Group Key: note",
        "      └─ Seq Scan on orders  cost 728  rows 20,720 → 16,567  loops 3  removed 100  4.1 ms 21%",
        "             Filter: (price > ?::numeric)",
    ]


def test_mariadb_times_tables_alone_and_blocks_with_all_that_is_in_them() -> None:
    assert render(recorded("mariadb_nested")).splitlines() == [
        "mariadb, analyze: planned in 0.3 ms, ran 16.9 ms",
        "query_block  rows 8,436 → 111  0.0 ms 0%",
        "└─ filesort  rows 8,436 → 111  0.0 ms 0%",
        "   │     sort_key: count(?)",
        "   └─ temporary_table  rows 8,436 → 9,660",
        "      ├─ nested_loop  rows 8,436 → 9,660",
        "      │  ├─ range using code on s  rows 111 → 111  0.1 ms 0%",
        "      │  │      attached_condition: s.`code` like ?",
        (
            "      │  └─ ref using orders_symbol on orders o  rows 76 → 87.03  loops 111"
            "  removed 62.97  11.2 ms 66%"
        ),
        "      │         attached_condition: o.price > (subquery)",
        "      └─ query_block  rows 39,229 → 40,000  0.0 ms 0%",
        "         └─ ALL on fills  rows 39,229 → 40,000  5.5 ms 33%",
    ]


def test_an_estimated_plan_shows_what_it_has() -> None:
    assert render(recorded("postgresql_estimated")).splitlines() == [
        "postgresql, analyze: cost 415",
        "ModifyTable on orders  cost 415  rows 0",
        "└─ Bitmap Heap Scan on orders  cost 415  rows 250",
        "   │     Recheck Cond: (symbol_id = ?)",
        "   └─ Bitmap Index Scan using orders_symbol  cost 6.17  rows 250",
        "          Index Cond: (symbol_id = ?)",
    ]


def test_steps_that_a_finding_is_about_are_marked_and_the_findings_stand_below() -> None:
    scan = PlanNode(
        "Seq Scan",
        "orders",
        "orders",
        actual_rows=1,
        loops=1,
        removed_rows=49_999,
        details={"Filter": "(code = ?)"},
    )
    sort = PlanNode(
        "Sort",
        actual_rows=1,
        loops=1,
        details={"Sort Space Type": "Disk", "Sort Space Used": 2048},
        children=(scan,),
    )
    plan = Plan("postgresql", sort, PlanSource.ANALYZE)
    assert render(plan, findings(plan)).splitlines() == [
        "postgresql, analyze",
        "! Sort  rows 1  on disk 2,048 kB",
        "└─ ! Seq Scan on orders  rows 1  removed 49,999",
        "       Filter: (code = ?)",
        (
            "! seq_scan_selective: orders is read from end to end: of 50,000 rows 1 are kept."
            " CREATE INDEX CONCURRENTLY ON orders (code);"
        ),
        (
            "! spill: Sort sorted on disk: 2.0 MiB."
            " SET LOCAL work_mem = '8MB' in this transaction, or an index that has the order."
        ),
    ]


def test_an_error_has_two_marks_and_a_step_that_never_ran_says_so() -> None:
    scan = PlanNode("Seq Scan", "fills", "f", rows=1, actual_rows=5_000, loops=1)
    never = PlanNode("Index Scan", "orders", "o", "orders_pkey", rows=1, actual_rows=0, loops=0)
    plan = Plan("postgresql", PlanNode("Nested Loop", children=(scan, never)), PlanSource.ANALYZE)
    assert render(plan, findings(plan)).splitlines()[1:4] == [
        "Nested Loop",
        "├─ !! Seq Scan on fills f  rows 1 → 5,000",
        "└─ Index Scan using orders_pkey on orders o  rows 1 → 0  never run",
    ]
