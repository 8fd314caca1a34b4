"""The calls of `tickspan.memory` that speak to the one governor, the loops and the census of this process."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractContextManager
from typing import Final

from tickspan.memory.censor import BUDGET_S, Censor, Census
from tickspan.memory.governor import Freeze, Governor, IdleWindow, Plan, governor
from tickspan.recording.loops import LOOPS

__all__ = [
    "census",
    "get_memory_optimizer",
    "idle_window",
    "optimize_for_high_frequency_trading",
    "optimize_for_large_datasets",
    "plan",
    "warmed_up",
    "watch_loop",
]

_censors: Final[list[Censor]] = []


def get_memory_optimizer() -> Governor:
    """The governor of this process: its methods are the calls of this package that have their names."""
    return governor()


def warmed_up() -> Freeze:
    """Collect once, then let the collector leave alone all that is there. Later calls change nothing.

    For the moment when everything that lives long has been made: a full collection has nothing to walk then.
    """
    return governor().warmed_up()


def plan(
    thresholds: tuple[int, int, int] | None = None,
    *,
    freeze: bool = True,
    idle_collect: bool = True,
    max_growth_bytes: int | None = None,
) -> Plan:
    """Set the collector by a plan, which `Plan.revert()` takes back as a whole. A later plan replaces it.

    It takes itself back, for an hour, when the process has grown too much; after the second time for good.

    Args:
        thresholds: of `gc.set_threshold`; by default what is best for the interpreter.
        freeze: as `warmed_up`.
        idle_collect: a full collection at the beginning of each `idle_window`.
        max_growth_bytes: by which the process may grow; by default 256 MiB or a quarter, whatever is more.

    Raises:
        ValueError: thresholds are not three numbers from 0 on, or the growth is not above 0.
    """
    return governor().plan(
        thresholds, freeze=freeze, idle_collect=idle_collect, max_growth_bytes=max_growth_bytes
    )


def optimize_for_high_frequency_trading() -> Plan:
    """Freeze, short collections, long ones in idle windows only, heartbeats of 20 ms."""
    return governor().optimize_for_high_frequency_trading()


def optimize_for_large_datasets() -> Plan:
    """Rare collections, no freeze, since the heap changes; free memory goes back in idle windows."""
    return governor().optimize_for_large_datasets()


def idle_window() -> AbstractContextManager[IdleWindow]:
    """A time in which nobody is kept waiting: what the plan has put off is done when it begins."""
    return governor().idle_window()


def watch_loop(loop: asyncio.AbstractEventLoop | None = None, name: str | None = None) -> None:
    """Watch an event loop from now on, whatever its class; loops of asyncio and uvloop need no call.

    Args:
        loop: the running one by default; another one begins when it comes round.
        name: in telemetry; by default that of its thread.

    Raises:
        RuntimeError: no loop is given, and none runs here.
    """
    running = asyncio._get_running_loop()  # noqa: SLF001 - public, but for its name: None instead of an error
    if loop is None or loop is running:
        if running is None:
            raise RuntimeError("watch_loop: no event loop runs in this thread; give one")
        LOOPS.watch(running, name)
    else:
        loop.call_soon_threadsafe(LOOPS.watch, loop, name)


def census(budget_s: float = BUDGET_S) -> Census:
    """Count objects by type, and find the longest containers by what holds them.

    Args:
        budget_s: for how long the list of all objects may stop the process. Where it would take longer, types
            are not counted, and `Census.declined` says so. Longest where nothing is frozen: 35 ms for two
            million objects.

    Raises:
        ValueError: the budget is negative.
    """
    if not _censors:
        _censors.append(Censor(_blocks_not_frozen))
    return _censors[0].take(budget_s)


def _blocks_not_frozen() -> int:
    return max(0, sys.getallocatedblocks() - governor().frozen_blocks)
