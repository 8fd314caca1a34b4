"""A connection that is held too long is told of with its holder, and again when it comes back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from tickspan.instrumentation.watch import process_watch
from tickspan.pools import (
    GovernedPool,
    create_broker_pool,
    create_database_pool,
    expect_long_hold,
    get_connection_context,
    govern,
)
from tickspan.pools import governor as governing
from tickspan.testing import Capture

Make = Callable[..., Any]
HOLD_S = 0.01


def suspect(pool: GovernedPool) -> None:
    """Look, after everybody has held for too long; the watch itself would, once a second."""
    time.sleep(2 * HOLD_S)
    pool.governor.look()


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch does not look by itself."""

    def ignore(_watched: object) -> None:
        """Nothing is watched."""

    monkeypatch.setattr(process_watch(), "add", ignore)


def test_a_long_hold_is_told_once_with_its_holder_and_its_late_return(
    told: Capture, make_engine: Make
) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", max_hold_s=HOLD_S)
    with told.tracer_provider.get_tracer("test").start_as_current_span("report"):
        connection = engine.connect()
    suspect(pool)
    suspect(pool)
    (holder,) = pool.statistics().holders
    connection.close()
    suspected, cleared = told.events()
    assert (suspected.name, cleared.name) == ("tickspan.pool.leak_suspected", "tickspan.pool.leak_cleared")
    assert {
        name: suspected.attributes[name] for name in list(suspected.attributes) if "held" not in name
    } == {
        "db.client.connection.pool.name": "main_db",
        "tickspan.pool.holder": "MainThread",
        "tickspan.pool.holder.state": "alive",
        "tickspan.pool.holder.span_id": "0000000000000001",
        "tickspan.pool.holder.position": suspected.attributes["tickspan.pool.holder.position"],
        "tickspan.pool.holder.position.kind": "now",
    }
    assert (holder.holder, holder.is_alive, holder.is_suspected) == ("MainThread", True, True)
    assert [point.value for point in told.points("tickspan.pool.leaks")] == [1]
    assert pool.statistics().leaks == 1


def test_after_a_suspicion_it_is_known_where_connections_were_taken(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", max_hold_s=HOLD_S)
    first = engine.connect()
    suspect(pool)

    def takes_a_connection() -> Any:
        return engine.connect()

    second = takes_a_connection()
    suspect(pool)
    first.close()
    second.close()
    event = told.events("tickspan.pool.leak_suspected")[-1]
    (innermost, caller, *_) = event.attributes["tickspan.pool.holder.position"]  # type: ignore[misc] # a tuple of texts
    assert str(innermost).startswith(
        "test_after_a_suspicion_it_is_known_where_connections_were_taken.<locals>.takes_a_connection"
        " (pools/test_leaks.py:"
    )
    assert str(caller).startswith("test_after_a_suspicion_it_is_known_where_connections_were_taken (")
    assert event.attributes["tickspan.pool.holder.position.kind"] == "taken"


def test_what_is_expected_is_not_told(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", max_hold_s=HOLD_S)
    with expect_long_hold(), engine.connect():
        suspect(pool)
    assert told.events() == []


def test_a_thread_that_is_dead_is_told_as_dead_and_its_connection_taken_back_where_that_is_asked_for(
    told: Capture, make_engine: Make
) -> None:
    engine = make_engine(pool_size=1)
    pool = govern(engine, name="main_db", max_hold_s=HOLD_S, reclaim="dead", is_fair=True)
    held: list[Any] = []
    thread = threading.Thread(target=lambda: held.append(engine.raw_connection()), name="report")
    thread.start()
    thread.join()
    suspect(pool)
    (event, _cleared) = told.events()
    assert (event.attributes["tickspan.pool.holder"], event.attributes["tickspan.pool.holder.state"]) == (
        "report",
        "dead",
    )
    with get_connection_context("main_db", timeout_s=1) as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
    assert (engine.pool.checkedout(), pool.statistics().closed) == (0, {"dead_holder": 1})


def test_who_is_alive_keeps_what_it_holds(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", max_hold_s=HOLD_S, reclaim="dead")
    with engine.connect() as connection:
        suspect(pool)
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
    assert pool.statistics().closed == {}


def test_a_task_that_is_finished_loses_what_it_holds(told: Capture, tmp_path: Path) -> None:
    async def main() -> tuple[Any, ...]:
        pool = create_database_pool(
            "main_db",
            f"sqlite+aiosqlite:///{tmp_path}/x.db",
            max_connections=1,
            max_hold_s=HOLD_S,
            reclaim="dead",
        )
        kept: list[Any] = []

        async def leak() -> None:
            context = get_connection_context("main_db")
            kept.extend([context, await context.__aenter__()])

        await asyncio.create_task(leak(), name="report")
        suspect(pool)
        async with get_connection_context("main_db", timeout_s=5) as connection:
            answer = (await connection.execute(sqlalchemy.text("SELECT 1"))).scalar()
        found = (answer, pool.statistics().used, pool.statistics().closed)
        await pool.dispose()
        return found

    assert asyncio.run(main()) == (1, 0, {"dead_holder": 1})
    assert told.events()[0].attributes["tickspan.pool.holder.state"] == "dead"


def test_a_broker_connection_of_a_dead_thread_is_closed_and_its_place_is_free(told: Capture) -> None:
    class Connection:
        closed = False

        def close(self) -> None:
            self.closed = True

    pool = create_broker_pool("alpaca", Connection, max_connections=1, max_hold_s=HOLD_S, reclaim="dead")
    taken: list[Any] = []
    thread = threading.Thread(target=lambda: taken.append(get_connection_context("alpaca").__enter__()))
    thread.start()
    thread.join()
    time.sleep(2 * HOLD_S)
    pool._governor.look()
    with get_connection_context("alpaca", timeout_s=5) as connection:
        assert connection is not taken[0]
    assert (taken[0].closed, pool.statistics().used, pool.statistics().closed) == (
        True,
        0,
        {"dead_holder": 1},
    )


def test_a_pool_that_its_load_does_not_fit_is_told_what_would(
    told: Capture, make_engine: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(governing, "WINDOW_S", 0.05)
    engine = make_engine(pool_size=1)
    pool = govern(engine, name="main_db")
    began_s = time.monotonic()
    lent = 0
    while lent < 40 or time.monotonic() - began_s < 0.06:
        with engine.connect():
            time.sleep(0.0015)
        lent += 1
    pool.governor.look()
    pool.governor.look()
    (event,) = told.events()
    assert (event.name, event.attributes["tickspan.pool.max"]) == ("tickspan.pool.advice", 1)
    assert event.attributes["tickspan.pool.advised_size"] == pool.statistics().advised_size
    assert pool.statistics().advised_size in {3, 4}
