"""Providers over a sink in memory, and the tier of a process on them, on clocks of the test's."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from tickspan.alerts.process import ProcessTier
from tickspan.alerts.rulebook import Rulebook
from tickspan.alerts.wiring import Wiring
from tickspan.config import AlertSettings
from tickspan.providers import LoggerProvider, MeterProvider, TracerProvider
from tickspan.semconv import alerts as names
from tickspan.testing.sink import MemorySink


class Clock:
    """Stands still until it is told."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class Desk:
    """A process under test."""

    sink: MemorySink
    wiring: Wiring
    monotonic: Clock = field(default_factory=lambda: Clock(100.0))
    wall: Clock = field(default_factory=lambda: Clock(1_700_000_000.0))
    tiers: list[ProcessTier] = field(default_factory=list[ProcessTier])

    def tier(self, book: Rulebook) -> ProcessTier:
        """Its tier, without a thread."""
        made = ProcessTier(self.wiring, book, self.monotonic, self.wall)
        self.tiers.append(made)
        made.refresh()
        return made

    def wait(self, tier: ProcessTier, seconds: float) -> None:
        """Let time pass, then let the tier do what is due."""
        self.monotonic.now_s += seconds
        self.wall.now_s += seconds
        tier.turn()

    @property
    def meter(self) -> Any:
        """Of the program."""
        return self.wiring.meter_provider.get_meter("desk")

    def changes(self) -> list[tuple[str, str, str]]:
        """Rule, state before and state of each change that was written as a log event."""
        return [
            (
                str(event.attributes[names.ALERT_NAME]),
                str(event.attributes[names.ALERT_PREVIOUS_STATE]),
                str(event.attributes[names.ALERT_STATE]),
            )
            for event in self.sink.telemetry().logs
            if event.event_name == names.EVENT_STATE_CHANGE
        ]


@pytest.fixture
def make_desk() -> Generator[Callable[..., Desk]]:
    """Makes processes; keywords are settings of alerts."""
    made: list[Desk] = []

    def make(file: Path | None = None, **settings: Any) -> Desk:
        sink = MemorySink()
        resource = Resource({"service.name": "bot", "service.instance.id": "one"})
        options: dict[str, Any] = {"resource": resource, "shutdown_on_exit": False, "sink": sink}
        wiring = Wiring(
            TracerProvider(**options),
            MeterProvider(**options),
            LoggerProvider(**options),
            AlertSettings(**settings),
            file,
        )
        made.append(Desk(sink, wiring))
        return made[-1]

    yield make
    for desk in made:
        for tier in desk.tiers:
            tier.close()
        desk.wiring.meter_provider.shutdown()


@pytest.fixture
def desk(make_desk: Callable[..., Desk]) -> Desk:
    """A process with default settings."""
    return make_desk()
