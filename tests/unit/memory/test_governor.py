"""Plans of the governor: applied, replaced, watched, and taken back as a whole."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tickspan.memory import libc
from tickspan.memory.governor import ONLY_IDLE, Governor, best_thresholds, reason_to_decline
from tickspan.recording.gc_pauses import GcPauses
from tickspan.recording.loops import Loops
from tickspan.recording.ticker import Ticker
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

MIB = 1 << 20
PY311 = (3, 11, 7)


class Machine:
    """A process whose memory and clock the test sets."""

    def __init__(self, version: tuple[int, int, int] = PY311) -> None:
        self.now_s = 0.0
        self.resident: int | None = 1_000 * MIB
        self.ticker = Ticker(lambda: self.now_s, has_thread=False)
        self.loops = Loops(lambda: self.ticker)
        self.pauses = GcPauses(lambda: self.pause_ns)
        self.pause_ns = 1
        self.old = 100_001
        self.governor = Governor(
            lambda: self.ticker,
            lambda: self.resident,
            lambda: self.now_s,
            self.loops,
            version,
            self.pauses,
            lambda: self.old,
        )

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        self.ticker.run_due()

    def pause(self, milliseconds: int, generation: int = 2) -> None:
        """A collection, and a second."""
        self.pauses._note("start", {"generation": generation})
        self.pause_ns += milliseconds * 1_000_000
        self.pauses._note("stop", {"generation": generation})
        self.pass_s(1)


@pytest.fixture
def machine(sink: MemorySink) -> Iterator[Machine]:
    made = Machine()
    yield made
    if made.governor.current is not None:
        made.governor.current.revert()


def actions(sink: MemorySink) -> list[tuple[Any, Any]]:
    told = [event.attributes for event in sink.telemetry().logs if event.event_name == "tickspan.gc.plan"]
    return [(one[names.GC_PLAN_ACTION], one[names.GC_PLAN_REASON]) for one in told]


def test_reverting_restores_exactly_what_was_there(machine: Machine, sink: MemorySink) -> None:
    gc.set_threshold(711, 12, 13)
    plan = machine.governor.optimize_for_high_frequency_trading()
    during = (gc.get_threshold(), gc.get_freeze_count() > 1_000, machine.loops.period_s, plan.is_applied)
    plan.revert()
    after = (gc.get_threshold(), gc.get_freeze_count(), machine.loops.period_s, plan.is_applied)
    assert during == ((1_000, 5, 1), True, 0.02, True)
    assert after == ((711, 12, 13), 0, 0.1, False)
    assert actions(sink) == [("applied", "asked for"), ("reverted", "asked for")]


def test_a_program_that_has_collected_before_is_unfrozen_too(machine: Machine) -> None:
    gc.collect()  # Python 3.12 sets some of its own objects aside
    plan = machine.governor.optimize_for_high_frequency_trading()
    during = gc.get_freeze_count() > 5_000
    plan.revert()
    assert (during, gc.get_freeze_count() < 5_000) == (True, True)


def test_what_the_program_has_frozen_stays_so(machine: Machine) -> None:
    gc.freeze()
    plan = machine.governor.plan()
    plan.revert()
    assert gc.get_freeze_count() > 5_000


def test_what_is_frozen_is_not_walked_by_a_full_collection(machine: Machine) -> None:
    alive = [[number] for number in range(1_000)]
    frozen = machine.governor.warmed_up()
    again = machine.governor.warmed_up()
    assert (frozen.frozen > 1_000, again is frozen) == (True, True)
    assert not any(one is alive for one in gc.get_objects())


def test_garbage_is_collected_before_it_would_become_immortal(machine: Machine) -> None:
    class Node:
        pass

    import weakref

    node = Node()
    node.me = node  # pyright: ignore[reportAttributeAccessIssue] - a cycle
    gone = weakref.ref(node)
    del node
    machine.governor.warmed_up()
    assert gone() is None


def test_the_same_plan_twice_is_one(machine: Machine) -> None:
    first = machine.governor.optimize_for_large_datasets()
    assert machine.governor.optimize_for_large_datasets() is first


def test_the_later_plan_replaces_the_earlier_and_reverts_to_the_beginning(machine: Machine) -> None:
    gc.set_threshold(700, 10, 10)
    first = machine.governor.optimize_for_high_frequency_trading()
    second = machine.governor.optimize_for_large_datasets()
    during = (gc.get_threshold(), gc.get_freeze_count(), machine.loops.period_s, first.is_applied)
    first.revert()
    untouched = gc.get_threshold()
    second.revert()
    assert during == ((50_000, 20, 100), 0, 0.1, False)
    assert (untouched, gc.get_threshold()) == ((50_000, 20, 100), (700, 10, 10))


def test_a_plan_is_taken_back_when_the_process_has_grown_too_much(machine: Machine, sink: MemorySink) -> None:
    plan = machine.governor.plan((1_000, 10, 10), freeze=False)
    machine.resident = 1_255 * MIB
    machine.pass_s(1)
    kept = plan.is_applied
    machine.resident = 1_256 * MIB
    machine.pass_s(1)
    assert (kept, plan.is_applied, gc.get_threshold()) == (True, False, plan.before.thresholds)
    assert actions(sink)[-1] == ("reverted", "the process grew by 256 MiB")


def test_it_comes_back_after_an_hour_and_stays_away_after_the_second_time(machine: Machine) -> None:
    states: list[bool] = []
    machine.governor.plan((1_000, 10, 10), freeze=False, max_growth_bytes=10 * MIB)
    for seconds, grown in ((1, 20), (3_599, 20), (1, 20), (1, 40), (7_200, 40)):
        machine.resident = (1_000 + grown) * MIB
        machine.pass_s(seconds)
        states.append(machine.governor.current is not None)
    assert (states, machine.governor.reverts) == ([False, False, True, False, False], 2)


def test_a_plan_that_freezes_comes_back_in_an_idle_window(machine: Machine) -> None:
    machine.governor.plan((1_000, 10, 10), max_growth_bytes=10 * MIB)
    machine.resident = 1_020 * MIB
    machine.pass_s(1)
    machine.pass_s(3_600)
    states = [machine.governor.current is not None, gc.get_freeze_count() > 5_000]
    with machine.governor.idle_window():
        states += [machine.governor.current is not None, gc.get_freeze_count() > 5_000]
    assert states == [False, False, True, True]


def test_a_plan_that_somebody_asked_for_meanwhile_is_kept(machine: Machine) -> None:
    machine.governor.plan((1_000, 10, 10), max_growth_bytes=10 * MIB)
    machine.resident = 1_020 * MIB
    machine.pass_s(1)
    asked = machine.governor.plan((2_000, 10, 10), freeze=False)
    machine.pass_s(3_600)
    with machine.governor.idle_window():
        assert (asked.is_applied, gc.get_threshold()) == (True, (2_000, 10, 10))


def test_full_collections_that_take_too_long_wait_for_an_idle_window(
    machine: Machine, sink: MemorySink
) -> None:
    plan = machine.governor.optimize_for_high_frequency_trading()
    machine.pauses.stop()  # the real ones are none of this test's
    for milliseconds, generation in ((25, 2), (19, 2), *[(25, 2)] * 8, (90, 1), (25, 2)):
        machine.pause(milliseconds, generation)
    thresholds = [gc.get_threshold()]
    machine.pause(25)
    thresholds.append(gc.get_threshold())
    frozen = gc.get_freeze_count()
    kept = [[number] for number in range(2_000)]
    with machine.governor.idle_window():
        thresholds.append(gc.get_threshold())
    assert thresholds == [(1_000, 5, 1), (1_000, 5, ONLY_IDLE), (1_000, 5, 1)]
    assert (gc.get_freeze_count() - frozen > 1_000, len(kept), plan.is_applied) == (True, 2_000, True)
    assert actions(sink)[-1] == ("put off", "full collections took more than 20 ms")


def test_collections_of_few_objects_on_a_slow_machine_are_not_put_off(machine: Machine) -> None:
    machine.governor.optimize_for_high_frequency_trading()
    machine.pauses.stop()
    machine.old = 100_000
    for _ in range(25):
        machine.pause(25)
    assert gc.get_threshold() == (1_000, 5, 1)


def test_a_plan_that_was_put_off_reverts_to_what_was_there(machine: Machine) -> None:
    gc.set_threshold(711, 12, 13)
    plan = machine.governor.optimize_for_high_frequency_trading()
    machine.pauses.stop()
    for _ in range(10):
        machine.pause(25)
    during = (machine.governor.is_put_off, gc.get_threshold()[2])
    plan.revert()
    after = (machine.governor.is_put_off, gc.get_threshold(), gc.get_freeze_count())
    assert (during, after) == ((True, ONLY_IDLE), (False, (711, 12, 13), 0))


def test_what_is_left_of_the_collector_is_walked_soon_after_a_freeze(machine: Machine) -> None:
    machine.governor.optimize_for_high_frequency_trading()
    before = gc.get_stats()[2]["collections"]
    born = [[number] for number in range(40_000)]
    assert (len(born), gc.get_stats()[2]["collections"] - before > 1) == (40_000, True)


def test_where_nobody_tells_memory_a_plan_stays(machine: Machine) -> None:
    machine.resident = None
    plan = machine.governor.plan(freeze=False)
    machine.pass_s(10)
    assert plan.is_applied


@pytest.mark.parametrize(
    ("version", "is_declined"),
    [((3, 11, 0), False), ((3, 13, 9), False), ((3, 14, 0), True), ((3, 14, 4), True), ((3, 14, 5), False)],
)
def test_versions_whose_collector_is_another_are_declined(
    version: tuple[int, int, int], is_declined: bool
) -> None:
    assert (reason_to_decline(version) is not None) is is_declined


def test_a_plan_that_is_declined_changes_nothing(sink: MemorySink) -> None:
    before = gc.get_threshold()
    machine = Machine((3, 14, 2))
    plan = machine.governor.optimize_for_high_frequency_trading()
    assert (gc.get_threshold(), gc.get_freeze_count(), machine.governor.current) == (before, 0, None)
    assert (
        plan.declined == "Python 3.14.0 to 3.14.4 collect incrementally: thresholds mean something else there"
    )
    assert actions(sink) == [("declined", plan.declined)]


def test_thresholds_are_those_of_the_interpreter() -> None:
    assert [best_thresholds(version) for version in ((3, 12, 1), (3, 13, 0))] == [
        (50_000, 20, 100),
        (10_000, 20, 100),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"thresholds": (1, 2)}, r"thresholds: expected three numbers from 0 on, got \(1, 2\)"),
        ({"thresholds": (-1, 2, 3)}, r"thresholds: expected three numbers from 0 on, got \(-1, 2, 3\)"),
        ({"max_growth_bytes": 0}, "max_growth_bytes: expected bytes above 0, got 0"),
    ],
)
def test_arguments_that_make_no_plan_are_refused(
    machine: Machine, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        machine.governor.plan(**arguments)
    assert machine.governor.current is None


def test_an_idle_window_collects_what_the_plan_has_put_off(machine: Machine) -> None:
    machine.governor.plan(freeze=False)
    cycle: list[Any] = []
    cycle.append(cycle)
    del cycle
    with machine.governor.idle_window() as window:
        assert window.collected is not None
        assert (window.collected >= 1, window.trimmed) == (True, None)


def test_a_plan_may_leave_idle_windows_alone(machine: Machine) -> None:
    machine.governor.plan(freeze=False, idle_collect=False)
    with machine.governor.idle_window() as window:
        assert window.collected is None


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux")
def test_free_memory_goes_back_in_idle_windows_of_large_datasets(machine: Machine) -> None:
    machine.governor.optimize_for_large_datasets()
    with machine.governor.idle_window() as window:
        assert window.trimmed in ({True, False} if libc.free_share() is not None else {None})
    share = libc.free_share()
    assert share is None or 0 <= share <= 1
