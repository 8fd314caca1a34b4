"""The collector thread: one, started when needed, fair to every provider."""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable

import pytest

from tickspan.providers.collector import Collector
from tickspan.recording import strict


class Provider:
    """Counts its collections."""

    def __init__(self, interval_s: float, action: Callable[[], object] = lambda: None) -> None:
        self.interval_s = interval_s
        self.collections = 0
        self.collected = threading.Event()
        self._action = action

    def collect(self) -> bool:
        self.collections += 1
        self._action()
        self.collected.set()
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def collector_without_thread(clock: Clock, *providers: Provider) -> Collector:
    collector = Collector(clock)
    collector._start = lambda: None
    for provider in providers:
        collector.watch(provider)
    return collector


def test_a_provider_is_collected_at_its_interval() -> None:
    clock, slow, quick = Clock(), Provider(60.0), Provider(10.0)
    collector = collector_without_thread(clock, slow, quick)
    waits: list[float] = []
    for clock.now in (0.0, 10.0, 15.0, 60.0):
        waits.append(collector._collect_due())
    assert (waits, slow.collections, quick.collections) == ([10.0, 10.0, 5.0, 10.0], 1, 2)


def test_turns_that_were_missed_are_not_made_up_for() -> None:
    clock, provider = Clock(), Provider(10.0)
    collector = collector_without_thread(clock, provider)
    clock.now = 95.0
    assert (collector._collect_due(), provider.collections) == (5.0, 1)


def test_a_provider_that_is_gone_or_has_left_is_not_collected() -> None:
    clock, leaving, gone = Clock(), Provider(10.0), Provider(10.0)
    collector = collector_without_thread(clock, leaving, gone)
    collector.leave(leaving)
    del gone
    gc.collect()
    assert (collector._collect_due(), repr(collector)) == (-1, "<Collector not running, 0 providers>")


def test_an_infinite_interval_starts_nothing() -> None:
    collector = Collector()
    collector.watch(Provider(math.inf))
    assert not collector.is_running


def test_the_thread_collects_by_itself_and_hears_of_a_shorter_interval() -> None:
    collector, slow, quick = Collector(), Provider(1_000.0), Provider(0.01)
    collector.watch(slow)
    assert collector.is_running
    collector.watch(quick)
    assert quick.collected.wait(10.0)
    assert slow.collections == 0
    collector.leave(quick)


def test_a_collection_that_raises_costs_no_other_its_turn() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    clock, broken, sound = Clock(), Provider(10.0, fail), Provider(10.0)
    collector = collector_without_thread(clock, broken, sound)
    clock.now = 10.0
    with strict(value=False):
        collector._collect_due()
    assert (broken.collections, sound.collections) == (1, 1)


def test_after_a_fork_nothing_of_the_parents_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    collector, provider = Collector(), Provider(1_000.0)
    collector.watch(provider)
    parents = collector._thread
    monkeypatch.setattr("os.getpid", lambda: -1)
    collector.after_fork()
    assert repr(collector) == "<Collector not running, 0 providers>"
    collector.watch(provider)
    collector.after_fork()  # the hook of a second provider
    assert collector.is_running
    assert collector._thread is not parents


def test_no_thread_is_started_while_the_interpreter_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector()
    monkeypatch.setattr("sys.is_finalizing", lambda: True)
    collector.watch(Provider(1.0))
    assert not collector.is_running
