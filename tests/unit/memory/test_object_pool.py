"""Objects are used again, and none ever has two owners."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from tickspan.memory import BufferPool, ObjectPool, PoolError
from tickspan.memory.object_pool import object_pools
from tickspan.recording import diagnostics


class Order:
    def __init__(self) -> None:
        self.fills: list[int] = []


class Tick:
    __slots__ = ("price", "symbol")


@pytest.fixture
def debugged() -> Iterator[None]:
    level = diagnostics.level
    diagnostics.setLevel("DEBUG")
    yield
    diagnostics.setLevel(level)


def test_what_was_given_back_is_lent_again() -> None:
    pool = ObjectPool(Order)
    first = pool.acquire()
    second = pool.acquire()
    pool.release(first)
    assert (pool.acquire() is first, second is first) == (True, False)
    counts = pool.statistics()
    assert (counts.made, counts.reused, counts.used, counts.idle) == (2, 1, 2, 0)


def test_an_object_is_reset_when_it_is_given_back() -> None:
    pool = ObjectPool(Order, lambda order: order.fills.clear())
    order = pool.acquire()
    order.fills.append(7)
    pool.release(order)
    assert pool.acquire().fills == []


def test_a_reset_that_fails_discards_the_object() -> None:
    def fail(_: Order) -> None:
        raise ZeroDivisionError

    pool = ObjectPool(Order, fail)
    order = pool.acquire()
    pool.release(order)
    assert (pool.sizes(), pool.acquire() is order) == ((0, 0), False)


def test_giving_back_twice_is_counted_and_changes_nothing() -> None:
    pool = ObjectPool(Order)
    order = pool.acquire()
    pool.release(order)
    pool.release(order)
    assert (pool.acquire() is pool.acquire(), pool.counts()["refused"]) == (False, 1)


def test_a_foreign_object_is_not_taken() -> None:
    pool, other = ObjectPool(Order), ObjectPool(Order)
    mine = pool.acquire()
    for foreign in (other.acquire(), Order()):
        pool.release(foreign)
    pool.release(Tick())  # pyright: ignore[reportArgumentType] - what a program gets wrong
    assert (pool.counts()["refused"], pool.sizes(), mine is not None) == (3, (0, 1), True)


@pytest.mark.usefixtures("debugged")
def test_in_debug_mode_giving_back_twice_names_both_places() -> None:
    pool = ObjectPool(Order, name="orders")
    order = pool.acquire()
    pool.release(order)
    with pytest.raises(PoolError) as raised:
        pool.release(order)
    here = "test_in_debug_mode_giving_back_twice_names_both_places"
    told = str(raised.value)
    assert told.startswith("orders: ")
    assert (told.count(f"{here} ({__file__}:"), "it was given back before at" in told) == (2, True)


@pytest.mark.usefixtures("debugged")
def test_in_debug_mode_a_foreign_object_is_an_error() -> None:
    with pytest.raises(PoolError, match="this pool has not lent it"):
        ObjectPool(Order).release(Order())


def test_an_object_that_nobody_gives_back_is_freed_and_not_counted_as_used() -> None:
    pool = ObjectPool(Order)
    order = pool.acquire()
    gone = weakref.ref(order)
    del order
    gc.collect()
    counts = pool.statistics()
    assert (gone(), counts.used, counts.discarded) == (None, 0, 1)


def test_beyond_the_bound_the_one_that_is_idle_longest_goes() -> None:
    pool = ObjectPool(Order, max_idle=2)
    orders = [pool.acquire() for _ in range(3)]
    for order in orders:
        pool.release(order)
    assert ([pool.acquire(), pool.acquire()], pool.statistics().discarded) == ([orders[2], orders[1]], 1)


def test_a_lease_ends_with_its_block_also_by_an_exception() -> None:
    pool = ObjectPool(Order)
    with pytest.raises(KeyError), pool.lease() as order:
        raise KeyError
    assert pool.acquire() is order


def test_what_the_factory_raises_is_the_callers() -> None:
    error = OSError("no memory")

    def fail() -> Order:
        raise error

    pool = ObjectPool(fail)
    with pytest.raises(OSError, match="no memory") as raised:
        pool.acquire()
    assert (raised.value is error, pool.statistics().made) == (True, 0)


def test_threads_never_own_the_same_object() -> None:
    pool = ObjectPool(Order, max_idle=4)
    twice: list[int] = []
    start = threading.Barrier(4)

    def work(mark: int) -> None:
        start.wait()
        for _ in range(3_000):
            order = pool.acquire()
            order.fills.append(mark)
            if order.fills != [mark]:
                twice.append(mark)
            order.fills.clear()
            pool.release(order)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert twice == []


def test_buffers_have_their_size_again() -> None:
    pool = BufferPool(64)
    buffer = pool.acquire()
    buffer.extend(b"more")
    pool.release(buffer)
    again = pool.acquire()
    assert (again is buffer, len(again)) == (True, 64)


def test_buffers_are_cleared_if_asked_for() -> None:
    pool = BufferPool(4, is_cleared=True)
    buffer = pool.acquire()
    buffer[:] = b"abcd"
    pool.release(buffer)
    assert pool.acquire() == bytes(4)


def test_it_says_whether_it_is_worth_it() -> None:
    buffers, numbers = BufferPool(4 << 20), ObjectPool(Order)
    before = buffers.statistics().worth_it
    buffers.release(buffers.acquire())
    assert (before, buffers.statistics().worth_it, numbers.statistics().worth_it) == (None, True, None)


def test_a_pool_of_what_is_made_quickly_is_not_worth_it() -> None:
    pool = ObjectPool(Tick)
    pool.release(pool.acquire())
    assert pool.statistics().worth_it is False


def test_a_factory_that_fails_while_it_is_measured_is_nobodys_error() -> None:
    made: list[Order] = []

    def factory() -> Order:
        if made:
            raise ZeroDivisionError
        made.append(Order())
        return made[0]

    pool = ObjectPool(factory)
    pool.release(pool.acquire())
    counts = pool.statistics()
    assert (counts.worth_it, counts.idle, counts.made) == (None, 1, 1)


def test_a_factory_that_is_slow_is_measured_a_few_times_and_once_only() -> None:
    made: list[float] = []

    def factory() -> Order:
        made.append(time.perf_counter())
        while time.perf_counter() - made[-1] < 0.002:
            pass
        return Order()

    pool = ObjectPool(factory)
    pool.release(pool.acquire())
    verdicts = [pool.statistics().worth_it, pool.statistics().worth_it]
    assert (verdicts, len(made)) == ([True, True], 3)


def test_a_factory_may_make_objects_of_several_types() -> None:
    kinds: list[type[object]] = [Order, Tick]

    def factory() -> object:
        return kinds.pop()()

    pool = ObjectPool(factory)
    objects = [pool.acquire(), pool.acquire()]
    for one in objects:
        pool.release(one)
    pool.release([])
    assert (pool.sizes(), pool.counts()) == ((2, 0), {"made": 2, "reused": 0, "refused": 1})


def test_pools_are_found_by_name_as_long_as_they_live() -> None:
    pool = ObjectPool(Order, name="test: found by name")
    found = [one for one in object_pools() if one.name == "test: found by name"]
    assert (found, repr(pool)) == ([pool], "<ObjectPool test: found by name 0 idle, 0 used>")


@pytest.mark.parametrize("max_idle", [0, -1])
def test_a_pool_that_keeps_nothing_is_refused(max_idle: int) -> None:
    with pytest.raises(ValueError, match="max_idle: expected a number above 0"):
        ObjectPool(Order, max_idle=max_idle)


def test_buffers_of_no_size_are_refused() -> None:
    with pytest.raises(ValueError, match="size_bytes: expected a number above 0, got 0"):
        BufferPool(0)
