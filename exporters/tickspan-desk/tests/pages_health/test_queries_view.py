"""Statements: calls, findings, plans and advice."""

from __future__ import annotations

import json

from tickspan_desk.views.queries import (
    CallStep,
    Exemplar,
    FindingLine,
    Plan,
    Site,
    Statement,
    advice_of,
    fingerprint_of,
    queries_of,
    statement_view,
)

from tickspan.semconv import code, common, db, findings, foreign

from .conftest import Make

SELECT = {
    db.DB_SYSTEM_NAME: "postgresql",
    db.DB_NAMESPACE: "trading",
    db.DB_QUERY_TEXT: "SELECT id FROM orders WHERE symbol = ?",
    db.DB_QUERY_SUMMARY: "SELECT orders",
    db.TICKSPAN_DB_QUERY_FINGERPRINT: "aaaa000011112222",
    db.DB_RESPONSE_RETURNED_ROWS: 3,
}
COMMIT = {db.DB_SYSTEM_NAME: "postgresql", db.DB_NAMESPACE: "trading"}
FINDING = {
    findings.FINDING_ID: "f1",
    findings.FINDING_RULE: "slow_query",
    findings.FINDING_SEVERITY: "warning",
    findings.FINDING_ADVICE: "Look at its plan.",
    findings.FINDING_CONFIDENCE: "measured",
    findings.FINDING_EVIDENCE: json.dumps({"calls": 4, "tables": ["orders", "fills"]}),
    findings.FINDING_COUNT: 2,
    findings.FINDING_TIME_LOST: 0.5,
    findings.FINDING_ORDER_PATH: True,
    findings.FINDING_DOC: "docs#slow_query",
    db.TICKSPAN_DB_QUERY_FINGERPRINT: "aaaa000011112222",
}


def test_calls_of_one_statement_are_one_row_most_time_first(make: Make) -> None:
    spans = [
        make.span(1, 1, 10, SELECT),
        make.span(2, 2, 30, SELECT, is_error=True),
        make.span(3, 3, 100, COMMIT, name="COMMIT", service="oms"),
    ]
    told = [make.event(1, findings.EVENT, 4, FINDING, "It is slow.")]
    found = queries_of(spans, told, make.window(), limit=100)
    assert found.statements == (
        Statement(
            fingerprint=fingerprint_of(spans[2]),
            title="COMMIT",
            text="",
            system="postgresql",
            namespace="trading",
            services=("oms",),
            calls=1,
            errors=0,
            rows=0,
            total_ns=100_000_000,
            p50_ns=100_000_000,
            p99_ns=100_000_000,
            findings=0,
            worst="",
        ),
        Statement(
            fingerprint="aaaa000011112222",
            title="SELECT orders",
            text="SELECT id FROM orders WHERE symbol = ?",
            system="postgresql",
            namespace="trading",
            services=("bot",),
            calls=2,
            errors=1,
            rows=6,
            total_ns=40_000_000,
            p50_ns=10_000_000,
            p99_ns=30_000_000,
            findings=1,
            worst="warning",
        ),
    )
    assert (found.calls, found.total_ns, found.different, found.services) == (
        3,
        140_000_000,
        2,
        ("bot", "oms"),
    )


def test_a_service_can_be_chosen(make: Make) -> None:
    spans = [make.span(1, 1, 10, SELECT), make.span(2, 2, 30, COMMIT, service="oms")]
    found = queries_of(spans, [], make.window(), service="oms", limit=100)
    assert [one.services for one in found.statements] == [("oms",)]
    assert found.services == ("bot", "oms")


def test_old_names_of_attributes_are_read(make: Make) -> None:
    old = {foreign.DB_SYSTEM_OLD: "mysql", foreign.DB_NAME_OLD: "shop", foreign.DB_STATEMENT_OLD: "SELECT 1"}
    (one,) = queries_of([make.span(1, 1, 1, old)], [], make.window(), limit=100).statements
    assert (one.system, one.namespace, one.text, one.title) == ("mysql", "shop", "SELECT 1", "SELECT 1")


def test_statements_without_a_fingerprint_are_told_apart_by_system_name_and_text(make: Make) -> None:
    spans = [
        make.span(1, 1, 1, {db.DB_SYSTEM_NAME: "redis", db.DB_QUERY_TEXT: "GET ?"}),
        make.span(2, 1, 1, {db.DB_SYSTEM_NAME: "redis", db.DB_QUERY_TEXT: "GET ?"}),
        make.span(3, 1, 1, {db.DB_SYSTEM_NAME: "redis", db.DB_QUERY_TEXT: "SET ? ?"}),
        make.span(4, 1, 1, {db.DB_SYSTEM_NAME: "valkey", db.DB_QUERY_TEXT: "GET ?"}),
    ]
    first, second, third, fourth = map(fingerprint_of, spans)
    assert first == second
    assert len({first, third, fourth}) == 3


def test_values_that_are_no_numbers_count_nothing(make: Make) -> None:
    hostile = {**SELECT, db.DB_RESPONSE_RETURNED_ROWS: "many", code.CODE_LINE_NUMBER: float("nan")}
    (one,) = queries_of([make.span(1, 1, 1, hostile)], [], make.window(), limit=100).statements
    assert one.rows == 0


