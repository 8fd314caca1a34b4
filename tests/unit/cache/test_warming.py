"""Warming: at its pace, till its deadline, in its order, and never in place of what is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from doubles import Hands, Shelf

from tickspan.cache import Cache, Key, Level, WarmOutcome, WarmProgress, cached
from tickspan.cache.warming import Appointments, Warming, moments, warm
from tickspan.recording import strict


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def cache(hands: Hands) -> Generator[Cache]:
    made = Cache(clock=hands.clock)
    yield made
    made.close()


def _shout(key: str) -> str:
    return key.upper()


def _report(region: str, planned: int, outcome: WarmOutcome, **counts: int) -> WarmProgress:
    return WarmProgress(region, planned, **counts, outcome=outcome)  # pyright: ignore[reportArgumentType] - only counts are given


def _without_time(report: WarmProgress) -> WarmProgress:
    counts = {"loaded": report.loaded, "present": report.present, "failed": report.failed}
    return WarmProgress(report.region, report.planned, **counts, outcome=report.outcome)


def test_values_are_loaded_once_each_and_found_afterwards(cache: Cache) -> None:
    calls: list[str] = []

    def load(key: str) -> str:
        calls.append(key)
        return key.upper()

    report = cache.sync.warm("default", ["a", "b", "a", "c"], load, rate_per_s=10_000)
    assert _without_time(report) == _report("default", 3, WarmOutcome.COMPLETE, loaded=3)
    assert sorted(calls) == ["a", "b", "c"]
    assert [cache.get_nowait(key) for key in ("a", "b", "c")] == ["A", "B", "C"]


def test_an_asynchronous_loader_runs_in_the_event_loop(cache: Cache) -> None:
    loops: set[Any] = set()

    async def load(key: str) -> str:
        loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return key.upper()

    async def run() -> tuple[WarmProgress, bool]:
        report = await cache.warm(cache.default, ["a", "b"], load, rate_per_s=10_000)
        return report, loops == {asyncio.get_running_loop()}

    report, is_here = asyncio.run(run())
    assert (_without_time(report), is_here) == (
        _report("default", 2, WarmOutcome.COMPLETE, loaded=2),
        True,
    )
    assert cache.get_nowait("b") == "B"


def test_what_is_there_already_is_not_loaded(cache: Cache) -> None:
    cache.set_nowait("a", "mine")
    report = cache.sync.warm("default", ["a", "b"], _shout, rate_per_s=10_000)
    assert _without_time(report) == _report("default", 2, WarmOutcome.COMPLETE, loaded=1, present=1)
    assert cache.get_nowait("a") == "mine"


def test_what_is_in_a_lower_tier_comes_from_there(hands: Hands) -> None:
    shelf = Shelf(Level.REDIS, hands)
    with_values = Cache(tiers=[shelf], clock=hands.clock)
    with_values.sync.set("a", "below")
    fresh = Cache(tiers=[shelf], clock=hands.clock)
    report = fresh.sync.warm("default", ["a", "b"], _shout, rate_per_s=10_000)
    assert _without_time(report) == _report("default", 2, WarmOutcome.COMPLETE, loaded=1, present=1)
    assert fresh.get_nowait("a") == "below"


def test_a_loader_that_fails_stops_nothing(cache: Cache) -> None:
    def load(key: str) -> str:
        if key == "b":
            raise LookupError(key)
        return key

    report = cache.sync.warm("default", ["a", "b", "c"], load, rate_per_s=10_000)
    assert _without_time(report) == _report("default", 3, WarmOutcome.COMPLETE, loaded=2, failed=1)


def test_nothing_that_is_there_is_evicted(hands: Hands) -> None:
    cache = Cache(clock=hands.clock)
    region = cache.region("small", max_entries=3)
    region.set_nowait("mine", 1)
    report = cache.sync.warm(region, ["a", "b", "c", "d"], _shout, rate_per_s=10_000)
    assert _without_time(report) == _report("small", 4, WarmOutcome.FULL, loaded=2)
    assert sorted(map(str, region.memory.keys())) == ["a", "b", "mine"]


def test_room_is_that_of_the_largest_value_that_could_come(hands: Hands) -> None:
    cache = Cache(clock=hands.clock)
    region = cache.region("small", max_bytes=1000, max_value_bytes=1000)
    region.set_nowait("mine", "x")
    report = cache.sync.warm(region, ["a"], _shout, rate_per_s=10_000)
    assert _without_time(report) == _report("small", 1, WarmOutcome.FULL)


class _Clock:
    """A clock that waiting moves."""

    def __init__(self) -> None:
        self.now_s = 50.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.now_s += seconds


def test_loads_are_started_at_the_rate_that_was_asked_for(cache: Cache) -> None:
    clock = _Clock()
    warming = Warming(cache.default, ["a", "b", "c", "d"], rate_per_s=4, now_s=clock)
    report = warm(warming, _shout, wait=clock.wait)
    assert (clock.waits, report.elapsed_s, report.loaded) == ([0.25, 0.25, 0.25], 0.75, 4)


def test_no_load_is_started_after_the_deadline(cache: Cache) -> None:
    clock = _Clock()
    warming = Warming(cache.default, ["a", "b", "c", "d"], rate_per_s=4, deadline_s=0.4, now_s=clock)
    report = warm(warming, _shout, wait=clock.wait)
    assert _without_time(report) == _report("default", 4, WarmOutcome.DEADLINE, loaded=2)
    assert report.left == 2


def test_keys_of_higher_priority_come_first(cache: Cache) -> None:
    calls: list[str] = []
    clock = _Clock()
    warming = Warming(
        cache.default,
        ["a", "b", "c"],
        rate_per_s=1,
        priority={"a": 1, "b": 3, "c": 2}.__getitem__,
        now_s=clock,
    )
    done = threading.Semaphore(0)

    def load(key: str) -> str:
        calls.append(key)
        done.release()
        return key

    def wait(seconds: float) -> None:
        done.acquire(timeout=5)
        clock.wait(seconds)

    warm(warming, load, wait=wait)
    assert calls == ["b", "c", "a"]


def test_progress_is_told_every_five_seconds_and_at_the_end_and_may_fail(cache: Cache) -> None:
    clock, told = _Clock(), list[WarmProgress]()
    done = threading.Semaphore(0)

    def tell(progress: WarmProgress) -> None:
        told.append(progress)
        raise ValueError("of the caller")

    def load(key: str) -> str:
        return key

    def wait(seconds: float) -> None:
        done.acquire(timeout=0.05)
        clock.wait(seconds)

    keys = [str(number) for number in range(8)]
    warming = Warming(cache.default, keys, rate_per_s=0.5, progress=tell, now_s=clock)
    with strict(value=False):
        report = warm(warming, load, wait=wait)
    assert told[-1] == report
    assert [one.outcome for one in told] == [None] * (len(told) - 1) + [WarmOutcome.COMPLETE]
    assert 2 <= len(told) <= 4


def test_a_cancelled_warming_starts_nothing_more(cache: Cache) -> None:
    calls: list[str] = []

    async def run() -> BaseException | WarmProgress:
        has_begun = asyncio.Event()

        async def load(key: str) -> str:
            calls.append(key)
            has_begun.set()
            await asyncio.sleep(60)
            return key

        task = asyncio.create_task(cache.warm("default", ["a", "b"], load, rate_per_s=0.01))
        await has_begun.wait()
        task.cancel()
        (outcome,) = await asyncio.gather(task, return_exceptions=True)
        return outcome

    assert isinstance(asyncio.run(run()), asyncio.CancelledError)
    assert (calls, cache.get_nowait("a")) == (["a"], None)


@pytest.mark.parametrize(
    "options",
    [{"rate_per_s": 0}, {"rate_per_s": float("nan")}, {"deadline_s": 0}, {"deadline_s": -1}, {"ttl_s": 0}],
)
def test_an_option_out_of_range_is_a_value_error(cache: Cache, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Warming(cache.default, [], **options)  # pyright: ignore[reportArgumentType] - only numbers are given


def test_a_region_that_is_not_there_is_a_value_error_that_names_those_that_are(cache: Cache) -> None:
    with pytest.raises(ValueError, match="default, quotes"):
        cache.sync.warm("quots", [], _shout)


def test_warm_cache_waits_outside_of_an_event_loop_and_is_a_task_within(cache: Cache) -> None:
    done = cache.warm_cache(data_fetcher=_shout, keys=["a", "b"], ttl=60, rate_per_s=10_000)
    assert [done.result().loaded, cache.get_nowait("a")] == [2, "A"]

    async def run() -> tuple[Any, WarmProgress, WarmProgress]:
        begun = cache.warm_cache(_shout, ["c"], 60, rate_per_s=10_000)
        with pytest.raises(asyncio.InvalidStateError):
            begun.result()
        return cache.get_nowait("c"), await begun, await done

    before, after, again = asyncio.run(run())
    assert (before, after.loaded, again.loaded, cache.get_nowait("c")) == (None, 1, 2, "C")


def test_warm_cache_of_a_cached_function_warms_what_that_function_keeps(cache: Cache) -> None:
    calls: list[str] = []

    @cached(cache, key_prefix="market_data", ttl=300)
    def get_market_data(symbol: str) -> str:
        calls.append(symbol)
        return symbol.lower()

    cache.warm_cache(data_fetcher=get_market_data, keys=["AAPL", "MSFT"], ttl=60, rate_per_s=10_000)
    assert [get_market_data("AAPL"), get_market_data("MSFT"), sorted(calls)] == [
        "aapl",
        "msft",
        ["AAPL", "MSFT"],
    ]
    assert get_market_data.cache_info().hits == 2


def test_the_ttl_of_a_warming_is_that_of_its_values(cache: Cache, hands: Hands) -> None:
    cache.region("brief", jitter=0.0)
    cache.sync.warm("brief", ["a"], _shout, ttl_s=2, rate_per_s=10_000)
    hands.move(1.9)
    assert cache.brief.get_nowait("a") == "A"
    hands.move(0.2)
    assert cache.brief.get_nowait("a") is None


# From the last process's hot keys


def test_the_next_process_begins_with_the_hot_keys_of_the_last_one(hands: Hands, tmp_path: Path) -> None:
    path, loads = tmp_path / "hot-keys.json", list[Key]()
    first = Cache(clock=hands.clock)
    first.keep_snapshot(path)
    for number in range(20):
        first.set_nowait(number, number)
    for _ in range(3):
        first.get_nowait(7)
    first.get_nowait(5)
    first.close()

    def load(key: Key) -> Key:
        loads.append(key)
        return key

    second = Cache(clock=hands.clock)
    done = second.sync.warm_from_snapshot({"default": load, "quotes": load}, path, rate_per_s=10_000)
    assert (done["default"].loaded, list(done)) == (20, ["default"])
    assert second.get_nowait(7) == 7


def test_hot_keys_come_hottest_first(cache: Cache) -> None:
    for key in ("a", "b", "c"):
        cache.set_nowait(key, 1)
    for _ in range(3):
        cache.get_nowait("b")
    cache.get_nowait("c")
    assert [key for key, _ in cache.default.memory.keys_by_heat(2)] == ["b", "c"]


def test_a_process_that_did_nothing_does_not_wipe_the_snapshot_out(hands: Hands, tmp_path: Path) -> None:
    path = tmp_path / "hot-keys.json"
    first = Cache(clock=hands.clock)
    first.keep_snapshot(path)
    first.set_nowait("a", 1)
    first.close()
    before = path.read_bytes()
    second = Cache(clock=hands.clock)
    second.keep_snapshot(path)
    second.close()
    assert path.read_bytes() == before


def test_without_a_snapshot_nothing_is_warmed(cache: Cache, tmp_path: Path) -> None:
    assert asyncio.run(cache.warm_from_snapshot({"default": _shout}, tmp_path / "none.json")) == {}


def test_without_a_disk_a_snapshot_needs_a_path(cache: Cache) -> None:
    with pytest.raises(ValueError, match="path"):
        cache.keep_snapshot()


def test_a_snapshot_that_cannot_be_written_is_told_once(
    cache: Cache, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache.set_nowait("a", 1)
    cache.keep_snapshot(tmp_path / "file" / "hot-keys.json")
    cache.keep_snapshot(tmp_path / "hot-keys.json")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# Before moments


def test_it_is_warm_before_each_moment_and_those_that_are_over_are_left_out(cache: Cache) -> None:
    now_s = 1_000_000.0
    begun: list[float] = []
    times = [now_s - 5, datetime.fromtimestamp(now_s + 2, UTC), now_s + 3]
    appointments = Appointments(times, 10, begun.append, wall_s=lambda: now_s)
    assert appointments.join(5)
    assert begun == [2.0, 3.0]


def test_warm_at_loads_in_time(cache: Cache) -> None:
    soon = datetime.now(timezone(timedelta(hours=9))) + timedelta(seconds=30)
    appointments = cache.warm_at([soon], 60, "default", lambda: ["a"], _shout, rate_per_s=10_000)
    assert appointments.join(5)
    assert cache.get_nowait("a") == "A"


def test_warm_at_within_an_event_loop_loads_there(cache: Cache) -> None:
    loops: list[Any] = []

    async def load(key: str) -> str:
        loops.append(asyncio.get_running_loop())
        return key

    async def run() -> bool:
        is_done = asyncio.Event()
        soon = datetime.now(UTC) + timedelta(seconds=30)
        cache.warm_at([soon], 60, "default", ["a"], load, rate_per_s=10_000, progress=lambda _: is_done.set())
        await is_done.wait()
        return loops == [asyncio.get_running_loop()]

    assert asyncio.run(asyncio.wait_for(run(), 5))
    assert cache.get_nowait("a") == "a"


def test_appointments_that_are_cancelled_are_not_kept() -> None:
    begun: list[float] = []
    appointments = Appointments([datetime.now(UTC) + timedelta(hours=1)], 1, begun.append)
    assert repr(appointments) == "<Appointments 1 to come>"
    appointments.cancel()
    assert (appointments.join(5), begun) == (True, [])


@pytest.mark.parametrize(("times", "lead_s"), [([datetime(2026, 1, 1)], 1), ([1.0], 0), ([1.0], -1)])  # noqa: DTZ001 - the point
def test_a_time_without_a_zone_and_no_lead_are_value_errors(times: list[Any], lead_s: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        Appointments(times, lead_s, lambda _: None)


def test_moments_are_in_their_order() -> None:
    assert moments([5, datetime(1970, 1, 1, tzinfo=UTC), 2.5]) == [0.0, 2.5, 5.0]
