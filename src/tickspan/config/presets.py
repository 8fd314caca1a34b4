"""Presets: named bundles of settings for three kinds of programs, and for looking closely. Data only.

A preset is the weakest layer above the defaults: whatever a program, its environment or its file sets itself
stays as it is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

Plain = str | bool | int | float


@dataclass(frozen=True, slots=True)
class PresetRow:
    """One setting of a preset.

    Attributes:
        key: dotted, such as `memory.optimize`.
        value: as a settings file would have it.
        why: what that is good for in such a program.
    """

    key: str
    value: Plain
    why: str


HFT: Final = "hft"
RISK: Final = "risk"
OMS: Final = "oms"
DEBUG: Final = "debug"
PURPOSES: Final = {
    HFT: "programs to which an old price is worse than none, and waiting worse than both",
    RISK: "programs that need every figure, and read by turns much and little: risk, reports, research",
    OMS: "programs that share the state of orders, and answer for each of them",
    DEBUG: "looking closely at one program: more is told, and it costs more",
}
"""For what kind of programs each preset is."""

_MIB: Final = 1024 * 1024
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 24 * _HOUR_S

PRESETS: Final = {
    HFT: (
        PresetRow("memory.optimize", "hft", "full collections of garbage walk only what came after warm-up"),
        PresetRow("memory.heartbeat_s", 0.02, "a blocked event loop is told to within 20 ms"),
        PresetRow("pools.max_hold_s", 5.0, "a connection that is held so long is missing elsewhere"),
        PresetRow("pools.max_lifetime_s", 8 * _HOUR_S, "no connection is made anew during a session"),
        PresetRow("cache.quotes_ttl_s", 0.25, "an older price is a miss, whatever has failed"),
        PresetRow("cache.load_wait_s", 0.005, "an older value that may be given is given after 5 ms"),
        PresetRow("cache.load_timeout_s", 0.25, "who waits for another's load loads after 250 ms"),
        PresetRow("redis.timeout_s", 0.005, "Redis answers within 5 ms, or the program goes on without"),
        PresetRow("redis.connect_timeout_s", 0.05, "a Redis that is away costs 50 ms, not 250"),
        PresetRow("profiler.control", value=False, why="no profile is taken in the middle of a session"),
        PresetRow("queries.slow_s", 0.05, "a statement on the way to an order is slow after 50 ms"),
        PresetRow("queries.transaction_s", 0.1, "a transaction keeps others waiting after 100 ms"),
        PresetRow("queries.idle_s", 0.02, "a transaction that waits for the program is told after 20 ms"),
        PresetRow("lazy.prefetch_bytes", _MIB, "a scan beside the strategy takes small bites"),
        PresetRow("lazy.fetch_s", 0.01, "and short ones"),
        PresetRow("database.params_hash", value=False, why="no hash of parameters between tick and order"),
        PresetRow("database.orm_path", value=False, why="no look at relationships of the mapper either"),
        PresetRow("trading.stale_decision_s", 0.25, "an order that an older tick caused is told"),
        PresetRow("trading.feed_stale_s", 1.0, "a stream that is silent for a second may be stale"),
        PresetRow("trading.throttle_warn_s", 0.05, "an order that waits 50 ms inside its client is told"),
    ),
    RISK: (
        PresetRow("memory.optimize", "datasets", "rare collections; free memory goes back when idle"),
        PresetRow("memory.checks", value=True, why="a span during which the process grew is told"),
        PresetRow("memory.growth_bytes", 1024 * _MIB, "by a GiB, that is: less is usual for a report"),
        PresetRow("pools.max_hold_s", 900.0, "a long scan is no leak"),
        PresetRow("cache.policy", "adaptive", "long scans and hot keys by turns: the policy follows"),
        PresetRow("cache.max_entries", 100_000, "a book of instruments fits"),
        PresetRow("cache.max_bytes", 256 * _MIB, "and its curves and surfaces"),
        PresetRow("cache.stale_s", _DAY_S, "yesterday's value stands in while what makes it fails"),
        PresetRow("redis.timeout_s", 0.25, "large values take their time"),
        PresetRow("profiler.mode", "continuous", "shows where the hours of a report go"),
        PresetRow("queries.slow_s", 5.0, "a scan of a second is no finding here"),
        PresetRow("queries.large_rows", 1_000_000, "nor is one of a hundred thousand rows"),
        PresetRow("queries.transaction_s", 300.0, "one consistent view lasts as long as its report"),
        PresetRow("queries.idle_s", 30.0, "between two statements of a report is arithmetic"),
        PresetRow("lazy.chunk", 10_000, "fewer statements for millions of rows"),
        PresetRow("lazy.prefetch_bytes", 64 * _MIB, "the next chunk is there when one is done"),
        PresetRow("lazy.fetch_s", 0.25, "chunks grow until one takes a quarter of a second"),
        PresetRow("database.slow_s", 1.0, "a statement of a second tells its line of code"),
    ),
    OMS: (
        PresetRow("memory.optimize", "hft", "an acknowledgement does not wait for the garbage collector"),
        PresetRow("pools.max_hold_s", 10.0, "a connection that is held so long is missing elsewhere"),
        PresetRow("pools.reclaim_dead", value=True, why="what a finished task has kept is taken back"),
        PresetRow("cache.orders", value=True, why="get_cached_order_status() knows every order's last state"),
        PresetRow("profiler.mode", "tail", "an order that was slow or failed shows what ran meanwhile"),
        PresetRow("queries.slow_s", 0.1, "a statement between two states of an order is slow after 100 ms"),
        PresetRow("queries.transaction_s", 0.5, "a transaction keeps other orders waiting after 500 ms"),
        PresetRow("lazy.fetch_s", 0.02, "reading the day's orders keeps no new one waiting"),
        PresetRow("database.slow_s", 0.05, "a statement of 50 ms tells its line of code"),
        PresetRow("redis.message_spans", value=True, why="what another process announced has its own span"),
        PresetRow("trading.max_orders", 100_000, "a day's orders are remembered"),
        PresetRow("trading.terminal_ttl_s", _DAY_S, "a late bust or correction finds its order"),
        PresetRow("trading.event_window_s", _HOUR_S, "reports of the next hour are children of the order"),
        PresetRow("trading.unknown_after_s", 2.0, "an order whose fate nobody knows is told after 2 s"),
        PresetRow("spool.fsync", "interval", "what is told of orders survives the machine's death too"),
    ),
    DEBUG: (
        PresetRow("debug", value=True, why="own log lines: what is switched on, and why something is not"),
        PresetRow("memory.checks", value=True, why="a span during which the process grew is told"),
        PresetRow("memory.growth_bytes", 16 * _MIB, "by 16 MiB or more"),
        PresetRow("memory.heartbeat_s", 0.02, "a blocked event loop is told to within 20 ms"),
        PresetRow("pools.max_hold_s", 5.0, "a connection that is held for 5 s is told, with who holds it"),
        PresetRow("cache.load_timeout_s", 1.0, "a load that hangs is seen after a second"),
        PresetRow("profiler.mode", "tail", "slow and failed traces show what ran meanwhile"),
        PresetRow("profiler.hz", 50.0, "in more detail than a program in production needs"),
        PresetRow("queries.repeats", 3, "three queries alike under one parent are told"),
        PresetRow("lazy.prefetch", 0, "rows are fetched when they are asked for, in the caller's own trace"),
        PresetRow("tracing.detail", "full", "each tick has a span, each statement tells its line of code"),
        PresetRow("redis.message_spans", value=True, why="each message that redis-py receives has a span"),
        PresetRow("trading.backtest_traces", value=True, why="each order of a back-test has a trace"),
        PresetRow("logs.level", "DEBUG", "everything that the program logs is recorded"),
        PresetRow("logs.throttle", 0, "however often one line of code writes"),
        PresetRow("metrics.interval_s", 1.0, "numbers are of the last second"),
        PresetRow("alerts.strict", value=True, why="a mistake in the rule file is an error at the start"),
    ),
}
"""The rows of each preset. `docs/reference/presets.md` is made of them."""


def rows_of(names: Iterable[str]) -> Iterator[tuple[str, PresetRow]]:
    """The rows of presets, each with the preset's name; of a key that several set, the last one counts.

    Raises:
        ValueError: a name is unknown; the text names the nearest.
    """
    for name in names:
        if name not in PRESETS:
            raise ValueError(f"unknown preset '{name}'{_hint(name)}")
        for row in PRESETS[name]:
            yield name, row


def _hint(name: str) -> str:
    nearest = difflib.get_close_matches(name.lower(), PRESETS, n=1, cutoff=0.4)
    return f"; did you mean '{nearest[0]}'?" if nearest else f"; known: {', '.join(PRESETS)}"
