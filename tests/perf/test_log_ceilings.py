"""How many Python functions a log record enters: counted, not timed: the same on every machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tickspan.config import LogSettings
from tickspan.logs.capture import Capture
from tickspan.logs.logger import CategoryLogger, DirectLogger
from tickspan.providers.logger import LoggerProvider
from tickspan.recording._impl import logrecord, wire
from tickspan.testing.ceilings import calls_of
from tickspan.testing.sink import MemorySink

pytestmark = pytest.mark.perf

is_compiled = "_compiled" in wire.__name__ and "_compiled" in logrecord.__name__


@pytest.fixture
def capture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Capture]:
    monkeypatch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)
    capture = Capture()
    capture.start(LoggerProvider(shutdown_on_exit=False, sink=MemorySink()), LogSettings(throttle=0))
    yield capture
    capture.stop()


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.getLogger("app.counted")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers[:] = [logging.NullHandler()]
    return logger


@pytest.mark.skipif(not is_compiled, reason="hot modules are not compiled here")
def test_a_record_enters_two_functions_of_which_one_is_the_sinks(
    capture: Capture, logger: logging.Logger
) -> None:
    record = logger.makeRecord("app", logging.INFO, __file__, 1, "order filled", (), None)
    assert calls_of(capture.take, logger, record) <= 2


@pytest.mark.skipif(not is_compiled, reason="hot modules are not compiled here")
def test_a_direct_record_enters_three_functions_of_which_one_is_the_sinks(capture: Capture) -> None:
    log = DirectLogger("md", "market_data", capture)
    assert calls_of(log.info, "tick") <= 3


def test_a_record_below_every_level_enters_fewer_functions_than_the_standard_librarys(
    capture: Capture, logger: logging.Logger
) -> None:
    log = CategoryLogger(logger, "trading", capture)
    log.debug("detail")
    assert (calls_of(log.debug, "detail"), calls_of(logger.debug, "detail")) == (1, 2)
    direct = DirectLogger("md", "market_data", capture)
    assert calls_of(direct.debug, "detail") == 1


def test_a_record_that_is_throttled_is_not_formatted(capture: Capture, logger: logging.Logger) -> None:
    class Counting:
        asked = 0

        def __str__(self) -> str:
            type(self).asked += 1
            return "told"

    capture.configure(LogSettings(throttle=2))
    record = logger.makeRecord("app", logging.INFO, __file__, 1, "order %s", (Counting(),), None)
    for _ in range(5):
        capture.take(logger, record)
    assert Counting.asked == 2
