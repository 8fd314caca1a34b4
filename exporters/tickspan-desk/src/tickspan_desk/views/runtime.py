"""The runtime of every process: memory, garbage collection, event loops, pools, caches, profiles. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.leaks import RISING
from tickspan.received import Value
from tickspan.semconv import cache, common, db, memory, pools, process, profiler
from tickspan_desk.store.reading import LogEntry, Series, Window
from tickspan_desk.views.metrics import Line, increase_of, lines_of, measured, values_of

__all__ = [
    "EVENTS",
    "METRICS",
    "CacheLine",
    "EventLine",
    "PoolLine",
    "ProcessPanel",
    "Profile",
    "Runtime",
    "runtime_of",
    "stacks_of",
]

METRICS: Final = (
    process.PROCESS_MEMORY_USAGE,
    process.PROCESS_MEMORY_UTILIZATION,
    process.PROCESS_CPU_UTILIZATION,
    process.PROCESS_THREAD_COUNT,
    process.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT,
    process.PROCESS_UPTIME,
    process.TICKSPAN_GC_PAUSE_DURATION,
    memory.MEMORY_ANONYMOUS,
    memory.MEMORY_LIMIT,
    memory.MEMORY_LEAK_SLOPE,
    memory.EVENTLOOP_SPAN_DELAY,
    memory.EVENTLOOP_UTILIZATION,
    db.DB_CLIENT_CONNECTION_COUNT,
    db.DB_CLIENT_CONNECTION_MAX,
    db.DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    db.DB_CLIENT_CONNECTION_TIMEOUTS,
    db.DB_CLIENT_CONNECTION_WAIT_TIME,
    pools.TICKSPAN_BROKER_CONNECTION_COUNT,
    pools.TICKSPAN_BROKER_CONNECTION_MAX,
    pools.TICKSPAN_BROKER_CONNECTION_PENDING_REQUESTS,
    pools.TICKSPAN_BROKER_CONNECTION_TIMEOUTS,
    pools.TICKSPAN_BROKER_CONNECTION_WAIT_TIME,
    pools.TICKSPAN_POOL_LEAKS,
    cache.CACHE_REQUESTS,
    cache.CACHE_EVICTIONS,
    cache.CACHE_ENTRIES,
    cache.CACHE_CAPACITY,
    cache.CACHE_BREAKER_STATE,
)
"""That the page is made of."""
EVENTS: Final = (
    memory.EVENT_MEMORY_LEAK,
    memory.EVENT_MEMORY_CENSUS,
    memory.EVENT_MEMORY,
    memory.EVENT_MEMORY_SOFT_LIMIT,
    memory.EVENT_EVENTLOOP_BLOCKED,
    memory.EVENT_GC_SECTION_ABORTED,
    pools.EVENT_POOL_LEAK_SUSPECTED,
    pools.EVENT_POOL_ADVICE,
    cache.EVENT_BREAKER_CHANGE,
    cache.EVENT_TIER_UNAVAILABLE,
    profiler.EVENT_PROFILE_CAPTURED,
    profiler.EVENT_PROFILE_REGRESSION,
)
"""That the page tells, newest first."""
_POOLS: Final = (
    (
        db.DB_CLIENT_CONNECTION_COUNT,
        db.DB_CLIENT_CONNECTION_MAX,
        db.DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        db.DB_CLIENT_CONNECTION_TIMEOUTS,
        db.DB_CLIENT_CONNECTION_WAIT_TIME,
    ),
    (
        pools.TICKSPAN_BROKER_CONNECTION_COUNT,
        pools.TICKSPAN_BROKER_CONNECTION_MAX,
        pools.TICKSPAN_BROKER_CONNECTION_PENDING_REQUESTS,
        pools.TICKSPAN_BROKER_CONNECTION_TIMEOUTS,
        pools.TICKSPAN_BROKER_CONNECTION_WAIT_TIME,
    ),
)
_BREAKERS: Final = ("closed", "half open", "open")
_NEAR: Final = 4
"""A limit that is so many times what is used, or more, would press a chart flat."""
_LEAKS: Final = frozenset(state.value for state in RISING)
_MOST_EVENTS: Final = 100
_MOST_PROFILES: Final = 100
_MOST_STACKS: Final = 5_000
_NS_PER_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class ProcessPanel:
    """One process. A number that nobody told is None.

    Attributes:
        memory: lines "resident" and "anonymous", bytes; "limit" too where a quarter of it is used.
        cpu: line of the share of all its processors, 0 to 1.
        gc: lines p50 and p99 of pauses, seconds.
        loop: lines p50 and p99 of how late the event loop is, seconds.
        gc_pauses, gc_p99_s: in the range.
        loop_p99_s: in the range.
        loop_busy: share of the time in which the loop ran callbacks, the last that was told.
        leak_bytes_per_hour: the steepest growth that is taken for a leak.
        leaks: verdicts in the range that suspect a leak.
        last_ns: when something was told last.
    """

    service: str
    instance: str
    host: str
    memory: tuple[Line, ...]
    cpu: tuple[Line, ...]
    gc: tuple[Line, ...]
    loop: tuple[Line, ...]
    resident: float | None
    limit: float | None
    utilization: float | None
    cpu_now: float | None
    threads: float | None
    files: float | None
    uptime_s: float | None
    gc_pauses: int
    gc_p99_s: float | None
    loop_p99_s: float | None
    loop_busy: float | None
    leak_bytes_per_hour: float | None
    leaks: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class PoolLine:
    """A pool of connections of one process.

    Attributes:
        used, idle, largest, waiting: the last that were told.
        timeouts: in the range.
        wait_p99_s: of the range.
        leaks: connections that were held too long, in the range.
        state: "exhausted" where somebody waits, "full" where all are used, else "ok".
    """

    service: str
    instance: str
    name: str
    used: float
    idle: float
    largest: float | None
    waiting: float
    timeouts: int
    wait_p99_s: float | None
    leaks: int
    state: str


@dataclass(frozen=True, slots=True)
class CacheLine:
    """One level of a cache of one process; all but entries and capacity are of the range.

    Attributes:
        hit_ratio: of gets, 0 to 1; None without any.
        errors: requests that the level could not answer.
        breaker: closed, half open or open; "" where none is told.
    """

    service: str
    instance: str
    name: str
    level: str
    gets: int
    hits: int
    hit_ratio: float | None
    errors: int
    evictions: int
    entries: float | None
    capacity: float | None
    breaker: str


@dataclass(frozen=True, slots=True)
class EventLine:
    """Something that the runtime told; `facts` are its attributes as text."""

    at_ns: int
    name: str
    service: str
    severity: str
    text: str
    facts: tuple[tuple[str, str], ...]
    trace_id: str


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples of a trace that was slow or failed.

    Attributes:
        stacks: folded, root first, with their samples; only of the profile that is drawn.
    """

    id: str
    at_ns: int
    service: str
    span_name: str
    reason: str
    samples: int
    trace_id: str
    stacks: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Runtime:
    """All processes of a range.

    Attributes:
        service: that is wanted; "" is all.
        profile: the one that is drawn; None without any.
    """

    window: Window
    service: str
    services: tuple[str, ...]
    processes: tuple[ProcessPanel, ...]
    pools: tuple[PoolLine, ...]
    caches: tuple[CacheLine, ...]
    events: tuple[EventLine, ...]
    profiles: tuple[Profile, ...]
    profile: Profile | None


