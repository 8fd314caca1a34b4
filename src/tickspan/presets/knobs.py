"""What can be changed in a program that runs: each knob turns a few settings, and gives what undoes it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import _logs, metrics, trace

from tickspan.config import MemoryPlan, ProfilerMode, Settings

Undo = Callable[[], None]
Turn = Callable[[Settings, Settings], Undo]
"""Takes the settings of before and those of afterwards."""


class NotNowError(Exception):
    """A knob cannot be turned in this program; the text says why."""


@dataclass(frozen=True, slots=True)
class Knob:
    """Settings that are changed together."""

    keys: tuple[str, ...]
    turn: Turn


def _heartbeat(_before: Settings, after: Settings) -> Undo:
    from tickspan.recording.loops import LOOPS  # each knob loads what it turns, and no more

    period_s = LOOPS.period_s
    LOOPS.set_period(after.memory.heartbeat_s)
    return lambda: LOOPS.set_period(period_s)


def _collector(_before: Settings, after: Settings) -> Undo:
    """The plan is applied at once, not after a warm-up: who calls knows that the program is warm."""
    from tickspan.memory.governor import governor

    govern = governor()
    earlier = govern.current
    if after.memory.optimize is MemoryPlan.HFT:
        plan = govern.optimize_for_high_frequency_trading()
    else:
        plan = govern.optimize_for_large_datasets()
    if plan.declined is not None:
        raise NotNowError(plan.declined)

    def undo() -> None:
        if earlier is plan:
            return
        plan.revert()
        if earlier is not None:
            govern.resume(earlier)

    return undo


def _checks(before: Settings, after: Settings) -> Undo:
    from tickspan.processors.memory import install
    from tickspan.providers.tracer import TracerProvider

    if before.memory.checks:
        raise NotNowError("memory is checked already, by the limits of the start")
    if not after.memory.checks:
        return _nothing
    tracers = trace.get_tracer_provider()
    if not isinstance(tracers, TracerProvider):
        raise NotNowError("it needs tickspan's tracer provider: tickspan run, or tickspan.init()")
    return install(tracers, metrics.get_meter_provider(), _logs.get_logger_provider(), after.memory)


def _pools(_before: Settings, after: Settings) -> Undo:
    """For pools that are made from now on."""
    from tickspan.pools import defaults

    used = defaults.settings_used()
    defaults.use_settings(after.pools)
    return lambda: defaults.use_settings(used)


def _cache(before: Settings, after: Settings) -> Undo:
    """The process's cache, if it is made, and the one that it makes otherwise."""
    shared, presets = _cache_modules()
    used = shared.settings_used()
    shared.use_settings(after)
    made = shared.cache_made()
    if made is None:
        return lambda: shared.use_settings(used)
    rules, regions = made.rules_used
    was, wanted = presets.CacheSettings.of(before), presets.CacheSettings.of(after)
    made.use_rules(
        rules.replace(**_changed(was.rules, wanted.rules)), {**regions, **_without(wanted.regions, "orders")}
    )

    def undo() -> None:
        made.use_rules(rules, regions)
        shared.use_settings(used)

    return undo


def _orders(before: Settings, after: Settings) -> Undo:
    shared, presets = _cache_modules()
    used = shared.settings_used()
    shared.use_settings(after)
    was_made = shared.cache_made() is not None
    try:
        cache = shared.get_cache()
    except ImportError as error:
        shared.use_settings(used)
        raise NotNowError(str(error)) from None
    if not was_made:

        def unmake() -> None:
            cache.close()
            shared.use_cache(None)
            shared.use_settings(used)

        return unmake
    kept_before, (rules, regions) = cache.keeps_orders, cache.rules_used
    cache.use_rules(rules, {**regions, "orders": presets.CacheSettings.of(after).regions["orders"]})
    cache.enable_order_status_caching()

    def undo() -> None:
        if not kept_before:
            cache.disable_order_status_caching()
        cache.use_rules(rules, regions)
        shared.use_settings(used)

    del before
    return undo


def _cache_modules() -> tuple[Any, Any]:
    """`cache.shared` and `cache.presets`, whose libraries are optional."""
    try:
        from tickspan.cache import presets, shared
    except ImportError as error:
        raise NotNowError(f"there is no cache: {error}") from None
    return shared, presets


