"""A capture of its own for each test, over a provider whose records stay in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tickspan.config import LogSettings
from tickspan.logs.capture import Capture
from tickspan.logs.logger import CategoryLogger, DirectLogger
from tickspan.providers.logger import LoggerProvider
from tickspan.received import ReceivedLog
from tickspan.testing.sink import MemorySink


@dataclass(slots=True)
class Desk:
    """A capture that is on, and what it has written."""

    capture: Capture
    sink: MemorySink
    provider: LoggerProvider
    clock: list[float] = field(default_factory=lambda: [0.0])

    def logs(self) -> tuple[ReceivedLog, ...]:
        """Records so far."""
        return self.sink.telemetry().logs

    def bodies(self) -> list[Any]:
        """Of those."""
        return [log.body for log in self.logs()]

    def logger(self, name: str = "oms", category: str | None = None) -> CategoryLogger:
        """A logger whose records come here."""
        return CategoryLogger(logging.getLogger(name), category, self.capture)

    def direct(self, name: str = "md", category: str | None = None) -> DirectLogger:
        """The same, direct."""
        return DirectLogger(name, category, self.capture)


StartDesk = Callable[..., Desk]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartDesk]:
    """Starts a capture with these settings of `logs.*`."""
    started: list[Desk] = []
    monkeypatch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)

    def start_it(**settings: Any) -> Desk:
        sink = MemorySink()
        provider = LoggerProvider(shutdown_on_exit=False, sink=sink)
        desk = Desk(Capture(), sink, provider)
        desk.capture.clock = lambda: int(desk.clock[0] * 1e9)
        desk.capture.start(provider, LogSettings(**settings))
        if desk.capture._stop_ticking is not None:
            desk.capture._stop_ticking()  # a test says itself when a second is over
        started.append(desk)
        return desk

    yield start_it
    for desk in reversed(started):
        desk.capture.stop()


@pytest.fixture
def desk(start: StartDesk) -> Desk:
    """A capture with the settings that nobody has changed."""
    return start()


@pytest.fixture
def plain() -> Iterator[logging.Logger]:
    """A logger of the application, as it is when nobody has configured logging but its level."""
    logger = logging.getLogger("app.orders")
    before = (logger.level, list(logger.handlers), logger.propagate, logger.disabled)
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.setLevel(before[0])
    logger.handlers[:], logger.propagate, logger.disabled = before[1:]
