"""What the tick path and the order path enter, under a profiler; in children of the nursery, never timed."""

from __future__ import annotations

import asyncio
import cProfile
import pstats
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.trading import switching
from benchmarks.trading.frames import Desk

_WARM_UP: Final = 50
_OURS: Final = ("tickspan", "opentelemetry")


def ticks(frames: Mapping[str, Any], count: int) -> dict[str, Any]:
    """So many ticker frames from `handle_message` to who waits for them."""
    return asyncio.run(_profiled(frames, count, _tick))


def orders(frames: Mapping[str, Any], count: int) -> dict[str, Any]:
    """So many orders from their tick to their last fill."""
    return asyncio.run(_profiled(frames, count, _live))


def _tick(desk: Desk, count: int) -> Coroutine[Any, Any, None]:
    return desk.handle("ticker", desk.frames("ticker", count))


def _live(desk: Desk, count: int) -> Coroutine[Any, Any, None]:
    return desk.live(desk.lives(count))


async def _profiled(
    frames: Mapping[str, Any], count: int, prepare: Callable[[Desk, int], Coroutine[Any, Any, None]]
) -> dict[str, Any]:
    switching.begin()
    desk = Desk(frames)
    await desk.begin()
    await prepare(desk, _WARM_UP)
    work = prepare(desk, count)
    profile = cProfile.Profile(builtins=False)  # what is built in counts as its caller's own time
    profile.enable()
    await work
    profile.disable()
    await desk.close()
    switching.end()
    return functions_of(pstats.Stats(profile), count)


def functions_of(stats: Any, count: int) -> dict[str, Any]:
    """Functions of ours and of OpenTelemetry's by own time: calls for one of `count`, share of theirs."""
    entered = [
        (_title(file, name), calls, own_s)
        for (file, _, name), (_, calls, own_s, _, _) in stats.stats.items()
        if _is_ours(file)
    ]
    ours_s = sum(own_s for _, _, own_s in entered)
    whole_s = sum(own_s for _, _, own_s, _, _ in stats.stats.values())
    return {
        "functions": [
            {"function": title, "calls": calls / count, "share": own_s / ours_s}
            for title, calls, own_s in sorted(entered, key=lambda entry: -entry[2])
        ],
        "calls": sum(calls for _, calls, _ in entered) / count,
        "share": ours_s / whole_s if whole_s else 0.0,
    }


def _is_ours(file: str) -> bool:
    return any(part.startswith(_OURS) and part.isidentifier() for part in Path(file).parts[:-1])


def _title(file: str, name: str) -> str:
    """`tickspan/trading/registry.py: observe`: the path from its package on."""
    parts = Path(file).parts
    package = next(
        place for place, part in enumerate(parts) if part.startswith(_OURS) and part.isidentifier()
    )
    return f"{'/'.join(parts[package:])}: {name}"