def _lazy(_before: Settings, after: Settings) -> Undo:
    """For iterations that begin later."""
    from tickspan.lazy.rules import LazyRules, configure

    given = after.lazy
    return configure(LazyRules(given.chunk, given.prefetch, given.prefetch_bytes, given.fetch_s)).restore


def _profiler(_before: Settings, after: Settings) -> Undo:
    from tickspan.profiler.profiler import get_profiler

    profiler, given = get_profiler(), after.profiler
    if profiler.is_running:
        raise NotNowError("the profiler runs already, as it was started")
    if given.mode is ProfilerMode.OFF:
        return _nothing
    rate = profiler.sample_rate
    profiler.start(
        "tail" if given.mode is ProfilerMode.TAIL else "continuous",
        hz=given.hz,
        cpu_budget=given.cpu_budget,
        slow_s=given.slow_s or None,
    )

    def undo() -> None:
        profiler.stop()
        profiler.set_sample_rate(rate)

    return undo


def _logs_captured(_before: Settings, after: Settings) -> Undo:
    from tickspan.logs.capture import CAPTURE

    used = CAPTURE.settings
    CAPTURE.configure(dataclasses.replace(used, level=after.logs.level, throttle=after.logs.throttle))
    return lambda: CAPTURE.configure(used)


def _own_lines(_before: Settings, after: Settings) -> Undo:
    from tickspan.recording import diagnostics

    level = diagnostics.level
    if after.debug:
        diagnostics.setLevel(logging.DEBUG)
    return lambda: diagnostics.setLevel(level)


def _interval(_before: Settings, after: Settings) -> Undo:
    """From the collection after the next on."""
    provider: Any = metrics.get_meter_provider()
    interval_s = getattr(provider, "interval_s", None)
    if interval_s is None:
        raise NotNowError("it needs tickspan's meter provider: tickspan run, or tickspan.init()")
    provider.interval_s = after.metrics.interval_s

    def undo() -> None:
        provider.interval_s = interval_s

    return undo


def _nothing() -> None:
    """Nothing was turned."""


def _changed(before: Any, after: Any) -> dict[str, Any]:
    """The fields of a dataclass in which two values differ, as the later one has them."""
    return {
        item.name: getattr(after, item.name)
        for item in dataclasses.fields(after)
        if getattr(before, item.name) != getattr(after, item.name)
    }


def _without(regions: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {region: rules for region, rules in regions.items() if region != name}


KNOBS: Final = (
    Knob(("debug",), _own_lines),
    Knob(("memory.heartbeat_s",), _heartbeat),
    Knob(("memory.optimize",), _collector),
    Knob(("memory.checks", "memory.growth_bytes"), _checks),
    Knob(("pools.max_hold_s", "pools.max_lifetime_s", "pools.reclaim_dead"), _pools),
    Knob(
        (
            "cache.max_entries",
            "cache.max_bytes",
            "cache.policy",
            "cache.stale_s",
            "cache.quotes_ttl_s",
            "cache.load_wait_s",
            "cache.load_timeout_s",
        ),
        _cache,
    ),
    Knob(("cache.orders",), _orders),
    Knob(("lazy.chunk", "lazy.prefetch", "lazy.prefetch_bytes", "lazy.fetch_s"), _lazy),
    Knob(("profiler.mode", "profiler.hz", "profiler.cpu_budget"), _profiler),
    Knob(("logs.level", "logs.throttle"), _logs_captured),
    Knob(("metrics.interval_s",), _interval),
)

_INSTRUMENTORS: Final = "instrumentors take it when they are switched on"
_CHOSEN_AT_START: Final[Mapping[str, str]] = {
    "alerts.strict": "the rule file is read at the start",
    "database.": _INSTRUMENTORS,
    "profiler.control": "requests are looked for from the start on, or not at all",
    "queries.": "the agent reads it, from the environment or the settings file",
    "redis.message_spans": _INSTRUMENTORS,
    "redis.": "a connection keeps the limits that it was made with",
    "spool.": "the spool is made at the start",
    "tracing.": _INSTRUMENTORS,
    "trading.": _INSTRUMENTORS,
}


def reason_for_start(key: str) -> str | None:
    """Why a setting can only be chosen at the start; None for those that a knob turns."""
    return next((reason for prefix, reason in _CHOSEN_AT_START.items() if key.startswith(prefix)), None)