_Kept = Mapping[str, Sequence[Series]]
_Process = tuple[str, str]


def runtime_of(
    series: Mapping[str, Sequence[Series]],
    events: Sequence[LogEntry],
    window: Window,
    *,
    service: str = "",
    profile: str = "",
) -> Runtime:
    """The runtime as a page shows it.

    Args:
        series: by metric, of `METRICS`; a metric may be missing.
        events: of `EVENTS`, newest first.
        window: that was asked for.
        service: that is wanted; "" is all.
        profile: id of the profile that is drawn; "" is the newest.
    """
    told = {name: [one for one in many if one.points] for name, many in series.items()}
    services = {one.service for many in told.values() for one in many}
    services |= {_service(entry) for entry in events}
    wanted = {name: [one for one in many if service in {"", one.service}] for name, many in told.items()}
    known = [entry for entry in events if service in {"", _service(entry)}]
    captured = [entry for entry in known if entry.record.event_name == profiler.EVENT_PROFILE_CAPTURED]
    profiles = [_profile(entry) for entry in captured[:_MOST_PROFILES]]
    chosen = next((number for number, one in enumerate(profiles) if one.id == profile or not profile), None)
    return Runtime(
        window=window,
        service=service,
        services=tuple(sorted(services)),
        processes=_processes(wanted, known, window),
        pools=_pools(wanted, window),
        caches=_caches(wanted, window),
        events=tuple(
            _event(entry) for entry in known if entry.record.event_name != profiler.EVENT_PROFILE_CAPTURED
        )[:_MOST_EVENTS],
        profiles=tuple(profiles),
        profile=None if chosen is None else _profile(captured[chosen], with_stacks=True),
    )


def stacks_of(body: Value) -> tuple[tuple[str, int], ...]:
    """Folded stacks, one on a line with its samples behind; 5,000 at most. Other lines are left out."""
    found: Counter[str] = Counter()
    for line in str(body or "").splitlines():
        stack, _, samples = line.rpartition(" ")
        if stack and samples.isascii() and samples.isdigit() and len(samples) < 16:  # noqa: PLR2004 - digits of a count
            found[stack] += int(samples)
    return tuple(sorted(found.most_common(_MOST_STACKS)))


