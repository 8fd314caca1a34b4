"""A pool of SQLAlchemy under a name: counts are its own, turns are fair, lanes are kept, nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest
import sqlalchemy
from sqlalchemy import exc

from tickspan.config import PoolSettings
from tickspan.pools import (
    GovernedPool,
    create_database_pool,
    defaults,
    get_connection_context,
    get_pool,
    get_pools,
    govern,
    lane,
    release,
)
from tickspan.testing import Capture

Make = Callable[..., Any]
SELECT = sqlalchemy.text("SELECT 1")


def states(told: Capture) -> dict[str, float]:
    points = told.points("db.client.connection.count")
    return {str(point.attributes["db.client.connection.state"]): point.value for point in points}


def values(told: Capture, name: str) -> list[float | int | None]:
    return [point.value for point in told.points(f"db.client.connection.{name}")]


def times(told: Capture) -> dict[str, list[int | None]]:
    return {
        name: [point.count for point in told.points(f"db.client.connection.{name}")]
        for name in ("create_time", "wait_time", "use_time")
    }


def gate_of(pool: GovernedPool) -> Any:
    assert pool.governor.gate is not None
    return pool.governor.gate


async def turns(condition: Callable[[], bool]) -> None:
    """Give other tasks their turn until `condition` holds."""
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0)


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.001)


def test_all_nine_metrics_are_there(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    govern(engine, name="main_db", is_fair=True)
    with engine.connect() as connection:
        connection.execute(SELECT)
        during = states(told)
    with engine.connect(), engine.connect(), pytest.raises(exc.TimeoutError):
        get_connection_context("main_db", timeout_s=0.01).__enter__()
    limits = {
        name: values(told, name) for name in ("idle.min", "idle.max", "max", "pending_requests", "timeouts")
    }
    assert during == {"idle": 0, "used": 1}
    assert limits == {"idle.min": [0], "idle.max": [2], "max": [2], "pending_requests": [0], "timeouts": [1]}
    assert times(told) == {"create_time": [2], "wait_time": [3], "use_time": [3]}
    names = {
        point.attributes["db.client.connection.pool.name"]
        for point in told.points("db.client.connection.max")
    }
    assert names == {"main_db"}


def test_a_url_makes_an_engine_whose_connection_is_lent(told: Capture, tmp_path: Path) -> None:
    pool = create_database_pool("main_db", f"sqlite:///{tmp_path}/x.db", max_connections=3)
    with get_connection_context("main_db") as connection:
        assert (connection.execute(SELECT).scalar(), repr(pool)) == (
            1,
            "<GovernedPool main_db, 1 of 3 used, 0 waiting>",
        )
    told_of_itself = pool.statistics()
    assert (told_of_itself.used, told_of_itself.idle, told_of_itself.max) == (0, 1, 3)
    assert (told_of_itself.lent, told_of_itself.created, told_of_itself.timeouts) == (1, 1, 0)
    pool.dispose()


def test_counts_follow_the_pool_through_detach_invalidate_and_recycle(
    told: Capture, make_engine: Make
) -> None:
    engine = make_engine(pool_size=3, pool_recycle=0)
    pool = govern(engine, name="main_db", is_fair=True)
    detached, invalid, kept = (engine.connect() for _ in range(3))
    detached.detach()
    invalid.invalidate()
    assert states(told) == {"idle": engine.pool.checkedin(), "used": engine.pool.checkedout()}
    for connection in (detached, invalid, kept):
        connection.close()
    assert states(told) == {"idle": engine.pool.checkedin(), "used": 0}
    for _ in range(3):
        engine.connect().close()
    assert (gate_of(pool).free, states(told)["used"], pool.statistics().holders) == (3, 0, ())


def test_an_engine_is_followed_to_the_pool_that_it_gets_when_it_is_disposed_of(
    told: Capture, make_engine: Make
) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", is_fair=True)
    before, out = engine.pool, engine.connect()
    engine.dispose()
    with engine.connect(), engine.connect():
        assert (states(told)["used"], gate_of(pool).free) == (engine.pool.checkedout(), 0) == (2, 0)
    out.close()
    before.dispose()
    del before, out
    gc.collect()
    assert (states(told), gate_of(pool).free) == ({"idle": 2, "used": 0}, 2)


def test_a_pool_that_is_disposed_of_itself_lets_in_as_many_as_it_has_room_for(
    told: Capture, make_engine: Make
) -> None:
    engine = make_engine()
    govern(engine, name="main_db", is_fair=True)
    lost = [engine.connect() for _ in range(2)]
    engine.pool.dispose()
    with get_connection_context("main_db", timeout_s=1), get_connection_context("main_db", timeout_s=1):
        assert states(told)["used"] == engine.pool.checkedout() == 2
    for connection in lost:
        connection.close()
    assert states(told)["used"] == engine.pool.checkedout()


def test_a_connection_that_nobody_has_any_more_comes_back(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", is_fair=True)
    connection = engine.raw_connection()
    del connection
    gc.collect()
    assert (states(told)["used"], gate_of(pool).free, pool.statistics().holders) == (0, 2, ())


def test_a_forked_child_goes_on_with_its_own_copy(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", is_fair=True)
    engine.connect().close()
    child = os.fork()
    if not child:  # pragma: no cover - in the child
        code = 1
        try:
            engine.dispose(close=False)
            with engine.connect(), get_connection_context("main_db", timeout_s=1):
                is_right = (engine.pool.checkedout(), gate_of(pool).free, pool.statistics().used) == (2, 0, 2)
            code = 0 if is_right and engine.pool.checkedout() == 0 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("give_back", ["close", "detach"])
def test_a_connection_that_is_lent_again_at_once_is_known_by_its_new_holder(
    told: Capture, make_engine: Make, give_back: str
) -> None:
    class Hasty(sqlalchemy.pool.QueuePool):
        """Lends a record before whoever gave it back goes on."""

        waiting: ClassVar[list[Callable[[], Any]]] = []

        def _do_return_conn(self, record: Any) -> None:
            super()._do_return_conn(record)
            while self.waiting:
                taken.append(self.waiting.pop()())

    taken: list[Any] = []
    engine = make_engine(poolclass=Hasty)
    pool = govern(engine, name="main_db", max_hold_s=60)
    first = engine.raw_connection()
    driver = first.dbapi_connection
    assert driver is not None
    Hasty.waiting.append(engine.raw_connection)
    getattr(first, give_back)()
    assert [holder.holder for holder in pool.statistics().holders] == ["MainThread"]
    taken[0].close()
    assert pool.statistics().holders == ()
    driver.close()  # what is detached is nobody's else


def test_who_waits_in_a_parent_does_not_wait_in_its_child(told: Capture, make_engine: Make) -> None:
    engine = make_engine(pool_size=1)
    pool = govern(engine, name="main_db", is_fair=True)
    held = engine.connect()
    waiting = threading.Thread(target=lambda: engine.connect().close())
    waiting.start()
    until(lambda: gate_of(pool).waiting == 1)
    child = os.fork()
    if not child:  # pragma: no cover - in the child
        code = 1
        try:
            held.close()
            with engine.connect():
                is_right = (pool.statistics().pending, gate_of(pool).free, gate_of(pool).waiting) == (0, 0, 0)
            code = 0 if is_right and gate_of(pool).free == 1 else 2
        finally:
            os._exit(code)
    held.close()
    waiting.join(5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_who_waits_longest_is_next(told: Capture, make_engine: Make) -> None:
    engine = make_engine(pool_size=1)
    pool = govern(engine, name="main_db", is_fair=True)
    order: list[int] = []

    def use(number: int) -> None:
        with engine.connect():
            order.append(number)

    held = engine.connect()
    threads: list[threading.Thread] = []
    for number in range(5):
        threads.append(threading.Thread(target=use, args=(number,)))
        threads[-1].start()
        until(lambda number=number: gate_of(pool).waiting == number + 1)
    held.close()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]


def test_eight_threads_on_two_connections_wait_less_than_five_rounds(
    told: Capture, make_engine: Make
) -> None:
    """A round: each of the threads once. It is counted, not timed: a busy machine stops all of them alike."""
    engine = make_engine(pool_size=2)
    govern(engine, name="main_db", is_fair=True)
    rounds = 20
    lent: list[None] = []
    waits: list[int] = []

    def use() -> None:
        for _ in range(rounds):
            before = len(lent)
            with engine.connect():
                waits.append(len(lent) - before)
                lent.append(None)
                time.sleep(0.001)

    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(use)
    assert len(waits) == 8 * rounds
    assert max(waits) < 5 * 8


def test_reports_do_not_starve_orders(told: Capture, make_engine: Make) -> None:
    engine = make_engine(pool_size=3)
    govern(engine, name="main_db", lanes={"orders": 1})
    with get_connection_context("main_db"), get_connection_context("main_db"):
        with pytest.raises(exc.TimeoutError), get_connection_context("main_db", timeout_s=0.01):
            pass
        with get_connection_context("main_db", timeout_s=0.01, lane="orders") as connection:
            assert connection.execute(SELECT).scalar() == 1


def test_a_lane_is_also_for_those_who_use_the_engine(told: Capture, make_engine: Make) -> None:
    engine = make_engine(pool_size=2, pool_timeout=0.01)
    govern(engine, name="main_db", lanes={"orders": 1})
    with engine.connect():
        with pytest.raises(exc.TimeoutError):
            engine.connect()
        with lane("orders"), engine.connect() as connection:
            assert connection.execute(SELECT).scalar() == 1


def test_the_lane_that_is_current_is_asked_for_where_no_other_is_named(
    told: Capture, make_engine: Make
) -> None:
    engine = make_engine()
    govern(engine, name="main_db", lanes={"orders": 1})
    govern(make_engine(), name="other_db", is_fair=True)
    with engine.connect(), lane("orders"):
        with get_connection_context("main_db", timeout_s=0.01) as connection:
            assert connection.execute(SELECT).scalar() == 1
        with get_connection_context("other_db") as connection:
            assert connection.execute(SELECT).scalar() == 1


def test_a_pool_that_has_other_lanes_names_them(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", lanes={"orders": 1})
    with lane("reports"), pytest.raises(ValueError, match="no lane 'reports'; its lanes: orders"):
        engine.connect()
    assert gate_of(pool).free == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_connections": 0}, "max_connections: expected a whole number, at least 1, got 0"),
        ({"max_connections": "5"}, "max_connections: expected a whole number, at least 1, got '5'"),
        ({"timeout_s": "1"}, "timeout_s: expected seconds, got '1'"),
        ({"max_hold_s": "60"}, "max_hold_s: expected seconds above 0, or None, got '60'"),
        ({"lanes": ["orders"]}, "lanes: expected names and how many connections each has"),
        ({"lanes": {"orders": "1"}}, "lanes: expected names and how many connections each has"),
    ],
)
def test_an_argument_that_is_wrong_is_named(told: Capture, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_database_pool("main_db", "sqlite:///nowhere.db", **wrong)
    assert get_pools() == ()


def test_a_database_in_memory_lets_nobody_wait(told: Capture) -> None:
    pool = create_database_pool("main_db", "sqlite://", max_connections=2)
    with get_connection_context("main_db", timeout_s=1.0) as connection:
        assert connection.execute(SELECT).scalar() == 1
    pool.dispose()


def test_a_context_that_holds_a_connection_is_not_entered_again(told: Capture, make_engine: Make) -> None:
    pool = govern(make_engine(), name="main_db")
    context = get_connection_context("main_db")
    with context, pytest.raises(RuntimeError, match="call get_connection_context again"):
        context.__enter__()
    with context as connection:
        assert connection.execute(SELECT).scalar() == 1
    assert pool.statistics().used == 0


def test_a_wish_for_something_else_than_seconds_is_refused(told: Capture, make_engine: Make) -> None:
    govern(make_engine(), name="main_db", is_fair=True)
    soon: Any = "soon"
    with pytest.raises(ValueError, match="timeout_s: expected seconds, got 'soon'"):
        get_connection_context("main_db", timeout_s=soon)


def test_a_connection_of_a_pool_that_is_released_meanwhile_lets_the_next_in(
    told: Capture, make_engine: Make
) -> None:
    pool = govern(make_engine(pool_size=1), name="main_db", is_fair=True)
    engine, gate = pool.target, gate_of(pool)
    first = engine.connect()

    def use() -> Any:
        with engine.connect() as connection:
            return connection.execute(SELECT).scalar()

    with ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(use) for _ in range(3)]
        until(lambda: gate.waiting == 3)
        release("main_db")
        first.close()
        assert [answer.result(3) for answer in answers] == [1, 1, 1]


def test_the_time_out_is_sqlalchemys_own(told: Capture, make_engine: Make) -> None:
    plain, fair = make_engine(pool_size=1, pool_timeout=0.01), make_engine(pool_size=1, pool_timeout=0.01)
    govern(fair, name="main_db", is_fair=True)
    messages: list[str] = []
    for engine in (plain, fair):
        with engine.connect(), pytest.raises(exc.TimeoutError) as raised:
            engine.connect()
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_old_connections_are_replaced_when_they_are_used_next(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", max_lifetime_s=0.02)
    with engine.connect() as connection:
        first = connection.connection.dbapi_connection
    time.sleep(0.03)
    with engine.connect() as connection:
        assert connection.connection.dbapi_connection is not first
    assert pool.statistics().closed == {"lifetime": 1}
    assert [point.attributes for point in told.points("tickspan.pool.connections.closed")] == [
        {"db.client.connection.pool.name": "main_db", "tickspan.pool.close.reason": "lifetime"}
    ]


def test_what_was_idle_for_long_is_asked_and_replaced_if_it_does_not_answer(
    told: Capture, make_engine: Make
) -> None:
    engine = make_engine()
    pool = govern(engine, name="main_db", ping_after_idle_s=0.25)
    with engine.connect() as connection:
        first = connection.connection.dbapi_connection
    assert first is not None
    engine.connect().close()
    assert told.points("tickspan.pool.health_check.duration") == []
    time.sleep(0.3)
    first.close()
    with engine.connect() as connection:
        assert connection.execute(SELECT).scalar() == 1
    assert (pool.statistics().closed, engine.pool.checkedout()) == ({"unhealthy": 1}, 0)
    assert [point.count for point in told.points("tickspan.pool.health_check.duration")] == [1]


def test_a_long_wait_stands_on_the_span_of_who_waited(told: Capture, make_engine: Make) -> None:
    engine = make_engine(pool_size=1)
    govern(engine, name="main_db", is_fair=True)
    held = engine.connect()
    timer = threading.Timer(0.03, held.close)
    timer.start()
    with told.tracer_provider.get_tracer("test").start_as_current_span("order"):
        engine.connect().close()
        engine.connect().close()
    timer.join()
    ((event,),) = [span.events for span in told.spans()]
    assert (event.name, event.attributes["db.client.connection.pool.name"]) == ("connection wait", "main_db")
    waited_s = event.attributes["tickspan.pool.wait"]
    assert isinstance(waited_s, float)
    assert waited_s > 0.01


def test_asyncio_waits_in_turn_and_a_cancelled_request_hands_on_its_turn(
    told: Capture, tmp_path: Path
) -> None:
    async def main() -> tuple[list[int], Any, bool]:
        pool = create_database_pool("main_db", f"sqlite+aiosqlite:///{tmp_path}/x.db", max_connections=1)
        order: list[int] = []

        async def use(number: int) -> None:
            async with get_connection_context("main_db", timeout_s=5) as connection:
                await connection.execute(SELECT)
                order.append(number)

        async with get_connection_context("main_db"):
            tasks = [asyncio.create_task(use(number)) for number in range(4)]
            await turns(lambda: gate_of(pool).waiting == 4)
            tasks[0].cancel()
            tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        found = (order, pool.statistics(), gate_of(pool).free == 1)
        await pool.dispose()
        return found

    order, statistics, is_free = asyncio.run(main())
    assert (order, statistics.used, statistics.pending, is_free) == ([1, 3], 0, 0, True)


def test_the_wrong_with_says_which_is_right(told: Capture, tmp_path: Path) -> None:
    create_database_pool("main_db", f"sqlite:///{tmp_path}/x.db")
    create_database_pool("async_db", f"sqlite+aiosqlite:///{tmp_path}/x.db")

    async def wrong() -> None:
        async with get_connection_context("main_db"):
            pass

    with pytest.raises(TypeError, match=r"use `with`, not `async with`"):
        asyncio.run(wrong())
    with pytest.raises(TypeError, match=r"use `async with`, not `with`"), get_connection_context("async_db"):
        pass


def test_names_are_told_apart(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    pool = govern(engine)
    assert (pool.name, get_pool("book.db"), get_pools()) == ("book.db", pool, (pool,))
    with pytest.raises(ValueError, match=r"\'book\.db\' already; pools: book\.db"):
        govern(engine)
    with pytest.raises(LookupError, match=r"no pool \'other\'; pools: book\.db"):
        get_connection_context("other")
    release("book.db")
    with pytest.raises(LookupError, match="pools: none"):
        get_pool("book.db")


def test_a_pool_has_one_governor(told: Capture, make_engine: Make) -> None:
    engine = make_engine()
    govern(engine, name="main_db")
    with pytest.raises(ValueError, match="governed already, as 'main_db'"):
        govern(engine, name="other")
    release("main_db")
    assert govern(engine, name="other").statistics().name == "other"


def test_a_released_pool_is_as_it_was(told: Capture, make_engine: Make) -> None:
    engine = make_engine(pool_timeout=0.01)
    govern(engine, name="main_db", lanes={"orders": 1})
    release("main_db")
    with engine.connect(), engine.connect():
        assert engine.pool.checkedout() == 2


def test_a_pool_that_the_application_drops_is_forgotten(told: Capture) -> None:
    govern(sqlalchemy.pool.QueuePool(lambda: None), name="main_db", is_fair=True)  # pyright: ignore[reportArgumentType] - it never connects
    gc.collect()
    assert get_pools() == ()
    assert told.points("db.client.connection.max") == []


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"lane": "orders"}, "no lane 'orders'; its lanes: none"),
        ({"timeout_s": 1.0}, "is_fair=True"),
    ],
)
def test_what_a_pool_cannot_do_is_an_error(
    told: Capture, make_engine: Make, asked: dict[str, Any], error: str
) -> None:
    govern(make_engine(), name="main_db")
    with pytest.raises(ValueError, match=error):
        get_connection_context("main_db", **asked)


@pytest.mark.parametrize(
    "bad",
    [
        {"max_hold_s": 0},
        {"max_lifetime_s": -1},
        {"reclaim": "all"},
        {"lanes": {"orders": 2}},
    ],
)
def test_values_out_of_range_are_errors(told: Capture, make_engine: Make, bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        govern(make_engine(), name="main_db", **bad)
    assert get_pools() == ()


def test_what_is_no_pool_is_a_type_error(told: Capture) -> None:
    with pytest.raises(TypeError, match="expected a URL, an engine"):
        govern(object(), name="main_db")


def test_another_pools_limit_is_its_own(told: Capture, make_engine: Make) -> None:
    with pytest.raises(ValueError, match="was made with 2; 20 cannot be had"):
        create_database_pool("main_db", make_engine(), max_connections=20)


def test_the_instrumentor_measures_what_it_has_measured_and_limits_go_along(
    told: Capture, make_engine: Make
) -> None:
    from tickspan_sqlalchemy import SQLAlchemyInstrumentor

    engine = make_engine(pool_size=1)
    SQLAlchemyInstrumentor().instrument(
        tracer_provider=told.tracer_provider, meter_provider=told.meter_provider
    )
    engine.connect().close()
    pool = govern(engine, name="main_db", is_fair=True)
    with engine.connect() as connection:
        connection.execute(SELECT)
    both = (states(told), pool.statistics().lent, gate_of(pool).free)
    SQLAlchemyInstrumentor().uninstrument()
    with engine.connect():
        alone = (states(told), gate_of(pool).free)
    assert both == ({"idle": 1, "used": 0}, 2, 1)
    assert alone == ({"idle": 0, "used": 1}, 0)
    assert (pool.statistics().lent, gate_of(pool).free) == (3, 1)
    assert "tickspan.db.pool.wait" in told.spans()[0].attributes


def test_an_instrumentor_that_comes_later_tells_the_waits_of_a_pool_that_is_governed(
    told: Capture, make_engine: Make
) -> None:
    from tickspan_sqlalchemy import SQLAlchemyInstrumentor

    engine = make_engine(pool_size=1)
    pool = govern(engine, name="main_db", is_fair=True)
    SQLAlchemyInstrumentor().instrument(
        tracer_provider=told.tracer_provider, meter_provider=told.meter_provider
    )
    with engine.connect() as connection:
        connection.execute(SELECT)
    SQLAlchemyInstrumentor().uninstrument()
    assert ("tickspan.db.pool.wait" in told.spans()[0].attributes, pool.statistics().lent) == (True, 1)
    assert [point.count for point in told.points("db.client.connection.wait_time")] == [1]


def test_settings_hold_where_nothing_is_said(told: Capture, make_engine: Make) -> None:
    defaults.use_settings(PoolSettings(max_hold_s=0, max_lifetime_s=7, reclaim_dead=True))
    try:
        silent = create_database_pool("silent", make_engine())
        said = govern(make_engine(), name="said", max_hold_s=3, reclaim=None)
    finally:
        defaults.use_settings(PoolSettings())
    assert (silent.policy.max_hold_s, silent.policy.max_lifetime_s, silent.policy.reclaim) == (
        None,
        7,
        "dead",
    )
    assert (said.policy.max_hold_s, said.policy.max_lifetime_s, said.policy.reclaim) == (3, None, None)
