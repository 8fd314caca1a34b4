"""What a message of a stream costs, counted: slots, and nothing else."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Generator
from types import FrameType
from typing import Any

import pytest

from tickspan.instrumentation.watch import Watch
from tickspan.providers import MeterProvider
from tickspan.testing.capture import Capture
from tickspan.testing.sink import MemorySink
from tickspan.trading import Feed, Feeds

pytestmark = pytest.mark.perf


@pytest.fixture
def feed(telemetry: Capture) -> Generator[Feed]:
    """A stream whose measurements go to a provider of ours."""
    provider, watch = MeterProvider(sink=MemorySink(), shutdown_on_exit=False), Watch(interval_s=3600)
    feeds = Feeds(
        telemetry.tracer_provider.get_tracer("test"),
        provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        watch=watch,
    )
    yield feeds.feed("sim", "trades", library="test")
    feeds.close()
    watch.stop()


def python_calls(action: Callable[[], Any]) -> list[str]:
    """The names of Python functions of this module's subject that `action` runs."""
    names: list[str] = []

    def note(frame: FrameType, event: str, _arg: object) -> None:
        if event == "call" and "tickspan/trading" in frame.f_code.co_filename:
            names.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return names


def test_a_message_is_one_call_whatever_it_tells(feed: Feed) -> None:
    assert python_calls(lambda: feed.received(1)) == ["received"]
    assert python_calls(lambda: feed.received(1, venue_time_ns=1, size_bytes=9)) == ["received"]
    assert python_calls(lambda: feed.delivered(1)) == ["delivered"]
    assert python_calls(lambda: feed.sequenced(1, 2)) == ["sequenced"]
    assert python_calls(feed.conflated) == ["conflated"]


def test_messages_leave_nothing_behind(feed: Feed) -> None:
    def hear(messages: int) -> None:
        for number in range(messages):
            feed.received(number, venue_time_ns=1_000_000, size_bytes=9)
            feed.delivered(5)
            feed.sequenced(number)

    hear(20_000)  # as much as is kept until somebody looks, where the metering is not compiled
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    hear(20_000)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 64 * 1024
