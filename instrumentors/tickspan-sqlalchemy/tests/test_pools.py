"""Pools are measured by their own counts, whatever class they are and whatever happens to them."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc, pool
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan.testing import Capture
from tickspan_sqlalchemy import SQLAlchemyInstrumentor

SELECT = sqlalchemy.text("SELECT id FROM orders")
COUNT = "db.client.connection.count"
NAME = {"db.client.connection.pool.name": "book.db"}

Make = Callable[..., Any]


@pytest.fixture
def make(recorded: Capture, book: Path) -> Generator[Make]:
    """Engines over the book with a `QueuePool`, disposed of at the end."""
    engines: list[Any] = []

    def engine(**options: Any) -> Any:
        options = {"poolclass": pool.QueuePool, "future": True, **options}
        # SQLite's connections may be given back by another thread than the one that made them.
        made = sqlalchemy.create_engine(
            f"sqlite:///{book}", connect_args={"check_same_thread": False}, **options
        )
        engines.append(made)
        return made

    yield engine
    for made in engines:
        made.dispose()


def counts(recorded: Capture) -> dict[str, float]:
    """Connections by state, of all pools."""
    return {point.attributes["db.client.connection.state"]: point.value for point in recorded.points(COUNT)}


def value(recorded: Capture, name: str) -> list[tuple[dict[str, Any], float]]:
    return [
        (dict(point.attributes), point.value) for point in recorded.points(f"db.client.connection.{name}")
    ]


def test_connections_are_counted_by_state(recorded: Capture, make: Make) -> None:
    engine = make(pool_size=3, max_overflow=2)
    held = [engine.connect() for _ in range(4)]
    assert counts(recorded) == {"idle": 0, "used": 4}
    held.pop().close()
    held.pop().close()
    assert counts(recorded) == {"idle": 2, "used": 2}
    for connection in held:
        connection.close()
    assert counts(recorded) == {"idle": 3, "used": 0}


def test_the_limits_are_the_pools(recorded: Capture, make: Make) -> None:
    engine = make(pool_size=3, max_overflow=2)
    engine.connect().close()
    limits = {name: value(recorded, name) for name in ("idle.min", "idle.max", "max")}
    assert limits == {"idle.min": [(NAME, 0)], "idle.max": [(NAME, 3)], "max": [(NAME, 5)]}


def test_a_pool_without_a_limit_tells_none(recorded: Capture, make: Make) -> None:
    engine = make(pool_size=3, max_overflow=-1)
    engine.connect().close()
    assert (value(recorded, "max"), value(recorded, "idle.max")) == ([], [(NAME, 3)])


@pytest.mark.parametrize("poolclass", [pool.NullPool, pool.StaticPool, pool.SingletonThreadPool])
def test_a_pool_that_does_not_count_tells_no_counts(recorded: Capture, make: Make, poolclass: Any) -> None:
    engine = make(poolclass=poolclass)
    with engine.connect() as connection:
        connection.execute(SELECT).all()
    assert counts(recorded) == {}
    assert [
        (point.attributes, point.count) for point in recorded.points("db.client.connection.use_time")
    ] == [(NAME, 1)]


def test_counts_stay_right_after_detach_invalidate_and_dispose(recorded: Capture, make: Make) -> None:
    engine = make(pool_size=3)
    detached, invalid, kept = (engine.connect() for _ in range(3))
    detached.detach()
    invalid.invalidate()
    assert counts(recorded) == {"idle": engine.pool.checkedin(), "used": engine.pool.checkedout()}
    detached.close()
    invalid.close()
    kept.close()
    assert counts(recorded) == {"idle": engine.pool.checkedin(), "used": 0}
    engine.dispose()
    gc.collect()
    engine.connect().close()
    assert counts(recorded) == {"idle": 1, "used": 0}


def test_pools_of_one_name_are_added_up(recorded: Capture, make: Make) -> None:
    first, second = make(pool_logging_name="main"), make(pool_logging_name="main")
    with first.connect(), second.connect(), second.connect():
        assert value(recorded, "count") == [
            ({"db.client.connection.pool.name": "main", "db.client.connection.state": "idle"}, 0),
            ({"db.client.connection.pool.name": "main", "db.client.connection.state": "used"}, 3),
        ]


def test_a_connection_is_made_once_and_used_twice(recorded: Capture, make: Make) -> None:
    engine = make()
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(SELECT).all()
    measured = {
        name: [(point.attributes, point.count) for point in recorded.points(f"db.client.connection.{name}")]
        for name in ("create_time", "wait_time", "use_time")
    }
    assert measured == {"create_time": [(NAME, 1)], "wait_time": [(NAME, 2)], "use_time": [(NAME, 2)]}


def test_the_wait_is_without_the_making_of_the_connection(recorded: Capture, book: Path) -> None:
    def slow() -> Any:
        import sqlite3

        time.sleep(0.1)
        return sqlite3.connect(book)

    engine = sqlalchemy.create_engine("sqlite://", creator=slow, poolclass=pool.QueuePool)
    with engine.connect() as connection:
        connection.execute(SELECT).all()
    engine.dispose()
    (made,) = recorded.points("db.client.connection.create_time")
    (waited,) = recorded.points("db.client.connection.wait_time")
    assert (made.value >= 0.1, waited.value < 0.1) == (True, True)
    assert recorded.spans()[0].attributes["tickspan.db.pool.wait"] == waited.value


def test_a_recycled_connection_is_made_again(recorded: Capture, make: Make) -> None:
    engine = make()
    with engine.connect() as connection:
        connection.connection.invalidate(soft=True)
    engine.connect().close()
    assert [point.count for point in recorded.points("db.client.connection.create_time")] == [2]


def test_who_waits_is_pending_and_who_waits_in_vain_is_a_timeout(recorded: Capture, make: Make) -> None:
    engine = make(pool_size=1, max_overflow=0, pool_timeout=0.5)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            engine.connect()
        except exc.TimeoutError as error:
            raised.append(error)

    with engine.connect():
        waiter = threading.Thread(target=wait)
        waiter.start()
        seen: set[float] = set()
        while waiter.is_alive():
            seen.update(amount for _, amount in value(recorded, "pending_requests"))
        waiter.join()
    assert (max(seen), len(raised)) == (1, 1)
    assert value(recorded, "timeouts") == [(NAME, 1)]
    assert value(recorded, "pending_requests") == [(NAME, 0)]


def test_only_the_first_statement_after_a_checkout_tells_the_wait(recorded: Capture, make: Make) -> None:
    engine = make()
    with engine.connect() as connection:
        connection.execute(SELECT).all()
        connection.execute(SELECT).all()
    with engine.connect() as connection:
        connection.execute(SELECT).all()
    told = ["tickspan.db.pool.wait" in span.attributes for span in recorded.spans()]
    assert told == [True, False, False, True, False]


def test_asyncio_is_measured_alike(recorded: Capture, book: Path) -> None:
    async def main() -> dict[str, float]:
        engine = create_async_engine(f"sqlite+aiosqlite:///{book}", poolclass=None)
        async with engine.connect() as connection:
            await connection.execute(SELECT)
            found = counts(recorded)
        await engine.dispose()
        return found

    during = asyncio.run(main())
    assert during in ({"idle": 0, "used": 1}, {})  # SQLAlchemy 1.4 has a pool without counts here
    assert [point.count for point in recorded.points("db.client.connection.wait_time")] == [1]


def test_an_engine_that_is_not_told_has_no_pool_metrics(telemetry: Capture, book: Path) -> None:
    told, untold = (sqlalchemy.create_engine(f"sqlite:///{book}", poolclass=pool.QueuePool) for _ in range(2))
    SQLAlchemyInstrumentor().instrument(engine=told, meter_provider=telemetry.meter_provider)
    untold.connect().close()
    assert counts(telemetry) == {}
    told.connect().close()
    assert counts(telemetry) == {"idle": 1, "used": 0}
    SQLAlchemyInstrumentor().uninstrument()
    assert counts(telemetry) == {}
    told.dispose()
    untold.dispose()
