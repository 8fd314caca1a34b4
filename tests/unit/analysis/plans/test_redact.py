"""Redaction by a list of what may pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tickspan.analysis.plans.redact import MAX_EVENT_BYTES, compact, redact
from tickspan.analysis.sql import Dialect


@pytest.mark.parametrize(
    ("dialect", "document", "clean"),
    [
        (Dialect.POSTGRESQL, {"Plan": {"Node Type": "Seq Scan", "Plan Rows": 5}}, None),
        (Dialect.POSTGRESQL, {"Plan": {"Brand New": "secret", "Plan Rows": 5}}, {"Plan": {"Plan Rows": 5}}),
        (Dialect.POSTGRESQL, {"Plan Rows": "secret"}, {}),
        (Dialect.POSTGRESQL, {"Node Type": "it's 'secret'"}, {}),
        (Dialect.POSTGRESQL, {"Node Type": "x" * 65}, {}),
        (Dialect.POSTGRESQL, {"Relation Name": "orders\n--"}, {}),
        (Dialect.POSTGRESQL, {"Settings": {"search_path": "secret"}}, {}),
        (Dialect.POSTGRESQL, {"Query Text": "SELECT 'secret' -- x"}, {"Query Text": "SELECT ?"}),
        (Dialect.POSTGRESQL, {"Query Parameters": "$1 = 'secret'"}, {}),
        (Dialect.POSTGRESQL, {"Index Cond": "(a = 'secret'::text)"}, {"Index Cond": "(a = ?::text)"}),
        (Dialect.POSTGRESQL, {"Future Filter": "(a = 7)"}, {"Future Filter": "(a = ?)"}),
        (Dialect.POSTGRESQL, {"Future Cond": 7}, {}),
        (Dialect.POSTGRESQL, {"Sort Key": ["a DESC", "('x'::text)"]}, {"Sort Key": ["a DESC", "(?::text)"]}),
        (
            Dialect.POSTGRESQL,
            {"Grouping Sets": [{"Hash Keys": [["a", "'x'::text"]]}]},
            {"Grouping Sets": [{"Hash Keys": [["a", "?::text"]]}]},
        ),
        (Dialect.POSTGRESQL, {"Remote SQL": "SELECT 'secret'"}, {"Remote SQL": "SELECT ?"}),
        (Dialect.POSTGRESQL, {"Function Call": "f('secret')"}, {"Function Call": "f(?)"}),
        (
            Dialect.POSTGRESQL,
            {"Sampling Parameters": ["'10'::real"], "Repeatable Seed": "'7'"},
            {"Sampling Parameters": ["?::real"], "Repeatable Seed": "?"},
        ),
        (Dialect.POSTGRESQL, {"Filter": "(a = 'never ends)"}, {"Filter": "?"}),
        (Dialect.POSTGRESQL, "secret", None),
        (
            Dialect.MYSQL,
            {"attached_condition": "a.b = 'x' and c > 5"},
            {"attached_condition": "a.b = ? and c > ?"},
        ),
        (Dialect.MYSQL, {"attached_condition": "a = (subquery#2)"}, {"attached_condition": "a = (subquery)"}),
        (Dialect.MYSQL, {"cost_info": {"query_cost": "1.20", "data_read_per_join": "16K"}}, None),
        (Dialect.MYSQL, {"cost_info": {"query_cost": "secret"}}, {"cost_info": {}}),
        (Dialect.MYSQL, {"table": {"unheard_of": "secret", "rows": 5}}, {"table": {"rows": 5}}),
        (Dialect.MYSQL, {"ref": ["const", "db.t.id"]}, None),
        (Dialect.MYSQL, {"query": "/* select#1 */ select 'secret'"}, {}),
    ],
)
def test_what_is_known_to_be_a_name_or_a_number_passes(dialect: Dialect, document: Any, clean: Any) -> None:
    """None stands for the document itself, or for nothing where it is no object."""
    expected = document if clean is None and isinstance(document, dict) else clean
    assert redact(document, dialect) == expected


def plan(depth: int, width: int) -> Any:
    node: dict[str, Any] = {"Node Type": "Result", "Output": ["a" * 50] * width}
    for _ in range(depth):
        node = {"Node Type": "Limit", "Output": ["a" * 50] * width, "Plans": [node]}
    return {"Plan": node}


def test_a_plan_that_fits_stays_whole() -> None:
    document = redact(plan(3, 2), Dialect.POSTGRESQL)
    assert json.loads(compact(document)) == document


def test_outputs_go_first_where_a_plan_is_too_long() -> None:
    text = compact(redact(plan(20, 100), Dialect.POSTGRESQL))
    assert "Output" not in text
    assert text.count("Limit") == 20


def test_the_deepest_steps_go_where_that_is_not_enough() -> None:
    text = compact(redact(plan(90, 0), Dialect.POSTGRESQL), max_bytes=1_000)
    assert 0 < text.count("Limit") < 90
    assert len(text.encode()) <= 1_000
    json.loads(text)


def test_a_plan_of_an_event_has_at_most_32_kib() -> None:
    wide = {"Plan": {"Node Type": "Append", "Plans": [{"Relation Name": "é" * 200} for _ in range(500)]}}
    text = compact(redact(wide, Dialect.POSTGRESQL))
    assert len(text.encode()) <= MAX_EVENT_BYTES
    json.loads(text)
