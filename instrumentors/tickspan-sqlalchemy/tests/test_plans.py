"""With auto_explain watched, the plan of an engine's statement is an event in its trace, over each driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan.processors.queries import auto_explain
from tickspan.testing import Capture, RecordedLogEvent, RecordedSpan

psycopg2 = pytest.importorskip("psycopg2")

pytestmark = [pytest.mark.integration, pytest.mark.backends]
needs_psycopg = pytest.mark.library("sqlalchemy", at_least=(2, 0))  # 1.4 has no dialect for psycopg 3

PLAN = "db.server.query_plan"
SETTABLE = ("log_min_duration", "log_analyze", "log_timing", "log_format", "log_level", "sample_rate")
SETTING = sqlalchemy.text("SELECT current_setting('auto_explain.log_analyze')")
SELECT = sqlalchemy.text("SELECT id FROM planned WHERE symbol = :symbol")
TEXT = "SELECT id FROM planned WHERE symbol = ?"

Use = Callable[[Any], Any]
Run = Callable[[str, Use], Any]


def run_sync(driver: str) -> Run:
    def run(url: str, use: Use) -> Any:
        engine = sqlalchemy.create_engine(make_url(url).set(drivername=f"postgresql+{driver}"))
        try:
            with engine.connect() as connection:
                return use(connection)
        finally:
            engine.dispose()

    return run


def run_async(driver: str) -> Run:
    def run(url: str, use: Use) -> Any:
        async def main() -> Any:
            engine = create_async_engine(make_url(url).set(drivername=f"postgresql+{driver}"))
            try:
                async with engine.connect() as connection:
                    return await connection.run_sync(use)
            finally:
                await engine.dispose()

        return asyncio.run(main())

    return run


DRIVERS = pytest.mark.parametrize(
    "run",
    [
        pytest.param(run_sync("psycopg"), id="psycopg", marks=needs_psycopg),
        pytest.param(run_async("psycopg_async"), id="psycopg_async", marks=needs_psycopg),
        pytest.param(run_sync("psycopg2"), id="psycopg2"),
        pytest.param(run_async("asyncpg"), id="asyncpg"),
    ],
)


@pytest.fixture(scope="module")
def urls(hypopg_server: Any) -> Generator[dict[str, str]]:
    """Of a database with the table `planned`, for two accounts: one may set auto_explain, one may not."""
    root = hypopg_server.url.rpartition("/")[0]
    granted = ", ".join(f"auto_explain.{name}" for name in SETTABLE)
    _run(
        hypopg_server.url,
        "CREATE DATABASE engine_plans",
        "CREATE ROLE engine_planned LOGIN",
        "CREATE ROLE engine_plain LOGIN",
        f"GRANT SET ON PARAMETER {granted} TO engine_planned",
    )
    _run(
        f"{root}/engine_plans",
        "CREATE TABLE planned (id int, symbol text)",
        "INSERT INTO planned SELECT n, 'S' || n FROM generate_series(1, 100) n",
        "GRANT SELECT ON planned TO PUBLIC",
    )
    yield {
        name: f"{root.replace('postgres@', f'engine_{name}@')}/engine_plans" for name in ("planned", "plain")
    }
    _run(
        hypopg_server.url,
        "DROP DATABASE engine_plans WITH (FORCE)",
        f"REVOKE SET ON PARAMETER {granted} FROM engine_planned",
        "DROP ROLE engine_planned, engine_plain",
    )


def _run(url: str, *texts: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for text in texts:
            cursor.execute(text)
    connection.close()


@pytest.fixture
def watched(telemetry: Capture) -> Generator[None]:
    """As the distribution does with `queries.plans=auto_explain`, for statements of any duration."""
    stop = auto_explain.install(telemetry.logger_provider, 0.0)
    yield
    stop()


def select(connection: Any) -> None:
    assert connection.execute(SELECT, {"symbol": "SECRET"}).all() == []
    connection.execute(sqlalchemy.text("SELECT 1"))
    connection.commit()


def spans(telemetry: Capture) -> list[RecordedSpan]:
    return [span for span in telemetry.spans() if span.name == "SELECT planned"]


def plans(telemetry: Capture) -> list[RecordedLogEvent]:
    found = telemetry.events(PLAN)
    return [event for event in found if event.attributes.get("db.query.summary") == "SELECT planned"]


@DRIVERS
@pytest.mark.usefixtures("watched")
@pytest.mark.library("sqlalchemy", at_least=(2, 0))
def test_a_plan_is_told_in_the_trace_of_its_statement(
    urls: dict[str, str], recorded: Capture, run: Run
) -> None:
    run(urls["planned"], select)
    (span,) = spans(recorded)
    (plan,) = plans(recorded)
    assert (plan.trace_id, plan.span_id) == (span.trace_id, span.span_id)
    assert '"Seq Scan"' in (plan.body or "")
    assert "SECRET" not in repr(recorded.events())


@DRIVERS
@pytest.mark.usefixtures("watched")
def test_each_driver_prepares_its_connection(urls: dict[str, str], recorded: Capture, run: Run) -> None:
    assert run(urls["planned"], lambda connection: connection.execute(SETTING).scalar()) == "on"


@DRIVERS
def test_nothing_is_set_on_a_connection_that_nobody_watches(
    urls: dict[str, str], recorded: Capture, run: Run
) -> None:
    assert run(urls["planned"], lambda connection: connection.execute(SETTING).scalar()) == "off"
    assert recorded.events(PLAN) == []


@DRIVERS
@pytest.mark.usefixtures("watched")
@pytest.mark.library("sqlalchemy", at_least=(2, 0))
def test_an_account_without_the_grant_is_told_of_once_and_goes_on(
    urls: dict[str, str], recorded: Capture, caplog: pytest.LogCaptureFixture, run: Run
) -> None:
    run(urls["plain"], select)
    run(urls["plain"], select)
    assert len(spans(recorded)) == 2
    assert recorded.events(PLAN) == []
    assert caplog.text.count("GRANT SET ON PARAMETER") == 1


@pytest.mark.usefixtures("watched", "recorded")
def test_listeners_to_new_connections_find_them_prepared(urls: dict[str, str]) -> None:
    """Ours is asked before the dialect's, and before an application's."""
    engine = sqlalchemy.create_engine(make_url(urls["planned"]).set(drivername="postgresql+psycopg2"))
    seen: list[tuple[bool, int]] = []

    def connect(connection: Any, _record: Any) -> None:
        seen.append((connection.autocommit, connection.get_transaction_status()))

    event.listen(engine, "connect", connect)
    with engine.connect() as connection:
        assert connection.execute(SETTING).scalar() == "on"
    engine.dispose()
    assert seen == [(False, 0)]


@pytest.mark.usefixtures("watched", "recorded")
@pytest.mark.library("sqlalchemy", at_least=(2, 0))
def test_a_connection_that_two_members_see_is_prepared_once(
    urls: dict[str, str], telemetry: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers = pytest.importorskip("tickspan_dbapi").DbapiInstrumentor()
    seen: list[Any] = []
    prepare = auto_explain.AutoExplain.connected

    def counted(watcher: Any, connection: Any) -> Any:
        seen.append(connection)
        return prepare(watcher, connection)

    monkeypatch.setattr(auto_explain.AutoExplain, "connected", counted)
    drivers.instrument(tracer_provider=telemetry.tracer_provider)
    run_sync("psycopg")(urls["planned"], select)
    drivers.uninstrument()
    assert len(seen) == 1
    assert len(plans(telemetry)) == len(spans(telemetry)) == 1