def _processes(told: _Kept, events: Iterable[LogEntry], window: Window) -> tuple[ProcessPanel, ...]:
    leaks = Counter(
        (_service(entry), _text(entry.record.resource.get(common.SERVICE_INSTANCE_ID)))
        for entry in events
        if entry.record.event_name == memory.EVENT_MEMORY_LEAK
        and entry.record.attributes.get(memory.MEMORY_VERDICT) in _LEAKS
    )
    of_process = (
        process.PROCESS_MEMORY_USAGE,
        process.PROCESS_CPU_UTILIZATION,
        process.PROCESS_UPTIME,
        process.TICKSPAN_GC_PAUSE_DURATION,
        memory.EVENTLOOP_SPAN_DELAY,
    )
    known = {_process(one) for name in of_process for one in told.get(name, ())}
    panels = [_panel(who, told, leaks[who], window) for who in known]
    return tuple(sorted(panels, key=lambda panel: (panel.service, -panel.last_ns, panel.instance)))


def _panel(who: _Process, told: _Kept, leaks: int, window: Window) -> ProcessPanel:
    def of(name: str) -> list[Series]:
        return [one for one in told.get(name, ()) if _process(one) == who]

    usage, pauses, late = of(process.PROCESS_MEMORY_USAGE), of(process.TICKSPAN_GC_PAUSE_DURATION), of(_LATE)
    anonymous, limit, cpu = (
        of(memory.MEMORY_ANONYMOUS),
        of(memory.MEMORY_LIMIT),
        of(process.PROCESS_CPU_UTILIZATION),
    )
    every = [one for name in told for one in of(name)]
    resident, most = _last(usage), _last(limit)
    is_near = resident is not None and most is not None and resident * _NEAR >= most
    return ProcessPanel(
        service=who[0],
        instance=who[1],
        host=next((host for one in every if (host := _text(one.resource.get(common.HOST_NAME)))), ""),
        memory=(
            *_named("resident", usage),
            *_named("anonymous", anonymous),
            *_named("limit", limit if is_near else ()),
        ),
        cpu=_summed("CPU", cpu),
        gc=lines_of(pauses, window),
        loop=lines_of(late, window),
        resident=resident,
        limit=most,
        utilization=_last(of(process.PROCESS_MEMORY_UTILIZATION)),
        cpu_now=_last(cpu),
        threads=_last(of(process.PROCESS_THREAD_COUNT)),
        files=_last(of(process.PROCESS_UNIX_FILE_DESCRIPTOR_COUNT)),
        uptime_s=_last(of(process.PROCESS_UPTIME)),
        gc_pauses=int(sum(increase_of(one, window) for one in pauses)),
        gc_p99_s=measured(pauses, window).quantile(0.99),
        loop_p99_s=measured(late, window).quantile(0.99),
        loop_busy=_last(of(memory.EVENTLOOP_UTILIZATION)),
        leak_bytes_per_hour=max(
            (value for one in of(memory.MEMORY_LEAK_SLOPE) if (value := _last([one])) is not None),
            default=None,
        ),
        leaks=leaks,
        last_ns=max((one.points[-1].time_ns for one in every), default=0),
    )


_LATE: Final = memory.EVENTLOOP_SPAN_DELAY


def _pools(told: _Kept, window: Window) -> tuple[PoolLine, ...]:
    lines: list[PoolLine] = []
    for names in _POOLS:
        keys = {(*_process(one), _pool(one)) for name in names[:3] for one in told.get(name, ())}
        lines += [_pool_line(key, names, told, window) for key in sorted(keys)]
    return tuple(lines)


def _pool_line(key: tuple[str, str, str], names: Sequence[str], told: _Kept, window: Window) -> PoolLine:
    def of(name: str) -> list[Series]:
        return [one for one in told.get(name, ()) if (*_process(one), _pool(one)) == key]

    counts, largest, pending, timeouts, waits = map(of, names)
    by_state = {state: [one for one in counts if _state(one) == state] for state in ("used", "idle")}
    used, idle, waiting = (
        _last(by_state["used"]) or 0.0,
        _last(by_state["idle"]) or 0.0,
        _last(pending) or 0.0,
    )
    most = _last(largest)
    is_full = most is not None and 0 < most <= used
    return PoolLine(
        *key,
        used=used,
        idle=idle,
        largest=most,
        waiting=waiting,
        timeouts=int(sum(increase_of(one, window) for one in timeouts)),
        wait_p99_s=measured(waits, window).quantile(0.99),
        leaks=int(sum(increase_of(one, window) for one in of(pools.TICKSPAN_POOL_LEAKS))),
        state="exhausted" if waiting > 0 else "full" if is_full else "ok",
    )


