"""Each rule about indexes finds what its data file says, and nothing in its near misses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tickspan.analysis.indexes.catalog import CatalogContext
from tickspan.analysis.indexes.rules import CATALOG_CHECKS
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.ddl import read_ddl
from tickspan.analysis.sql.schema import Index, Schema, Table

_CASES = Path(__file__).with_name("cases")
_DAY_S = 86_400


def _cases() -> list[Any]:
    return [
        pytest.param(rule.id, case, id=f"{rule.id}-{case['note']}")
        for rule, _ in CATALOG_CHECKS
        for case in json.loads((_CASES / f"{rule.id}.json").read_text(encoding="utf-8"))
    ]


def _context(case: dict[str, Any]) -> CatalogContext:
    """The schema of the case's DDL, with the facts that a catalog would add."""
    dialect = Dialect(case.get("dialect", "postgresql"))
    schema, problems = read_ddl(case["sql"], dialect)
    assert problems == ()
    tables = tuple(_with_facts(table, case.get("facts", {})) for table in schema)
    days = case.get("days")
    return CatalogContext(
        Schema(tables, schema.default_namespace), dialect, None if days is None else days * _DAY_S
    )


def _with_facts(table: Table, facts: dict[str, dict[str, Any]]) -> Table:
    indexes: tuple[Index, ...] = tuple(replace(index, **facts.get(index.name, {})) for index in table.indexes)
    return replace(table, indexes=indexes, **facts.get(table.name.rpartition(".")[2], {}))


@pytest.mark.parametrize(("rule", "case"), _cases())
def test_a_rule_finds_what_its_cases_say(rule: str, case: dict[str, Any]):
    check = {known.id: look for known, look in CATALOG_CHECKS}[rule]
    found = [[finding.message, finding.advice] for finding in check(_context(case))]
    assert found == case["found"]


def test_every_rule_has_three_hits_and_three_near_misses():
    counts = {
        rule.id: [
            sum(
                bool(case["found"]) is is_hit for case in json.loads((_CASES / f"{rule.id}.json").read_text())
            )
            for is_hit in (True, False)
        ]
        for rule, _ in CATALOG_CHECKS
    }
    assert min(min(pair) for pair in counts.values()) >= 3
