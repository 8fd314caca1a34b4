"""The runtime of processes: numbers, pools, caches, events and profiles."""

from __future__ import annotations

from tickspan_desk.store.reading import Series
from tickspan_desk.views.metrics import Line
from tickspan_desk.views.runtime import (
    CacheLine,
    EventLine,
    PoolLine,
    Profile,
    runtime_of,
    stacks_of,
)

from tickspan.semconv import cache, db, host, memory, pools, process, profiler
from tickspan.semconv.common import HOST_NAME

from .conftest import Make


def gauge(make: Make, name: str, value: float, **attributes: str) -> Series:
    return make.series([make.value(10, value)], name=name, attributes=attributes)


def counter(make: Make, name: str, grown: float, attributes: dict[str, str]) -> Series:
    points = [make.value(10, 1, start_s=-9), make.value(20, 1 + grown, start_s=-9)]
    return make.series(points, name=name, kind="sum", attributes=attributes)


def test_a_process_is_told_with_its_numbers_and_lines(make: Make) -> None:
    where = make.resource(**{HOST_NAME: "vm"})
    told = {
        process.PROCESS_MEMORY_USAGE: [
            make.series([make.value(10, 100), make.value(20, 200)], resource=where, unit="By")
        ],
        memory.MEMORY_LIMIT: [make.series([make.value(20, 1000)], resource=where)],
        process.PROCESS_CPU_UTILIZATION: [
            make.series([make.value(20, 0.25)], attributes={host.CPU_MODE: mode}, resource=where)
            for mode in ("user", "system")
        ],
        process.PROCESS_THREAD_COUNT: [make.series([make.value(20, 4)], resource=where)],
        process.TICKSPAN_GC_PAUSE_DURATION: [
            make.series([make.explicit(20, (0.001, 0.01), (99, 1, 0))], kind="histogram", resource=where)
        ],
        memory.MEMORY_LEAK_SLOPE: [make.series([make.value(20, 5e6)], resource=where)],
    }
    verdicts = [
        make.event(number, memory.EVENT_MEMORY_LEAK, 5, {memory.MEMORY_VERDICT: verdict})
        for number, verdict in enumerate(("leaking", "stable", "suspected"))
    ]
    (panel,) = runtime_of(told, verdicts, make.window()).processes
    assert panel.leaks == 2
    assert (panel.service, panel.instance, panel.host) == ("bot", "one", "vm")
    assert panel.memory == (Line("resident", ((make.at(10), 100.0), (make.at(20), 200.0))),)
    assert panel.cpu == (Line("CPU", ((make.at(20), 0.5),)),)
    assert [line.label for line in panel.gc] == ["p50", "p99"]
    assert (panel.resident, panel.limit, panel.cpu_now, panel.threads) == (200, 1000, 0.5, 4)
    assert (panel.gc_pauses, panel.gc_p99_s) == (100, 0.001)
    assert panel.leak_bytes_per_hour == 5e6
    assert panel.files is panel.loop_p99_s is panel.uptime_s is None
    assert panel.last_ns == make.at(20)


def test_a_limit_is_drawn_where_a_quarter_of_it_is_used(make: Make) -> None:
    told = {
        process.PROCESS_MEMORY_USAGE: [make.series([make.value(10, 250)])],
        memory.MEMORY_LIMIT: [make.series([make.value(10, 1000)])],
    }
    (panel,) = runtime_of(told, [], make.window()).processes
    assert [line.label for line in panel.memory] == ["resident", "limit"]


def test_processes_are_kept_apart_and_a_service_can_be_chosen(make: Make) -> None:
    told = {
        process.PROCESS_UPTIME: [
            make.series([make.value(10, number)], resource=make.resource(service, instance))
            for number, (service, instance) in enumerate([("bot", "one"), ("bot", "two"), ("oms", "one")])
        ]
    }
    every = runtime_of(told, [], make.window())
    assert [(panel.service, panel.instance) for panel in every.processes] == [
        ("bot", "one"),
        ("bot", "two"),
        ("oms", "one"),
    ]
    chosen = runtime_of(told, [], make.window(), service="oms")
    assert [panel.uptime_s for panel in chosen.processes] == [2]
    assert chosen.services == ("bot", "oms")


def test_a_pool_in_which_somebody_waits_is_exhausted(make: Make) -> None:
    name = {db.DB_CLIENT_CONNECTION_POOL_NAME: "main"}
    waits = make.series(
        [make.explicit(20, (0.1, 1.0), (0, 5, 0))],
        kind="histogram",
        attributes=name,
    )
    told = {
        db.DB_CLIENT_CONNECTION_COUNT: [
            gauge(make, "", 5, **name, **{db.DB_CLIENT_CONNECTION_STATE: "used"}),
            gauge(make, "", 0, **name, **{db.DB_CLIENT_CONNECTION_STATE: "idle"}),
        ],
        db.DB_CLIENT_CONNECTION_MAX: [gauge(make, "", 5, **name)],
        db.DB_CLIENT_CONNECTION_PENDING_REQUESTS: [gauge(make, "", 2, **name)],
        db.DB_CLIENT_CONNECTION_TIMEOUTS: [counter(make, "", 3, name)],
        db.DB_CLIENT_CONNECTION_WAIT_TIME: [waits],
        pools.TICKSPAN_POOL_LEAKS: [counter(make, "", 1, name)],
    }
    (pool,) = runtime_of(told, [], make.window()).pools
    assert pool.wait_p99_s is not None
    assert 0.1 < pool.wait_p99_s <= 1.0
    assert pool == PoolLine("bot", "one", "main", 5, 0, 5, 2, 3, pool.wait_p99_s, 1, "exhausted")