def test_one_statement_is_told_whole(make: Make) -> None:
    site = {code.CODE_FUNCTION_NAME: "bot.place", code.CODE_FILE_PATH: "bot.py", code.CODE_LINE_NUMBER: 7}
    spans = [
        make.span(1, 1, 10, {**SELECT, **site}),
        make.span(2, 31, 30, {**SELECT, **site, common.ERROR_TYPE: "Timeout"}, is_error=True),
        make.span(3, 32, 5, {**SELECT, db.TICKSPAN_DB_ORM_PATH: "Order.fills"}),
    ]
    plan = {
        db.TICKSPAN_DB_QUERY_FINGERPRINT: "aaaa000011112222",
        db.TICKSPAN_DB_PLAN_HASH: "h1",
        db.TICKSPAN_DB_PLAN_SOURCE: "generic",
        db.TICKSPAN_DB_PLAN_COST: 12.5,
    }
    other = {**plan, db.TICKSPAN_DB_QUERY_FINGERPRINT: "bbbb"}
    events = [
        make.event(4, findings.EVENT, 40, {**FINDING, findings.FINDING_COUNT: 9}, "It is slower."),
        make.event(3, findings.EVENT, 35, FINDING, "It is slow."),
        make.event(2, db.EVENT_QUERY_PLAN, 33, plan, '{"Node Type":"Seq Scan"}', trace_id=make.trace),
        make.event(1, db.EVENT_QUERY_PLAN, 2, other, "{}"),
    ]
    view = statement_view("aaaa000011112222", spans, events, make.window(0, 60))
    assert view.findings == (
        FindingLine(
            rule="slow_query",
            severity="warning",
            message="It is slower.",
            advice="Look at its plan.",
            confidence="measured",
            count=9,
            time_lost_ns=500_000_000,
            is_on_order_path=True,
            evidence=(("calls", "4"), ("tables", "orders\nfills")),
            doc="docs#slow_query",
            trace_id="",
            at_ns=make.at(40),
        ),
    )
    assert view.plans == (
        Plan("h1", "generic", 12.5, '{\n  "Node Type": "Seq Scan"\n}', make.trace, make.at(33), 1),
    )
    assert view.sites == (Site("bot.place", "bot.py", 7, 2, 40_000_000),)
    assert view.exemplars[0] == Exemplar(30_000_000, make.at(31), make.trace, f"{2:016x}", is_error=True)
    assert [one.duration_ns for one in view.exemplars] == [30_000_000, 10_000_000, 5_000_000]
    assert view.errors == (("Timeout", 1),)
    assert view.orm_paths == ("Order.fills",)
    assert [step for step in view.steps if step.calls] == [
        CallStep(make.at(1), 1, 0, 10_000_000, 10_000_000),
        CallStep(make.at(31), 1, 1, 30_000_000, 30_000_000),
        CallStep(make.at(32), 1, 0, 5_000_000, 5_000_000),
    ]
    assert view.latencies[1].points == ((make.at(1), 0.01), (make.at(31), 0.03), (make.at(32), 0.005))


def test_evidence_and_plans_that_are_no_json_are_shown_as_they_came(make: Make) -> None:
    broken = {**FINDING, findings.FINDING_EVIDENCE: "{not json"}
    plan = {db.TICKSPAN_DB_QUERY_FINGERPRINT: "aaaa000011112222"}
    events = [
        make.event(1, findings.EVENT, 1, broken),
        make.event(2, db.EVENT_QUERY_PLAN, 1, plan, "[" * 100_000),
    ]
    view = statement_view("aaaa000011112222", [make.span(1, 1, 1, SELECT)], events, make.window())
    assert view.findings[0].evidence == (("", "{not json"),)
    assert view.plans[0].text == "[" * 100_000


def test_the_text_alone_asks_for_an_index_with_its_reason(make: Make) -> None:
    (one,) = queries_of([make.span(1, 1, 1, SELECT)], [], make.window(), limit=100).statements
    (index,) = advice_of(one).indexes
    assert index.confidence == "syntactic"
    assert "orders (symbol)" in index.ddl
    assert "DROP INDEX" in index.rollback
    assert index.reason


def test_a_rule_that_was_told_is_not_told_again(make: Make) -> None:
    text = {**SELECT, db.DB_QUERY_TEXT: "UPDATE orders SET status = ?"}
    (one,) = queries_of([make.span(1, 1, 1, text)], [], make.window(), limit=100).statements
    assert [note.rule for note in advice_of(one).notes] == ["write_without_where"]
    assert not advice_of(one, {"write_without_where"}).notes


def test_there_is_no_advice_for_what_is_no_sql(make: Make) -> None:
    redis = {db.DB_SYSTEM_NAME: "redis", db.DB_QUERY_TEXT: "GET ?"}
    (one,) = queries_of([make.span(1, 1, 1, redis)], [], make.window(), limit=100).statements
    assert advice_of(one).indexes == advice_of(one).notes == ()
