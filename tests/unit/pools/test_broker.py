"""A pool of broker connections, of threads and of tasks: the same stories in both."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from tickspan.pools import (
    BreakerState,
    Drained,
    PoolClosedError,
    PoolTimeoutError,
    PoolUnavailableError,
    VenueBudget,
    create_broker_pool,
    get_connection_context,
)
from tickspan.pools.broker import breaker
from tickspan.testing import Capture


class Connection:
    """Stands for a connection to a venue."""

    def __init__(self, account: str | None = None) -> None:
        self.account = account
        self.closed = False
        self.users = 0

    def close(self) -> None:
        self.closed = True


class Venue:
    """Lets connect, and can be made to fail."""

    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.error: Exception | None = None
        self.is_well = True
        self.pings = 0

    def connect(self) -> Connection:
        if self.error is not None:
            raise self.error
        self.made.append(Connection())
        return self.made[-1]

    def log_on(self, account: str | None) -> Connection:
        self.made.append(Connection(account))
        return self.made[-1]

    async def connect_async(self) -> Connection:
        await asyncio.sleep(0)
        return self.connect()

    def ping(self, connection: Connection) -> bool:
        del connection
        self.pings += 1
        return self.is_well

    @property
    def open(self) -> int:
        return sum(not connection.closed for connection in self.made)


@pytest.fixture
def venue() -> Venue:
    return Venue()


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


def values(told: Capture, name: str) -> list[float | int | None]:
    return [point.value for point in told.points(f"tickspan.broker.connection.{name}")]


def test_a_connection_is_lent_again_and_again(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=2)
    for _ in range(3):
        with get_connection_context("alpaca") as connection:
            assert (connection, repr(pool)) == (
                venue.made[0],
                "<BrokerPool alpaca, 1 of 2 used, 0 idle, 0 waiting, breaker closed>",
            )
    statistics = pool.statistics()
    assert (statistics.lent, statistics.created, statistics.used, statistics.idle) == (3, 1, 0, 1)


def test_all_nine_metrics_are_there(told: Capture, venue: Venue) -> None:
    create_broker_pool("alpaca", venue.connect, max_connections=1)
    with get_connection_context("alpaca"):
        with pytest.raises(PoolTimeoutError), get_connection_context("alpaca", timeout_s=0.01):
            pass
        during = values(told, "count")
    limits = {
        name: values(told, name) for name in ("idle.min", "idle.max", "max", "pending_requests", "timeouts")
    }
    counts = {
        name: [point.count for point in told.points(f"tickspan.broker.connection.{name}")]
        for name in ("create_time", "wait_time", "use_time")
    }
    assert during == [0, 1]
    assert limits == {"idle.min": [0], "idle.max": [1], "max": [1], "pending_requests": [0], "timeouts": [1]}
    assert counts == {"create_time": [1], "wait_time": [1], "use_time": [1]}


def test_who_asked_first_is_served_first(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=1)
    order: list[int] = []

    def use(number: int) -> None:
        with get_connection_context("alpaca", timeout_s=5):
            order.append(number)

    threads: list[threading.Thread] = []
    with get_connection_context("alpaca"):
        for number in range(5):
            threads.append(threading.Thread(target=use, args=(number,)))
            threads[-1].start()
            until(lambda number=number: pool._ledger.waiting == number + 1)
    for thread in threads:
        thread.join()
    assert (order, len(venue.made)) == ([0, 1, 2, 3, 4], 1)


def test_threads_never_share_a_connection_and_none_is_lost(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=3, max_lifetime_s=0.02)
    shared: list[int] = []

    def use(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(50):
            with suppress(ConnectionError), get_connection_context("alpaca", timeout_s=5) as connection:
                connection.users += 1
                shared.append(connection.users)
                time.sleep(chosen.random() / 5000)
                connection.users -= 1
                if chosen.random() < 0.1:
                    raise ConnectionResetError

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(8)))
    until(lambda: venue.open == pool.statistics().idle)
    assert (set(shared), len(shared), pool.statistics().used) == ({1}, 400, 0)
    assert venue.open <= 3


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [(None, True), (ValueError(), True), (ConnectionResetError(), False), (TimeoutError(), False)],
)
def test_what_broke_is_closed_and_replaced(
    told: Capture, venue: Venue, error: Exception | None, is_kept: bool
) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=1)
    with suppress(Exception), get_connection_context("alpaca"):
        if error is not None:
            raise error
    with get_connection_context("alpaca", timeout_s=1) as connection:
        assert (connection is venue.made[0], venue.made[0].closed) == (is_kept, not is_kept)
    assert pool.statistics().closed == ({} if is_kept else {"broken": 1})


def test_one_that_comes_back_closed_is_replaced(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=1)
    with get_connection_context("alpaca") as connection:
        connection.close()
    with get_connection_context("alpaca", timeout_s=1) as connection:
        assert not connection.closed
    assert pool.statistics().closed == {"closed": 1}


def test_one_that_was_silent_is_asked_before_it_is_lent(
    told: Capture, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed_s = 0.0
    monkeypatch.setattr("tickspan.pools.broker.pool._now_s", lambda: time.monotonic() + passed_s)
    pool = create_broker_pool("alpaca", venue.connect, max_connections=1, ping=venue.ping, ping_after_s=30.0)
    with get_connection_context("alpaca"):
        pass
    passed_s += 20
    with get_connection_context("alpaca"):
        pass
    passed_s += 20
    pool.heard(venue.made[0])
    passed_s += 20
    with get_connection_context("alpaca"):
        pass
    assert venue.pings == 0
    venue.is_well = False
    passed_s += 31
    with get_connection_context("alpaca", timeout_s=1) as connection:
        assert connection is venue.made[1]
    assert (venue.pings, pool.statistics().closed) == (1, {"unhealthy": 1})
    assert [point.count for point in told.points("tickspan.pool.health_check.duration")] == [1]


def test_the_last_sign_of_life_may_be_asked_of_the_application(told: Capture, venue: Venue) -> None:
    last_heard_s = time.monotonic() + 3600
    create_broker_pool(
        "alpaca",
        venue.connect,
        max_connections=1,
        ping=venue.ping,
        ping_after_s=0.001,
        last_heard_s=lambda _connection: last_heard_s,
    )
    for _ in range(2):
        with get_connection_context("alpaca"):
            pass
        time.sleep(0.002)
    assert venue.pings == 0


def test_a_callback_may_ask_the_pool_how_it_stands(told: Capture, venue: Venue) -> None:
    def last_heard_s(connection: Connection) -> float:
        pool.heard(connection)
        return time.monotonic() - pool.statistics().lent

    pool = create_broker_pool("alpaca", venue.connect, last_heard_s=last_heard_s, max_silence_s=60)
    for _ in range(2):
        with get_connection_context("alpaca") as connection:
            assert connection is venue.made[0]


def test_a_callback_that_raises_harms_nobody(told: Capture, venue: Venue) -> None:
    def is_closed(connection: Connection) -> bool:
        raise ZeroDivisionError(connection)

    create_broker_pool("alpaca", venue.connect, is_closed=is_closed)
    for _ in range(2):
        with get_connection_context("alpaca") as connection:
            assert connection is venue.made[0]


def test_an_account_gets_connections_of_its_own(told: Capture, venue: Venue) -> None:
    create_broker_pool("alpaca", venue.log_on, max_connections=1)
    for account in ("A", "A", "B"):
        with get_connection_context("alpaca", account=account, timeout_s=1) as connection:
            assert connection.account == account
    assert [(one.account, one.closed) for one in venue.made] == [("A", True), ("B", False)]


def test_a_factory_without_accounts_takes_none(told: Capture, venue: Venue) -> None:
    create_broker_pool("alpaca", venue.connect)
    with pytest.raises(TypeError, match="account"):
        get_connection_context("alpaca", account="A")


def test_the_factorys_own_error_reaches_who_asked(told: Capture, venue: Venue) -> None:
    create_broker_pool("alpaca", venue.connect)
    venue.error = ValueError()
    with pytest.raises(ValueError) as raised, get_connection_context("alpaca"):  # noqa: PT011 - it has no text
        pass
    assert raised.value is venue.error


def test_the_breaker_opens_tells_and_closes_again(
    told: Capture, venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_PAUSE_S", 0.02)
    pool = create_broker_pool("alpaca", venue.connect)
    venue.error = ConnectionRefusedError()
    for _ in range(5):
        with pytest.raises(ConnectionRefusedError), get_connection_context("alpaca"):
            pass
    with pytest.raises(PoolUnavailableError) as raised, get_connection_context("alpaca"):
        pass
    assert (pool.breaker_state, 0 < raised.value.retry_after_s <= 0.02) == (BreakerState.OPEN, True)
    venue.error = None
    time.sleep(raised.value.retry_after_s)
    with get_connection_context("alpaca"):
        assert pool.breaker_state is BreakerState.CLOSED
    assert [event.attributes["tickspan.pool.breaker.state"] for event in told.events()] == ["open", "closed"]


def test_pools_of_a_venue_share_its_budget(told: Capture, venue: Venue) -> None:
    budget = VenueBudget(100, 1.0, burst=2)
    for name in ("spot", "futures"):
        create_broker_pool(name, venue.connect, venue="binance", budget=budget)
    began_s = time.monotonic()
    for name in ("spot", "futures", "spot", "futures"):
        with get_connection_context(name):
            pass
    assert time.monotonic() - began_s >= 0.019
    with (
        pytest.raises(PoolTimeoutError, match="budget"),
        get_connection_context("spot", weight=2, timeout_s=0.001),
    ):
        pass
    with get_connection_context("spot", weight=2):
        pass


def test_connections_are_kept_in_the_background(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=3, min_connections=2)
    until(lambda: pool.statistics().idle == 2)
    with get_connection_context("alpaca") as connection:
        connection.close()
    pool.look()
    until(lambda: pool.statistics().idle == 2)
    assert (len(venue.made), values(told, "idle.min")) == (3, [2])


def test_draining_waits_for_what_is_out_and_closes_by_force_at_the_deadline(
    told: Capture, venue: Venue
) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=3)
    contexts = [get_connection_context("alpaca") for _ in range(3)]
    connections = [context.__enter__() for context in contexts]
    contexts[0].__exit__(None, None, None)
    timer = threading.Timer(0.02, contexts[1].__exit__, (None, None, None))
    timer.start()
    assert pool.drain(0.2) == Drained(closed=2, forced=1)
    contexts[2].__exit__(None, None, None)
    timer.join()
    with pytest.raises(PoolClosedError), get_connection_context("alpaca"):
        pass
    assert ([one.closed for one in connections], pool.statistics().used) == ([True] * 3, 0)
    assert [event.name for event in told.events()] == ["tickspan.pool.drained"]


def test_a_drained_pool_sends_home_who_waits(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=1)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            get_connection_context("alpaca", timeout_s=5).__enter__()
        except PoolClosedError as error:
            errors.append(error)

    with get_connection_context("alpaca"):
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: pool._ledger.waiting == 1)
        pool.drain(0.01)
        thread.join()
    assert len(errors) == 1


def test_a_forked_child_leaves_its_parents_connections_alone(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=1)
    with get_connection_context("alpaca") as connection:
        child = os.fork()
        if not child:  # pragma: no cover - in the child
            code = 1
            try:
                with get_connection_context("alpaca", timeout_s=1) as mine:
                    is_right = (mine is not connection, connection.closed, pool.statistics().used)
                code = 0 if is_right == (True, False, 1) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.statistics().idle == 1


# The same of tasks


def test_tasks_are_served_in_turn_and_a_cancelled_one_hands_on(told: Capture, venue: Venue) -> None:
    async def main() -> tuple[list[int], int | None, int | None]:
        pool = create_broker_pool("alpaca", venue.connect_async, max_connections=1)
        order: list[int] = []

        async def use(number: int) -> None:
            async with get_connection_context("alpaca", timeout_s=5):
                order.append(number)

        context = get_connection_context("alpaca")
        await context.__aenter__()
        tasks = [asyncio.create_task(use(number)) for number in range(4)]
        await turns(lambda: pool._ledger.waiting == 4)
        tasks[1].cancel()
        leaving = asyncio.create_task(context.__aexit__(None, None, None))
        await turns(lambda: pool._ledger.waiting == 2)
        tasks[0].cancel()  # it has been handed the connection, and not run since
        await asyncio.gather(leaving, *tasks, return_exceptions=True)
        return order, pool.statistics().used, pool.statistics().idle

    assert asyncio.run(main()) == ([2, 3], 0, 1)


def test_a_connection_that_is_made_for_a_task_that_is_cancelled_goes_to_the_next(told: Capture) -> None:
    venue = Venue()

    async def main() -> tuple[bool, int]:
        is_open = asyncio.Event()

        async def connect() -> Connection:
            await is_open.wait()
            return venue.connect()

        pool = create_broker_pool("alpaca", connect, max_connections=1)

        async def use() -> Connection:
            async with get_connection_context("alpaca", timeout_s=5) as connection:
                return connection

        first = asyncio.create_task(use())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.create_task(use())
        await turns(lambda: pool._ledger.waiting == 1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        is_open.set()
        return await second is venue.made[0], len(venue.made)

    assert asyncio.run(main()) == (True, 1)


def test_random_cancels_lose_nothing(told: Capture, venue: Venue) -> None:
    async def main() -> tuple[int | None, int, bool, set[int]]:
        pool = create_broker_pool("alpaca", venue.connect_async, max_connections=3)
        chosen = random.Random(7)
        shared: set[int] = set()

        async def use() -> None:
            async with get_connection_context("alpaca", timeout_s=10) as connection:
                connection.users += 1
                shared.add(connection.users)
                try:
                    await asyncio.sleep(chosen.random() / 2000)
                finally:
                    connection.users -= 1

        tasks = [asyncio.create_task(use()) for _ in range(300)]
        for _ in range(150):
            await asyncio.sleep(0)
            chosen.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await turns(lambda: not pool.statistics().used)
        return pool.statistics().used, pool.statistics().pending, venue.open == pool.statistics().idle, shared

    assert asyncio.run(main()) == (0, 0, True, {1})


def test_an_asynchronous_pool_is_drained_by_awaiting(told: Capture, venue: Venue) -> None:
    async def main() -> Drained:
        pool = create_broker_pool("alpaca", venue.connect_async, max_connections=2)
        async with get_connection_context("alpaca"):
            return await pool.drain(0.01)

    assert asyncio.run(main()) == Drained(closed=0, forced=1)
    assert venue.open == 0


def test_connections_of_a_loop_that_is_closed_are_not_used_in_the_next(told: Capture, venue: Venue) -> None:
    create_broker_pool("alpaca", venue.connect_async)

    async def use() -> Any:
        async with get_connection_context("alpaca") as connection:
            return connection

    assert asyncio.run(use()) is not asyncio.run(use())


def test_a_connect_that_takes_too_long_is_given_up_and_counts_as_a_failure(told: Capture) -> None:
    async def connect() -> None:
        await asyncio.sleep(10)

    async def main() -> int | None:
        pool = create_broker_pool("alpaca", connect, max_connections=1, connect_timeout_s=0.01)
        with pytest.raises(PoolTimeoutError, match="longer than connect_timeout_s"):
            async with get_connection_context("alpaca"):
                pass
        return pool.statistics().used

    assert asyncio.run(main()) == 0


def test_a_connection_is_closed_though_the_task_that_closes_it_is_cancelled(
    told: Capture, venue: Venue
) -> None:
    async def main() -> tuple[tuple[bool, int | None], tuple[bool, int | None]]:
        closing, is_open = asyncio.Event(), asyncio.Event()

        async def close(connection: Connection) -> None:
            closing.set()
            await is_open.wait()
            connection.close()

        pool = create_broker_pool(
            "alpaca", venue.connect_async, max_connections=1, ping=venue.ping, ping_after_s=1e-9, close=close
        )

        async def use() -> None:
            async with get_connection_context("alpaca"):
                pass

        def state() -> tuple[bool, int | None]:
            return venue.made[0].closed, pool.statistics().idle

        await use()
        venue.is_well = False
        task = asyncio.create_task(use())
        await closing.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        during = state()
        is_open.set()
        await turns(lambda: not pool.statistics().idle)
        return during, state()

    assert asyncio.run(main()) == ((False, 1), (True, 0))


def test_another_accounts_connection_is_closed_before_the_place_is_free(told: Capture) -> None:
    venue = Venue()

    async def main() -> tuple[int | None, int | None, bool]:
        closing, is_open = asyncio.Event(), asyncio.Event()

        async def connect(account: str | None) -> Connection:
            return venue.log_on(account)

        async def close(connection: Connection) -> None:
            closing.set()
            await is_open.wait()
            connection.close()

        pool = create_broker_pool("alpaca", connect, max_connections=1, close=close)

        async def use(account: str) -> None:
            async with get_connection_context("alpaca", account=account):
                pass

        await use("A1")
        task = asyncio.create_task(use("A2"))
        await closing.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        during = pool.statistics().used
        is_open.set()
        await turns(lambda: not pool.statistics().used)
        return during, pool.statistics().used, venue.made[0].closed

    assert asyncio.run(main()) == (1, 0, True)


async def ping_async(_connection: Connection) -> bool:
    return True


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"factory": 3}, "factory: expected a function that connects, got int"),
        ({"budget": 5}, "budget: expected a VenueBudget, got int"),
        ({"ping": ping_async}, "ping: a coroutine function needs one as the factory"),
        ({"timeout_s": None}, "timeout_s: expected seconds, got None"),
        ({"connect_timeout_s": 0}, "connect_timeout_s: expected seconds above 0, or None, got 0"),
        ({"max_connections": 2.5}, "max_connections: expected a whole number, at least 1, got 2.5"),
    ],
)
def test_an_argument_that_is_wrong_is_named(
    told: Capture, venue: Venue, wrong: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {"factory": venue.connect, **wrong}
    with pytest.raises((TypeError, ValueError), match=message):
        create_broker_pool("alpaca", **arguments)


def test_a_use_gives_nothing_back_to_the_budget(told: Capture, venue: Venue) -> None:
    create_broker_pool("alpaca", venue.connect, budget=VenueBudget(weight=1))
    with pytest.raises(ValueError, match="weight: expected a number, 0 or above, got -1"):
        get_connection_context("alpaca", weight=-1)


def test_a_function_that_returns_a_coroutine_says_how_the_pool_is_to_be_made(
    told: Capture, venue: Venue
) -> None:
    pool = create_broker_pool("alpaca", lambda: venue.connect_async())  # noqa: PLW0108 - does not look like one
    with pytest.raises(TypeError, match="is_async=True"), get_connection_context("alpaca"):
        pass
    assert pool.statistics().used == 0


def test_a_wait_may_be_as_long_as_one_likes(told: Capture, venue: Venue) -> None:
    pool = create_broker_pool("alpaca", venue.connect, max_connections=1)
    context = get_connection_context("alpaca")
    context.__enter__()
    timer = threading.Timer(0.01, context.__exit__, (None, None, None))
    timer.start()
    with get_connection_context("alpaca", timeout_s=float("inf")) as connection:
        assert connection is venue.made[0]
    timer.join()
    assert pool.statistics().used == 0


def test_the_wrong_with_says_which_is_right(told: Capture, venue: Venue) -> None:
    create_broker_pool("alpaca", venue.connect_async)
    with pytest.raises(TypeError, match="use `async with`"), get_connection_context("alpaca"):
        pass
