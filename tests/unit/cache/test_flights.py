"""One load for all who ask, in whatever thread, task or event loop."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tickspan.cache import Cache, Region, RegionRules
from tickspan.cache.flights import Flights

SOON_S = 5.0


class Crowd:
    """Callers of one key in tasks of two loops and in threads, and a loader that counts its calls."""

    def __init__(self, region: Region[Any]) -> None:
        self.region = region
        self.calls = 0
        self.gate = threading.Event()
        self._lock = threading.Lock()

    def load(self) -> str:
        with self._lock:
            self.calls += 1
        assert self.gate.wait(SOON_S)
        return "loaded"

    async def load_async(self) -> str:
        with self._lock:
            self.calls += 1
        while not self.gate.is_set():  # noqa: ASYNC110 - a thread opens the gate
            await asyncio.sleep(0.001)
        return "loaded"

    def fail(self) -> str:
        self.load()
        raise LookupError("no such thing")

    def all_waiting(self, count: int) -> None:
        """Wait until so many are behind the flight, then let it end."""
        end = time.monotonic() + SOON_S
        while self.region.stack.flights.waiting("key") < count:
            assert time.monotonic() < end, "not all callers came to wait"
            time.sleep(0.001)
        self.gate.set()


@pytest.fixture
def region() -> Region[Any]:
    return Cache().region("fills", load_timeout_s=SOON_S)


def in_two_loops_and_threads(
    region: Region[Any], loader: Callable[[], Any], tasks: int, threads: int, crowd: Crowd
) -> list[Any]:
    async def many() -> list[Any]:
        calls = (region.get_or_load("key", loader) for _ in range(tasks))
        return await asyncio.gather(*calls, return_exceptions=True)

    def blocking() -> Any:
        try:
            return region.sync.get_or_load("key", loader)
        except LookupError as error:
            return error

    with ThreadPoolExecutor(threads + 2) as pool:
        loops = [pool.submit(asyncio.run, many()) for _ in range(2)]
        waiting = [pool.submit(blocking) for _ in range(threads)]
        # The first one is no waiter where it is a thread.
        crowd.all_waiting(2 * tasks + threads - 1)
        return [given for loop in loops for given in loop.result()] + [each.result() for each in waiting]


def test_tasks_of_two_loops_and_threads_share_one_call_of_the_loader(region: Region[Any]):
    crowd = Crowd(region)
    given = in_two_loops_and_threads(region, crowd.load, 50, 8, crowd)
    assert (crowd.calls, given) == (1, ["loaded"] * 108)


def test_all_get_the_loaders_own_exception_and_the_next_call_loads_again(region: Region[Any]):
    crowd = Crowd(region)
    given = in_two_loops_and_threads(region, crowd.fail, 50, 8, crowd)
    assert (crowd.calls, len({id(error) for error in given}), {type(error) for error in given}) == (
        1,
        1,
        {LookupError},
    )
    assert region.sync.get_or_load("key", lambda: "next") == "next"


def test_a_hundred_tasks_make_one_call_of_an_asynchronous_loader(region: Region[Any]):
    crowd = Crowd(region)
    crowd.gate.set()

    async def many() -> list[Any]:
        return await asyncio.gather(*(region.get_or_load("key", crowd.load_async) for _ in range(100)))

    assert (asyncio.run(many()), crowd.calls) == (["loaded"] * 100, 1)


def test_cancelling_the_first_caller_harms_no_other(region: Region[Any]):
    crowd = Crowd(region)

    async def story() -> tuple[str, bool, int]:
        first = asyncio.create_task(region.get_or_load("key", crowd.load_async))
        await until(lambda: crowd.calls == 1)
        second = asyncio.create_task(region.get_or_load("key", crowd.load_async))
        await until(lambda: region.stack.flights.waiting("key") == 2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        crowd.gate.set()
        return await second, first.cancelled(), crowd.calls

    assert asyncio.run(story()) == ("loaded", True, 1)


def test_a_loader_that_asks_for_its_own_key_loads_once_more_instead_of_waiting_for_itself(
    region: Region[Any],
):
    depth = 0

    async def load() -> int:
        nonlocal depth
        depth += 1
        return 7 if depth == 2 else await region.get_or_load("key", load)

    def load_blocking() -> int:
        nonlocal depth
        depth += 1
        return 8 if depth == 4 else region.sync.get_or_load("other", load_blocking)

    assert asyncio.run(asyncio.wait_for(region.get_or_load("key", load), SOON_S)) == 7
    assert region.sync.get_or_load("other", load_blocking) == 8


def test_who_waits_past_the_limit_loads_by_himself():
    region = Cache().region("fills", load_timeout_s=0.05, load_soft_timeout_s=0.01)
    stuck = threading.Event()
    began = threading.Event()

    def hang() -> str:
        began.set()
        stuck.wait(SOON_S)
        return "late"

    thread = threading.Thread(target=region.sync.get_or_load, args=("key", hang))
    thread.start()
    assert began.wait(SOON_S)
    assert region.sync.get_or_load("key", lambda: "own") == "own"
    stuck.set()
    thread.join(SOON_S)


def test_two_loads_that_wait_for_one_another_both_end():
    region = Cache().region("fills", load_timeout_s=0.05, load_soft_timeout_s=0.01)
    here: set[str] = set()

    async def story() -> list[str]:
        async def one() -> str:
            here.add("one")
            await until(lambda: len(here) == 2)
            return "one" + await region.get_or_load("b", lambda: "B")

        async def other() -> str:
            here.add("other")
            await until(lambda: len(here) == 2)
            return "other" + await region.get_or_load("a", lambda: "A")

        return list(await asyncio.gather(region.get_or_load("a", one), region.get_or_load("b", other)))

    assert asyncio.run(asyncio.wait_for(story(), SOON_S)) == ["oneB", "otherA"]


def test_a_loop_that_ends_under_a_flight_blocks_nobody(region: Region[Any]):
    crowd = Crowd(region)

    async def leave() -> None:
        task = asyncio.create_task(region.get_or_load("key", crowd.load_async))
        await until(lambda: crowd.calls == 1)
        del task  # the loop ends, and takes the load with it

    asyncio.run(leave())
    assert region.sync.get_or_load("key", lambda: "again") == "again"


def test_a_loop_that_is_closed_without_cancelling_its_tasks_blocks_nobody(region: Region[Any]):
    crowd = Crowd(region)
    loop = asyncio.new_event_loop()
    task = loop.create_task(region.get_or_load("key", crowd.load_async))
    loop.run_until_complete(until(lambda: crowd.calls == 1))
    loop.close()
    assert region.sync.get_or_load("key", lambda: "again") == "again"
    assert len(region.stack.flights) == 0
    end_quietly(task)


def test_who_waits_in_another_thread_notices_that_the_loop_was_closed(
    region: Region[Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tickspan.cache.loading._SLICE_S", 0.02)
    crowd = Crowd(region)
    loop = asyncio.new_event_loop()
    task = loop.create_task(region.get_or_load("key", crowd.load_async))
    loop.run_until_complete(until(lambda: crowd.calls == 1))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(region.sync.get_or_load, "key", lambda: "again")
        end = time.monotonic() + SOON_S
        while region.stack.flights.waiting("key") < 2:
            assert time.monotonic() < end
            time.sleep(0.001)
        loop.close()
        assert waiting.result(SOON_S) == "again"
    end_quietly(task)


def test_a_waiter_whose_loop_is_closed_does_not_stop_the_others(region: Region[Any]):
    crowd = Crowd(region)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(region.sync.get_or_load, "key", crowd.load)
        end = time.monotonic() + SOON_S
        while not crowd.calls:
            assert time.monotonic() < end
            time.sleep(0.001)
        loop = asyncio.new_event_loop()
        task = loop.create_task(region.get_or_load("key", crowd.load))
        loop.run_until_complete(until(lambda: region.stack.flights.waiting("key") == 1))
        loop.close()
        other = pool.submit(region.sync.get_or_load, "key", crowd.load)
        crowd.all_waiting(2)
        assert (first.result(SOON_S), other.result(SOON_S), crowd.calls) == ("loaded", "loaded", 1)
    end_quietly(task)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_is_interrupted_is_so_alone(region: Region[Any], error: type[BaseException]):
    crowd = Crowd(region)

    def interrupted() -> str:
        crowd.load()
        raise error

    def first() -> type[BaseException] | None:
        try:
            region.sync.get_or_load("key", interrupted)
        except BaseException as caught:  # noqa: BLE001 - what is under test
            return type(caught)
        return None

    with ThreadPoolExecutor(2) as pool:
        loading = pool.submit(first)
        end = time.monotonic() + SOON_S
        while not crowd.calls:
            assert time.monotonic() < end
            time.sleep(0.001)
        waiting = pool.submit(region.sync.get_or_load, "key", lambda: "own")
        crowd.all_waiting(1)
        assert (loading.result(SOON_S), waiting.result(SOON_S)) == (error, "own")


def test_a_loader_may_raise_stop_iteration_to_a_blocking_caller(region: Region[Any]):
    def stop() -> str:
        raise StopIteration("end")

    with pytest.raises(StopIteration):
        region.sync.get_or_load("key", stop)


def test_an_asynchronous_loader_serves_a_blocking_caller_too(region: Region[Any]):
    async def load() -> str:
        await asyncio.sleep(0)
        return "loaded"

    assert region.sync.get_or_load("key", load) == "loaded"


def test_a_plain_loader_does_not_block_the_event_loop(region: Region[Any]):
    async def story() -> tuple[str, bool]:
        loop_thread = threading.get_ident()
        ran_in: list[int] = []

        def load() -> str:
            ran_in.append(threading.get_ident())
            return "loaded"

        return await region.get_or_load("key", load), ran_in[0] != loop_thread

    assert asyncio.run(story()) == ("loaded", True)


def test_a_plain_function_may_return_something_to_await(region: Region[Any]):
    async def fetch(symbol: str) -> str:
        await asyncio.sleep(0)
        return symbol.lower()

    assert asyncio.run(region.get_or_load("key", lambda: fetch("AAPL"))) == "aapl"


def test_each_caller_gets_an_object_of_its_own_where_it_could_be_altered(region: Region[Any]):
    async def story() -> list[Any]:
        given = await asyncio.gather(*(region.get_or_load("key", lambda: {"bids": []}) for _ in range(3)))
        given[0]["bids"].append("altered")
        return [*given, region.get_nowait("key")]

    assert asyncio.run(story()) == [{"bids": ["altered"]}, {"bids": []}, {"bids": []}, {"bids": []}]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_its_parents_loads(region: Region[Any]):
    crowd = Crowd(region)
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(region.sync.get_or_load, "key", crowd.load)
        end = time.monotonic() + SOON_S
        while not crowd.calls:
            assert time.monotonic() < end
            time.sleep(0.001)
        child = os.fork()
        if not child:
            is_right = region.sync.get_or_load("key", lambda: "child's") == "child's"
            os._exit(0 if is_right else 1)
        crowd.gate.set()
        assert (os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), loading.result(SOON_S)) == (0, "loaded")


def test_a_flight_that_was_detached_does_not_remove_its_successor():
    flights = Flights()
    old, _ = flights.join("key")
    flights.detach("key")
    new, is_first = flights.join("key")
    old.end("late")
    assert (is_first, flights.join("key")) == (True, (new, False))


def test_rules_say_how_long_one_waits():
    assert RegionRules().load_timeout_s == 5.0


async def until(condition: Callable[[], bool]) -> None:
    """Give way until `condition` holds."""
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.001)


def end_quietly(task: asyncio.Task[Any]) -> None:
    """A task whose loop is gone: nobody will ask for it, so that asyncio would complain."""
    coroutine: Coroutine[Any, Any, Any] = task.get_coro()  # pyright: ignore[reportAssignmentType] - made of one
    coroutine.close()
    task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue] - asyncio's own switch