def test_a_broker_pool_that_is_used_up_is_full(make: Make) -> None:
    name = {db.DB_CLIENT_CONNECTION_POOL_NAME: "binance"}
    told = {
        pools.TICKSPAN_BROKER_CONNECTION_COUNT: [
            gauge(make, "", 2, **name, **{db.DB_CLIENT_CONNECTION_STATE: "used"})
        ],
        pools.TICKSPAN_BROKER_CONNECTION_MAX: [gauge(make, "", 2, **name)],
    }
    (pool,) = runtime_of(told, [], make.window()).pools
    assert pool == PoolLine("bot", "one", "binance", 2, 0, 2, 0, 0, None, 0, "full")


def test_a_cache_has_its_hit_ratio_in_the_range(make: Make) -> None:
    name = {cache.CACHE_NAME: "quotes", cache.CACHE_LEVEL: "memory"}

    def requests(operation: str, result: str, grown: int) -> Series:
        attributes = {**name, cache.CACHE_OPERATION: operation, cache.CACHE_RESULT: result}
        return counter(make, cache.CACHE_REQUESTS, grown, attributes)

    told = {
        cache.CACHE_REQUESTS: [
            requests("get", "hit", 75),
            requests("get", "miss", 20),
            requests("get", "error", 5),
            requests("set", "stored", 40),
        ],
        cache.CACHE_ENTRIES: [gauge(make, "", 12, **name)],
        cache.CACHE_CAPACITY: [gauge(make, "", 100, **name)],
        cache.CACHE_EVICTIONS: [counter(make, "", 6, {cache.CACHE_NAME: "quotes"})],
        cache.CACHE_BREAKER_STATE: [gauge(make, "", 2, **{cache.CACHE_NAME: "quotes"})],
    }
    assert runtime_of(told, [], make.window()).caches == (
        CacheLine("bot", "one", "quotes", "memory", 100, 75, 0.75, 5, 6, 12, 100, "open"),
    )


def test_a_cache_that_nobody_asked_has_no_ratio(make: Make) -> None:
    name = {cache.CACHE_NAME: "quotes", cache.CACHE_LEVEL: "memory"}
    told = {cache.CACHE_ENTRIES: [gauge(make, "", 0, **name)]}
    (line,) = runtime_of(told, [], make.window()).caches
    assert (line.hit_ratio, line.breaker) == (None, "")


def test_leak_verdicts_are_told_with_what_they_rest_on(make: Make) -> None:
    told = {memory.MEMORY_VERDICT: "leaking", memory.MEMORY_SERIES: ("anonymous", "blocks")}
    entry = make.event(1, memory.EVENT_MEMORY_LEAK, 5, told, "Memory is leaking")
    assert runtime_of({}, [entry], make.window()).events == (
        EventLine(
            make.at(5),
            memory.EVENT_MEMORY_LEAK,
            "bot",
            "INFO",
            "Memory is leaking",
            ((memory.MEMORY_SERIES, "anonymous\nblocks"), (memory.MEMORY_VERDICT, "leaking")),
            "",
        ),
    )


def profile(make: Make, number: int, profile_id: str, body: str):
    told = {
        profiler.PROFILE_ID: profile_id,
        profiler.PROFILE_REASON: "slow",
        profiler.PROFILE_SPAN_NAME: "decide",
        profiler.PROFILE_SAMPLES: 3,
    }
    return make.event(number, profiler.EVENT_PROFILE_CAPTURED, 5, told, body, trace_id=make.trace)


def test_the_newest_profile_is_drawn_unless_another_is_named(make: Make) -> None:
    events = [profile(make, 2, "new", "main;f 2\n"), profile(make, 1, "old", "main;f;g 1\nmain 2\n")]
    newest = runtime_of({}, events, make.window())
    assert newest.profile == Profile(
        "new", make.at(5), "bot", "decide", "slow", 3, make.trace, (("main;f", 2),)
    )
    assert [one.id for one in newest.profiles] == ["new", "old"]
    assert newest.events == ()
    named = runtime_of({}, events, make.window(), profile="old").profile
    assert named is not None
    assert named.stacks == (("main", 2), ("main;f;g", 1))
    assert runtime_of({}, events, make.window(), profile="lost").profile is None


def test_lines_that_are_no_stacks_are_left_out() -> None:
    assert stacks_of("a;b 2\nno number x\n\n 5\na;b 3\nc ²\nd 99999999999999999999") == (("a;b", 5),)
    assert stacks_of(None) == ()
