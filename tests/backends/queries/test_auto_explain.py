"""Plans of auto_explain on raw connections of psycopg and asyncpg, each in the trace of its statement."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import asyncpg
import psycopg
import pytest
from opentelemetry.trace import SpanContext, TraceFlags
from probed_database import Probed

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.processors.queries.auto_explain import AutoExplain, Watch
from tickspan.testing import Capture, RecordedLogEvent

pytestmark = pytest.mark.backends

_SETTABLE = (
    *("log_min_duration", "log_analyze", "log_timing", "log_format", "log_level", "sample_rate"),
    "log_parameter_max_length",
)
_SQL = "SELECT id FROM orders WHERE symbol = 'SECRET' AND price < 123456"
_FINGERPRINT = canonicalise(_SQL, Dialect.POSTGRESQL).fingerprint
_SPAN = SpanContext(0xA1, 0xB2, is_remote=False, trace_flags=TraceFlags(1))
_OTHER = SpanContext(0xA1, 0xC3, is_remote=False, trace_flags=TraceFlags(1))


@pytest.fixture(scope="module")
def trader(probed: Probed) -> str:
    """The URL of an account that may set auto_explain."""
    with psycopg.connect(probed.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE ROLE trader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO trader")
        settable = ", ".join(
            f"auto_explain.{name}" for name in _SETTABLE if name != "log_parameter_max_length"
        )
        connection.execute(f"GRANT SET ON PARAMETER {settable} TO trader".encode())
    return probed.url("trader")


@pytest.fixture
def watching(telemetry: Capture) -> AutoExplain:
    return AutoExplain(telemetry.logger_provider.get_logger("test"), min_duration_s=0.0)


def plans(telemetry: Capture) -> list[RecordedLogEvent]:
    return telemetry.events("db.server.query_plan")


def of_orders(telemetry: Capture) -> list[RecordedLogEvent]:
    """Plans of the application's own statements: a driver asks the catalog, too."""
    return [event for event in plans(telemetry) if event.attributes["db.query.summary"] == "SELECT orders"]


def watched(watch: Watch | None) -> Watch:
    assert watch is not None
    return watch


def ids(event: RecordedLogEvent) -> tuple[int, int]:
    return event.trace_id, event.span_id


def test_a_plan_is_an_event_in_the_trace_of_its_statement(
    telemetry: Capture, watching: AutoExplain, trader: str
) -> None:
    with psycopg.connect(trader, autocommit=True) as connection:
        watch = watched(watching.connected(connection))
        watch.started(_FINGERPRINT, _SPAN)
        connection.execute(_SQL)
    (event,) = plans(telemetry)
    assert ids(event) == (_SPAN.trace_id, _SPAN.span_id)
    told = dict(event.attributes)
    assert told.pop("tickspan.db.plan.duration") > 0
    assert told.pop("tickspan.db.plan.cost") > 0
    assert len(told.pop("tickspan.db.plan.hash")) == 16
    assert told == {
        "db.system.name": "postgresql",
        "db.query.text": "SELECT id FROM orders WHERE symbol = ? AND price < ?",
        "db.query.summary": "SELECT orders",
        "tickspan.db.query.fingerprint": _FINGERPRINT,
        "tickspan.db.plan.source": "auto_explain",
    }


def test_the_body_is_the_measured_plan_without_data(
    telemetry: Capture, watching: AutoExplain, trader: str
) -> None:
    with psycopg.connect(trader, autocommit=True) as connection:
        watched(watching.connected(connection))
        connection.execute(_SQL)
    (event,) = plans(telemetry)
    document = json.loads(event.body or "")
    root: dict[str, Any] = document["Plan"]
    assert (root["Node Type"], root["Relation Name"], root["Actual Rows"]) == ("Seq Scan", "orders", 0)
    assert root["Filter"] == "((price < ?::numeric) AND (symbol = ?::text))"
    assert "SECRET" not in (event.body or "")
    assert "123456" not in (event.body or "")


def test_a_plan_that_comes_with_the_next_command_belongs_to_its_own_statement(
    telemetry: Capture, watching: AutoExplain, trader: str
) -> None:
    sql = "SELECT id FROM orders WHERE symbol = %s"
    with psycopg.connect(trader) as connection:
        watch = watched(watching.connected(connection))
        watch.started(canonicalise(sql, Dialect.POSTGRESQL).fingerprint, _SPAN)
        connection.execute(sql, ["SECRET"])
        before = len(plans(telemetry))
        watch.started(canonicalise("SELECT 1", Dialect.POSTGRESQL).fingerprint, _OTHER)
        connection.commit()
    assert before == 0
    assert [ids(event) for event in plans(telemetry)] == [(_SPAN.trace_id, _SPAN.span_id)]


