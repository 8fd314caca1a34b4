"""Everything of memory that a process has switched on by its settings, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider

from tickspan.config import MemorySettings
from tickspan.processors.memory.blocks import BlockTeller
from tickspan.processors.memory.checks import install
from tickspan.processors.memory.spans import watch_spans
from tickspan.recording.loops import LOOPS

__all__ = ["watch"]

_QUICKEST_S: Final = 0.01
"""A heartbeat; quicker ones would be most of what an idle loop does."""


def watch(
    tracers: object, meters: MeterProvider, loggers: LoggerProvider, settings: MemorySettings
) -> Callable[[], None]:
    """Begin what `settings` ask for; returns what stops it."""
    undo: list[Callable[[], None]] = []
    if settings.loops:
        LOOPS.set_period(max(_QUICKEST_S, settings.heartbeat_s))
        teller = BlockTeller(meters, loggers)
        teller.start()
        undo += [LOOPS.stop, teller.stop]
    if settings.spans:
        undo.append(watch_spans(tracers, loops=LOOPS if settings.loops else None))
    if settings.checks:
        undo.append(install(tracers, meters, loggers, settings))

    def stop() -> None:
        while undo:
            undo.pop()()

    return stop
