"""The same against a real PostgreSQL, through psycopg (blocking, asyncio) and asyncpg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan.testing import Capture, RecordedSpan
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

SQLALCHEMY = tuple(int(part) for part in sqlalchemy.__version__.split(".")[:2])

pytestmark = [pytest.mark.integration, pytest.mark.backends]
needs_psycopg = pytest.mark.library("sqlalchemy", at_least=(2, 0))  # 1.4 has no dialect for psycopg 3

metadata = sqlalchemy.MetaData()
orders = sqlalchemy.Table(
    "orders",
    metadata,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("symbol", sqlalchemy.String, unique=True),
    sqlalchemy.Column("quantity", sqlalchemy.Integer),
)

Scenario = Callable[[Any], Any]
Run = Callable[[Scenario], Any]


def _sync(url: Any) -> Run:
    def run(scenario: Scenario) -> Any:
        engine = sqlalchemy.create_engine(url.set(drivername="postgresql+psycopg"))
        try:
            with engine.connect() as connection:
                return scenario(connection)
        finally:
            engine.dispose()

    return run


def _async(url: Any, driver: str) -> Run:
    def run(scenario: Scenario) -> Any:
        async def main() -> Any:
            engine = create_async_engine(url.set(drivername=f"postgresql+{driver}"))
            try:
                async with engine.connect() as connection:
                    return await connection.run_sync(scenario)
            finally:
                await engine.dispose()

        return asyncio.run(main())

    return run


DRIVERS = [
    pytest.param("psycopg", marks=needs_psycopg),
    pytest.param("psycopg_async", marks=needs_psycopg),
    pytest.param("asyncpg"),
]


@pytest.fixture
def where(postgresql_server: str) -> Mapping[str, Any]:
    url = make_url(postgresql_server)
    return {
        "db.system.name": "postgresql",
        "db.namespace": url.database,
        "server.address": url.host,
        "server.port": url.port,
    }


@pytest.fixture(params=DRIVERS)
def run(request: pytest.FixtureRequest, postgresql_server: str) -> Generator[Run]:
    """Runs a function of a `Connection` on one driver; the table `orders` holds three rows."""
    url = make_url(postgresql_server)
    driver: str = request.param
    runner = _sync(url) if driver == "psycopg" else _async(url, driver)
    runner(_make_tables)
    yield runner
    runner(_drop_tables)


def _make_tables(connection: Any) -> None:
    _drop_tables(connection)
    metadata.create_all(connection)
    rows = [{"symbol": symbol, "quantity": 10} for symbol in ("AAPL", "MSFT", "NVDA")]
    connection.execute(orders.insert(), rows)
    connection.commit()


def _drop_tables(connection: Any) -> None:
    metadata.drop_all(connection)
    connection.commit()


@pytest.fixture
def recorded(telemetry: Capture, run: Run) -> Generator[Capture]:
    """Telemetry of what is run after the tables were made."""
    SQLAlchemyInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    yield telemetry
    SQLAlchemyInstrumentor().uninstrument()


Story = Callable[[Scenario], list[tuple[str, dict[str, Any]]]]


@pytest.fixture
def story(recorded: Capture, run: Run, spans: Callable[[], list[RecordedSpan]]) -> Story:
    """What a scenario leaves, without the queries that the dialect asks on its first connection."""

    def tell(scenario: Scenario) -> list[tuple[str, dict[str, Any]]]:
        def warmed(connection: Any) -> Any:
            recorded.clear()
            return scenario(connection)

        run(warmed)
        return [(span.name, dict(span.attributes)) for span in spans()]

    return tell


def test_a_statement_and_its_transaction(story: Story, where: Mapping[str, Any]) -> None:
    def scenario(connection: Any) -> None:
        query = orders.select().where(orders.c.symbol == "AAPL", orders.c.quantity.in_([10, 20]))
        assert [row.symbol for row in connection.execute(query)] == ["AAPL"]
        connection.execute(orders.update().values(quantity=0).where(orders.c.id == 1))
        connection.commit()

    select, update, commit = story(scenario)
    assert select == (
        "SELECT orders",
        {
            **where,
            "db.query.summary": "SELECT orders",
            "db.query.text": select[1]["db.query.text"],
            "db.response.returned_rows": 1,
        },
    )
    assert select[1]["db.query.text"].replace("::VARCHAR", "").replace("::INTEGER", "") == (
        "SELECT orders.id, orders.symbol, orders.quantity FROM orders "
        "WHERE orders.symbol = ? AND orders.quantity IN (?)"
    )
    assert (update[0], update[1]["tickspan.db.rows_affected"]) == ("UPDATE orders", 1)
    assert commit == (
        "COMMIT",
        {
            **where,
            "db.operation.name": "COMMIT",
            "tickspan.db.transaction.statements": 2,
            "tickspan.db.transaction.writes": 1,
        },
    )


def test_a_refused_row_names_its_constraint_but_not_its_value(recorded: Capture, run: Run) -> None:
    def scenario(connection: Any) -> None:
        recorded.clear()
        with pytest.raises(exc.IntegrityError):
            connection.execute(orders.insert().values(symbol="AAPL"))
        connection.rollback()

    run(scenario)
    insert, rollback = recorded.spans()
    assert insert.description is not None
    assert insert.description.endswith(" 23505 constraint orders_symbol_key table orders")
    assert insert.attributes["error.type"] == insert.attributes["db.response.status_code"] == "23505"
    assert (rollback.name, "AAPL" in repr(recorded.spans())) == ("ROLLBACK", False)


def test_rows_of_a_server_side_cursor_are_counted(story: Story) -> None:
    def scenario(connection: Any) -> None:
        streaming = connection.execution_options(stream_results=True, max_row_buffer=2)
        assert len(list(streaming.execute(sqlalchemy.text("SELECT id FROM orders")))) == 3

    assert [(name, told.get("db.response.returned_rows")) for name, told in story(scenario)] == [
        ("SELECT orders", 3),
        ("ROLLBACK", None),
    ]


def test_two_phases_are_two_spans(recorded: Capture, run: Run) -> None:
    def scenario(connection: Any) -> None:
        transaction = connection.begin_twophase(xid="tickspan-1")
        connection.execute(orders.update().values(quantity=1))
        transaction.prepare()
        transaction.commit()

    run(scenario)
    assert recorded.tree().endswith("UPDATE orders\nPREPARE TRANSACTION\nCOMMIT PREPARED")


def test_a_second_phase_without_a_first_is_an_ordinary_end(recorded: Capture, run: Run) -> None:
    def scenario(connection: Any) -> None:
        transaction = connection.begin_twophase(xid="tickspan-2")
        connection.execute(orders.update().values(quantity=1))
        transaction.rollback()

    run(scenario)
    assert recorded.tree().endswith("UPDATE orders\nROLLBACK")


@pytest.fixture
def everything(telemetry: Capture) -> Generator[Capture]:
    """Telemetry from the first connection on."""
    SQLAlchemyInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    yield telemetry
    SQLAlchemyInstrumentor().uninstrument()


def test_a_cancelled_statement_ends_with_the_cancellation(
    everything: Capture, postgresql_server: str
) -> None:
    async def main() -> None:
        url = make_url(postgresql_server).set(drivername="postgresql+asyncpg")
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            everything.clear()
            sleep = connection.execute(sqlalchemy.text("SELECT pg_sleep(30)"))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(sleep, timeout=0.3)
        await engine.dispose()

    asyncio.run(main())
    cancelled = everything.spans()[0]
    assert (cancelled.name, cancelled.status) == ("SELECT", "error")
    assert cancelled.attributes["error.type"] == "asyncio.exceptions.CancelledError"


@needs_psycopg
def test_a_connection_made_by_the_user_is_still_named(
    everything: Capture, postgresql_server: str, where: Mapping[str, Any]
) -> None:
    psycopg = pytest.importorskip("psycopg")
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(postgresql_server)
    )
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1")).all()
    engine.dispose()
    told = everything.spans()[-2].attributes
    assert {name: told.get(name) for name in where} == where