def test_a_plan_of_an_unknown_statement_belongs_to_no_trace(
    telemetry: Capture, watching: AutoExplain, trader: str
) -> None:
    with psycopg.connect(trader, autocommit=True) as connection:
        watched(watching.connected(connection))
        connection.execute(_SQL)
    assert [ids(event) for event in plans(telemetry)] == [(0, 0)]
    assert watching.statistics().unmatched == 1


def test_a_connection_is_handed_over_as_it_came(watching: AutoExplain, trader: str) -> None:
    with psycopg.connect(trader) as connection:
        watched(watching.connected(connection))
        assert not connection.autocommit
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_notices_of_others_are_left_alone(telemetry: Capture, watching: AutoExplain, trader: str) -> None:
    heard: list[str | None] = []
    with psycopg.connect(trader, autocommit=True) as connection:
        connection.add_notice_handler(lambda diagnostic: heard.append(diagnostic.message_primary))
        watched(watching.connected(connection))
        connection.execute("DO $$ BEGIN RAISE NOTICE 'mine'; END $$")
    assert "mine" in heard
    assert not any("mine" in (event.body or "") for event in plans(telemetry))


def test_psycopgs_asynchronous_connection_tells_the_same(
    telemetry: Capture, watching: AutoExplain, trader: str
) -> None:
    async def trade() -> None:
        async with await psycopg.AsyncConnection.connect(trader) as connection:
            watch = watched(await watching.connected_async(connection))
            watch.started(_FINGERPRINT, _SPAN)
            await connection.execute(_SQL)
            await connection.commit()

    asyncio.run(trade())
    assert [ids(event) for event in plans(telemetry)] == [(_SPAN.trace_id, _SPAN.span_id)]


def test_asyncpg_tells_the_same_inside_a_transaction(
    telemetry: Capture, watching: AutoExplain, trader: str
) -> None:
    sql = "SELECT id FROM orders WHERE symbol = $1"

    async def trade() -> None:
        connection = await asyncpg.connect(trader)
        watch = watched(await watching.connected_async(connection))
        async with connection.transaction():
            watch.started(canonicalise(sql, Dialect.POSTGRESQL).fingerprint, _SPAN)
            await connection.fetch(sql, "SECRET")
        await connection.close()

    asyncio.run(trade())
    assert [ids(event) for event in of_orders(telemetry)] == [(_SPAN.trace_id, _SPAN.span_id)]


def test_a_pool_of_asyncpg_that_resets_a_connection_leaves_it_watched(
    telemetry: Capture, watching: AutoExplain, trader: str
) -> None:
    watches: list[Watch] = []

    async def trade() -> None:
        async with asyncpg.create_pool(trader, min_size=1, max_size=1, connect=connect) as pool:
            async with pool.acquire() as connection:
                await connection.execute("SELECT 1")
                watches[0].released(connection)
            async with pool.acquire() as connection:
                watches[0].acquired(connection)
                watches[0].started(_FINGERPRINT, _SPAN)
                await connection.fetch(_SQL)
                watches[0].released(connection)

    async def connect(*args: Any, **options: Any) -> Any:
        connection = await asyncpg.connect(*args, **options)
        watches.append(watched(await watching.connected_async(connection)))
        return connection

    asyncio.run(trade())
    assert [ids(event) for event in of_orders(telemetry)] == [(_SPAN.trace_id, _SPAN.span_id)]


def test_an_account_without_the_grant_goes_on_without_plans(
    telemetry: Capture, watching: AutoExplain, probed: Probed, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(probed.url("prober"), autocommit=True) as connection:
        assert watching.connected(connection) is None
        assert connection.execute("SELECT count(*) FROM fills").fetchall() == [(0,)]
    assert plans(telemetry) == []
    assert "GRANT SET ON PARAMETER" in caplog.text


def test_five_plans_a_second_are_read_and_the_others_counted(telemetry: Capture, trader: str) -> None:
    watching = AutoExplain(
        telemetry.logger_provider.get_logger("test"), min_duration_s=0.0, monotonic_s=lambda: 7.0
    )
    with psycopg.connect(trader, autocommit=True) as connection:
        watched(watching.connected(connection))
        for _ in range(9):
            connection.execute(_SQL)
    assert len(plans(telemetry)) == 5
    assert watching.statistics().dropped == 4
