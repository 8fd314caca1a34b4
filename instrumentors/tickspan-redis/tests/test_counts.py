"""A count that takes no lock, and what pools without a server say."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from tickspan.instrumentation.pooling import PoolCounts
from tickspan.instrumentation.pooling.on_redis import redis_counts, redis_pool_name
from tickspan.testing import Capture
from tickspan_redis.counts import MOST_SERIES, Count
from tickspan_redis.pools import error_of, is_pool_timeout, reason_of


@pytest.fixture
def count(telemetry: Capture) -> Count:
    return Count(telemetry.meter_provider.get_meter("test"), "errors", "{error}", "Errors.")


def told(telemetry: Capture) -> list[tuple[dict[str, Any], float]]:
    return [(dict(p.attributes), p.value) for p in telemetry.points("errors")]


def test_nothing_is_lost_between_threads(telemetry: Capture, count: Count):
    def add() -> None:
        for _ in range(5_000):
            count.add((("kind", "a"),))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen = [value for _ in range(50) for _, value in told(telemetry)]
    for thread in threads:
        thread.join()
    assert told(telemetry) == [({"kind": "a"}, 20_000)]
    assert seen == sorted(seen)


def test_further_series_are_counted_together(telemetry: Capture, count: Count):
    for number in range(MOST_SERIES + 7):
        count.add((("kind", str(number)),))
    assert (len(told(telemetry)), dict(told(telemetry)[-1][0]), told(telemetry)[-1][1]) == (
        MOST_SERIES + 1,
        {},
        7,
    )


def test_adding_waits_for_nobody(telemetry: Capture, count: Count):
    with count._folding:
        for _ in range(2_000):
            count.add(())
    assert told(telemetry) == [({}, 2_000)]


def test_a_child_begins_at_zero(count: Count):
    count.add(())
    count._folding.acquire()
    count.after_fork_in_child()
    count.add(())
    assert repr(count) == "<Count errors 1>"
    assert not count._folding.locked()


def test_a_closed_count_tells_nothing(telemetry: Capture, count: Count):
    count.add(())
    count.close()
    assert told(telemetry) == []


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "localhost:6379/0"),
        ({"host": "redis-1", "port": 7000, "db": 3}, "redis-1:7000/3"),
    ],
)
def test_a_pool_is_called_by_its_server_and_database(options: dict[str, Any], name: str):
    assert redis_pool_name(redis.ConnectionPool(**options)) == name


@pytest.mark.parametrize(
    ("pool", "name"),
    [
        (redis.ConnectionPool.from_url("unix:///run/redis.sock?db=1"), "/run/redis.sock/1"),
        (SimpleNamespace(service_name="orders", connection_kwargs={"db": 2}), "orders/2"),
        (SimpleNamespace(), "localhost:6379/0"),
    ],
)
def test_a_pool_without_host_and_port_is_called_by_what_it_has(pool: Any, name: str):
    assert redis_pool_name(pool) == name


@pytest.mark.parametrize(
    ("pool", "counts"),
    [
        (redis.ConnectionPool(max_connections=7), PoolCounts(used=0, idle=0, max=7)),
        (redis.BlockingConnectionPool(max_connections=7), PoolCounts(used=0, idle=0, max=7)),
        (SimpleNamespace(max_connections=2**31), PoolCounts()),
        (SimpleNamespace(), PoolCounts()),
    ],
)
def test_a_pool_is_read_as_far_as_it_can_be(pool: Any, counts: PoolCounts):
    assert redis_counts(pool) == counts


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "is_timeout"),
    [
        (caused(redis.ConnectionError(), TimeoutError()), True),
        (caused(redis.ConnectionError(), redis.TimeoutError()), False),
        (caused(redis.ConnectionError(), ConnectionRefusedError()), False),
        (caused(redis.TimeoutError(), TimeoutError()), False),
        (redis.ConnectionError(), False),
    ],
)
def test_a_pool_that_gave_up_is_told_from_a_server_that_is_gone(error: BaseException, is_timeout: bool):
    assert is_pool_timeout(error) is is_timeout


def handled(error: BaseException) -> BaseException | None:
    """What a connection is closed for that is closed while `error` is handled."""
    try:
        raise error
    except Exception:  # noqa: BLE001 - whatever it is
        return error_of((object(),), {})


def test_a_connection_is_closed_for_what_is_given_or_handled():
    lost, refused, own = redis.ConnectionError(), ConnectionRefusedError(), ValueError()
    assert [handled(lost), handled(refused), handled(own), handled(redis.ResponseError())] == [
        lost,
        refused,
        None,
        None,
    ]
    assert (error_of((object(), own), {}), error_of((object(),), {"error": own})) == (own, own)


def test_a_close_has_a_reason():
    error = redis.ConnectionError()
    reasons = [
        reason_of({}, None),
        reason_of({}, error),
        reason_of({"health_check_failed": True}, error),
    ]
    assert reasons == ["application_close", "error", "healthcheck_failed"]


def test_a_forked_child_has_its_own_count(count: Count):
    count.add(())
    child = os.fork()
    if child == 0:
        os._exit(0 if repr(count) == "<Count errors 0>" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
