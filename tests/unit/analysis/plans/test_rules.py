"""Every rule over plans, told by plans that real servers made; `record.py` says how they were recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.plans import Plan, PlanNode, PlanSource, mysql, postgresql, sqlite
from tickspan.analysis.plans.context import PlanContext, PlanLatency
from tickspan.analysis.plans.rules import CHECKS, RULES
from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.analysis.sql.schema import Column, Index, Schema, Table

CASES = Path(__file__).with_name("cases")
FILES: dict[str, list[dict[str, Any]]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(CASES.glob("*.json"))
}
ALL = [(rule, case) for rule, cases in FILES.items() for case in cases]
CHECK = {rule.id: check for rule, check in CHECKS}
SOURCES = {"measured": PlanSource.ANALYZE, "estimated": PlanSource.CUSTOM, "generic": PlanSource.GENERIC}


def name(value: Any) -> str:
    return f"{value['system']} {value['note']}" if isinstance(value, dict) else str(value)


def plan_of(case: Mapping[str, Any], key: str = "plan") -> Plan:
    source = SOURCES[case["how"]] if key == "plan" else PlanSource.CUSTOM
    match case["system"]:
        case "postgresql":
            return postgresql.plan_of(case[key], source)
        case "sqlite":
            aliases = {"o": "orders", "f": "fills", "g": "fills"}
            return sqlite.plan_of([tuple(row) for row in case[key]], source, aliases=aliases)
        case system:
            aliases = {"o": "orders", "f": "fills", "k": "skewed", "s": "symbols"}
            return mysql.plan_of(case[key], source, system=system, aliases=aliases)


def schema_of(case: Mapping[str, Any]) -> Schema | None:
    tables = tuple(
        Table(
            table,
            columns=tuple(Column(column, "text") for column in known["columns"]),
            indexes=tuple(Index(index, table, ("x",)) for index in known.get("indexes", ())),
            rows=known.get("rows"),
            modified_since_analyze=known.get("modified"),
            is_partitioned="partitions" in known,
            partition_key=tuple(known.get("partition_key", ())),
            partitions=tuple(known.get("partitions", ())),
        )
        for table, known in case["tables"].items()
    )
    return Schema(tables) if tables else None


@pytest.mark.parametrize(
    ("sql", "written"),
    [
        ("SELECT 1 FROM orders WHERE venue = ?", "orders"),
        ("SELECT 1 FROM archive.orders o, fills f WHERE o.venue = ?", "archive.orders"),
        ("SELECT 1 FROM fills f, archive.orders WHERE venue = ?", "archive.orders"),
        ('UPDATE "archive"."orders" SET id = ?', "archive.orders"),
        ("SELECT 1 FROM orders JOIN archive.orders a USING (id) WHERE venue = ?", ""),
        ("SELECT archive.orders.id FROM archive.orders WHERE archive.orders.venue = ?", "archive.orders"),
        ("SELECT 1 FROM elsewhere.orders WHERE venue = ?", "elsewhere.orders"),
        ("SELECT 1 FROM public.orders WHERE venue = ?", "orders"),
    ],
)
def test_a_table_is_written_with_the_namespace_that_the_statement_gives_it(sql: str, written: str) -> None:
    schema = Schema((Table("public.orders"), Table("archive.orders")), "public")
    plan = Plan("postgresql", PlanNode("Seq Scan", relation="orders"), PlanSource.GENERIC)
    context = PlanContext(plan, canonicalise(sql, Dialect.POSTGRESQL), schema)
    assert context.written("orders") == written


def context_of(case: Mapping[str, Any]) -> PlanContext:
    plan = plan_of(case)
    return PlanContext(
        plan,
        statement=canonicalise(case["sql"], Dialect.of(case["system"])),
        schema=schema_of(case),
        custom=plan_of(case, "custom") if "custom" in case else None,
        history=tuple(
            PlanLatency(plan.hash if known == "now" else known, samples, p95_s)
            for known, samples, p95_s in case["history"]
        ),
    )


def said(finding: Finding) -> str:
    about = finding.evidence.get("table") or finding.evidence.get("step", "")
    return f"{finding.severity} {about}".strip()


@pytest.mark.parametrize(("rule", "case"), ALL, ids=name)
def test_a_rule_says_of_a_plan_what_its_data_file_says(rule: str, case: dict[str, Any]) -> None:
    assert [said(finding) for finding in CHECK[rule](context_of(case))] == case["found"]


@pytest.mark.parametrize(("rule", "case"), ALL, ids=name)
def test_other_rules_say_nothing_that_holds_a_literal(rule: str, case: dict[str, Any]) -> None:
    context = context_of(case)
    told = repr([finding for _, check in CHECKS for finding in check(context)])
    for literal in ("c77", "n5", "S7%", "2026-01", "secret", "none"):
        assert literal not in told, rule


@pytest.mark.parametrize(("rule", "case"), [(r, c) for r, c in ALL if c["found"]], ids=name)
def test_a_finding_says_what_to_do_and_for_which_statement(rule: str, case: dict[str, Any]) -> None:
    statement = canonicalise(case["sql"], Dialect.of(case["system"]))
    for finding in CHECK[rule](context_of(case)):
        assert (finding.fingerprint, finding.summary) == (statement.fingerprint, statement.summary)
        assert finding.message.endswith(".")
        assert finding.advice.endswith((".", ";"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_three_hits_and_three_near_misses(rule: Rule) -> None:
    cases = FILES[rule.id]
    assert sum(bool(case["found"]) for case in cases) >= 3
    assert sum(not case["found"] for case in cases) >= 3


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_some_hit_has_the_severity_that_the_rule_declares(rule: Rule) -> None:
    assert str(rule.severity) in {text.split()[0] for case in FILES[rule.id] for text in case["found"]}


def test_every_data_file_is_of_a_rule() -> None:
    assert FILES.keys() == {rule.id for rule in RULES}


def test_an_index_is_advised_as_a_statement_that_can_be_run() -> None:
    cases = {case["system"]: case for case in FILES["seq_scan_selective"] if case["found"]}
    advice = {
        system: [finding.advice for finding in CHECK["seq_scan_selective"](context_of(case))]
        for system, case in cases.items()
    }
    assert advice == {
        "postgresql": ["CREATE INDEX CONCURRENTLY ON orders (code);"],
        "mariadb": ["CREATE INDEX ix_orders_note ON orders (note);"],
        "sqlite": ["CREATE INDEX ix_orders_code ON orders (code);"],
    }


def test_a_join_above_a_thousand_loops_is_an_error() -> None:
    assert RULES[4].severity is Severity.WARNING
    assert {text.split()[0] for case in FILES["join_without_index"] for text in case["found"]} == {
        "warning",
        "error",
    }
