"""What is decided about auto_explain's notices and connections, without a server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from opentelemetry.trace import SpanContext, TraceFlags

from tickspan.config import PlanMode, QuerySettings, Settings
from tickspan.distro import distro
from tickspan.distro.pipeline import bare_pipeline
from tickspan.instrumentation import notices
from tickspan.processors.queries.auto_explain import (
    AutoExplain,
    RecentStatements,
    ServerFacts,
    read_notice,
    refusal,
    settings_query,
)
from tickspan.testing import Capture

READY = ServerFacts(backend_pid=7, known_pid=7, version=150_018, is_loaded=True)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (READY, None),
        (ServerFacts(8, 7, 150_018, is_loaded=True), "a pooler stands before the server*"),
        (ServerFacts(7, 7, 140_011, is_loaded=True), "PostgreSQL before 15 lets only superusers*"),
        (ServerFacts(7, 7, 150_018, is_loaded=False), "auto_explain is not loaded: add it*"),
    ],
)
def test_a_connection_is_watched_where_settings_stay_with_it(facts: ServerFacts, reason: str | None) -> None:
    told = refusal(facts)
    assert told == reason if reason is None else (told or "").startswith(reason.rstrip("*"))


def test_parameters_are_kept_out_of_notices_where_the_server_can() -> None:
    before = settings_query(150_018, min_duration_s=0.25, sample_rate=0.5)
    since = settings_query(160_002, min_duration_s=0.25, sample_rate=0.5)
    assert "set_config('auto_explain.log_min_duration', '250', false)" in before
    assert "set_config('auto_explain.sample_rate', '0.5', false)" in before
    assert "set_config('auto_explain.log_timing', 'off', false)" in before
    assert "log_parameter_max_length" not in before
    assert "set_config('auto_explain.log_parameter_max_length', '0', false)" in since


def notice(text: str, **plan: Any) -> str:
    document = {"Query Text": text, "Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", **plan}}
    return f"duration: 12.345 ms  plan:\n{json.dumps(document, indent=2)}"


def test_a_notice_is_a_plan_without_data() -> None:
    found = read_notice(notice("SELECT 'secret' FROM orders", Filter="(a = 'secret'::text)"))
    assert found is not None
    assert (found.statement.text, found.duration_s) == ("SELECT ? FROM orders", pytest.approx(0.012345))
    assert found.plan.root.details["Filter"] == "(a = ?::text)"
    assert "secret" not in found.document


@pytest.mark.parametrize(
    "message",
    [
        "relation 'orders' already exists, skipping",
        "duration: 1.000 ms",
        "duration: 1.000 ms  plan:\nQuery Text: SELECT 1",
        "duration: 1.000 ms  plan:\n{torn",
        "duration: 1.000 ms  plan:\n{}",
        "",
    ],
)
def test_any_other_notice_is_none(message: str) -> None:
    assert read_notice(message) is None


def span(number: int) -> SpanContext:
    return SpanContext(1, number, is_remote=False, trace_flags=TraceFlags(1))


def test_of_two_statements_alike_the_younger_one_has_the_plan() -> None:
    recent = RecentStatements()
    for number, fingerprint in enumerate(("a", "b", "a", "c"), start=1):
        recent.note(fingerprint, span(number))
    assert recent.find("a") == span(3)
    assert recent.find("d") is None


def test_a_statement_is_forgotten_after_thirty_two_others() -> None:
    recent = RecentStatements()
    recent.note("a", span(1))
    for number in range(32):
        recent.note("b", span(number + 2))
    assert recent.find("a") is None


def test_a_plan_that_cannot_be_read_is_counted_and_costs_nothing(telemetry: Capture) -> None:
    watching = AutoExplain(telemetry.logger_provider.get_logger("test"), min_duration_s=0.5)
    watching.read("duration: 1.000 ms  plan:\n{torn", RecentStatements())
    assert watching.statistics().dropped == 1
    assert telemetry.events() == []


def test_a_connection_of_another_driver_is_not_watched(telemetry: Capture) -> None:
    watching = AutoExplain(telemetry.logger_provider.get_logger("test"), min_duration_s=0.5)
    assert watching.connected(object()) is None
    assert asyncio.run(watching.connected_async(object())) is None


def test_an_error_of_the_driver_stays_with_us(telemetry: Capture, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        autocommit = False

        def add_notice_handler(self, _handler: object) -> None: ...

        def execute(self, _sql: str) -> None:
            raise OSError("the text of it holds 'secret'")

    connection = Broken()
    watching = AutoExplain(telemetry.logger_provider.get_logger("test"), min_duration_s=0.5)
    assert watching.connected(connection) is None
    assert connection.autocommit is False
    assert "OSError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(("mode", "is_watched"), [(PlanMode.AUTO_EXPLAIN, True), (PlanMode.PROBE, False)])
def test_connections_are_watched_if_the_setting_says_so(
    monkeypatch: pytest.MonkeyPatch, mode: PlanMode, is_watched: bool
) -> None:
    monkeypatch.setattr(notices, "_watcher", None)
    distro._watch_plans(bare_pipeline(), Settings(queries=QuerySettings(plans=mode)))
    assert isinstance(notices.watcher(), AutoExplain) is is_watched


def test_watching_ends_when_it_is_undone(monkeypatch: pytest.MonkeyPatch, telemetry: Capture) -> None:
    monkeypatch.setattr(notices, "_watcher", None)
    undo = notices.watch_connections(
        AutoExplain(telemetry.logger_provider.get_logger("test"), min_duration_s=0.5)
    )
    assert notices.watcher() is not None
    undo()
    assert notices.watcher() is None