def _caches(told: _Kept, window: Window) -> tuple[CacheLine, ...]:
    keys = {
        (*_process(one), _attribute(one, cache.CACHE_NAME), _attribute(one, cache.CACHE_LEVEL))
        for name in (cache.CACHE_REQUESTS, cache.CACHE_ENTRIES)
        for one in told.get(name, ())
    }
    return tuple(_cache_line(key, told, window) for key in sorted(keys))


def _cache_line(key: tuple[str, str, str, str], told: _Kept, window: Window) -> CacheLine:
    service, instance, name, level = key

    def of(metric: str, *, of_level: bool = True) -> list[Series]:
        return [
            one
            for one in told.get(metric, ())
            if _process(one) == (service, instance)
            and _attribute(one, cache.CACHE_NAME) == name
            and (not of_level or _attribute(one, cache.CACHE_LEVEL) == level)
        ]

    results: Counter[str] = Counter()
    for one in of(cache.CACHE_REQUESTS):
        if _attribute(one, cache.CACHE_OPERATION) == "get":
            results[_attribute(one, cache.CACHE_RESULT)] += int(increase_of(one, window))
    gets, hits = results.total(), results["hit"]
    breaker = _last(of(cache.CACHE_BREAKER_STATE, of_level=False))
    return CacheLine(
        *key,
        gets=gets,
        hits=hits,
        hit_ratio=hits / gets if gets else None,
        errors=results["error"],
        evictions=int(sum(increase_of(one, window) for one in of(cache.CACHE_EVICTIONS, of_level=False))),
        entries=_last(of(cache.CACHE_ENTRIES)),
        capacity=_last(of(cache.CACHE_CAPACITY)),
        breaker="" if breaker is None else _BREAKERS[min(max(int(breaker), 0), len(_BREAKERS) - 1)],
    )


def _event(entry: LogEntry) -> EventLine:
    record = entry.record
    return EventLine(
        at_ns=record.time_ns or record.observed_ns,
        name=record.event_name,
        service=_service(entry),
        severity=record.severity_text,
        text=_text(record.body),
        facts=tuple((name, _text(value)) for name, value in sorted(record.attributes.items())),
        trace_id=record.trace_id or "",
    )


def _profile(entry: LogEntry, *, with_stacks: bool = False) -> Profile:
    record, told = entry.record, entry.record.attributes
    samples = told.get(profiler.PROFILE_SAMPLES)
    return Profile(
        id=_text(told.get(profiler.PROFILE_ID)) or str(entry.number),
        at_ns=record.time_ns or record.observed_ns,
        service=_service(entry),
        span_name=_text(told.get(profiler.PROFILE_SPAN_NAME)),
        reason=_text(told.get(profiler.PROFILE_REASON)),
        samples=samples if isinstance(samples, int) else 0,
        trace_id=record.trace_id or "",
        stacks=stacks_of(record.body) if with_stacks else (),
    )


def _named(label: str, series: Sequence[Series]) -> tuple[Line, ...]:
    """The line of the first series: a process has one of these each."""
    return (Line(label, values_of(series[0])[0]),) if series else ()


def _summed(label: str, series: Sequence[Series]) -> tuple[Line, ...]:
    """Points of the same moment added up: a process tells all modes at once."""
    totals: dict[int, float] = defaultdict(float)
    for one in series:
        for at_ns, value in values_of(one)[0]:
            totals[at_ns] += value
    return (Line(label, tuple(sorted(totals.items()))),) if totals else ()


def _last(series: Iterable[Series]) -> float | None:
    """The newest values of all series, added up; None without any."""
    values = [
        float(one.points[-1].value)
        for one in series
        if one.points and one.points[-1].value is not None and math.isfinite(one.points[-1].value)
    ]
    return sum(values) if values else None


def _process(series: Series) -> _Process:
    return series.service, _text(series.resource.get(common.SERVICE_INSTANCE_ID))


def _pool(series: Series) -> str:
    return _attribute(series, db.DB_CLIENT_CONNECTION_POOL_NAME)


def _state(series: Series) -> str:
    return _attribute(series, db.DB_CLIENT_CONNECTION_STATE)


def _attribute(series: Series, name: str) -> str:
    return _text(series.attributes.get(name))


def _service(entry: LogEntry) -> str:
    return _text(entry.record.resource.get(common.SERVICE_NAME))


def _text(value: Value) -> str:
    if isinstance(value, tuple):
        return "\n".join(map(_text, value))
    return "" if value is None else str(value)
