"""The plan of the settings is applied once, when the program has warmed up."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tickspan.config import MemoryPlan, MemorySettings
from tickspan.memory import planning
from tickspan.memory.governor import Governor
from tickspan.recording.loops import Loops
from tickspan.recording.ticker import Ticker
from tickspan.testing.sink import MemorySink


class Machine:
    """A process whose clock the test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.ticker = Ticker(lambda: self.now_s, has_thread=False)
        self.governor = Governor(
            lambda: self.ticker, lambda: None, lambda: self.now_s, Loops(lambda: self.ticker), (3, 11, 7)
        )
        self.stop = int

    def begin(self, plan: MemoryPlan, warm_up_s: float = 30.0) -> None:
        settings = MemorySettings(optimize=plan, warm_up_s=warm_up_s)
        self.stop = planning.begin(settings, lambda: self.ticker, lambda: self.governor)

    def name_at(self, now_s: float) -> str | None:
        """Of the plan that holds then."""
        self.now_s = now_s
        self.ticker.run_due()
        return None if self.governor.current is None else self.governor.current.name


@pytest.fixture
def machine(sink: MemorySink) -> Iterator[Machine]:
    del sink  # events of plans go nowhere else
    made = Machine()
    yield made
    if made.governor.current is not None:
        made.governor.current.revert()


@pytest.mark.parametrize(
    ("plan", "name"),
    [(MemoryPlan.HFT, "high frequency trading"), (MemoryPlan.DATASETS, "large datasets")],
)
def test_it_is_applied_after_the_warm_up_and_taken_back_at_the_end(
    machine: Machine, plan: MemoryPlan, name: str
) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    machine.begin(plan)
    names = [machine.name_at(29.0), machine.name_at(30.0)]
    machine.stop()
    after = gc.get_threshold(), gc.get_freeze_count()
    assert (names, machine.governor.current, after) == ([None, name], None, before)


def test_without_a_setting_nothing_is_changed(machine: Machine) -> None:
    machine.begin(MemoryPlan.NONE)
    assert (machine.name_at(3_600.0), machine.stop()) == (None, None)


def test_a_plan_of_the_programs_own_is_left_alone(machine: Machine) -> None:
    machine.begin(MemoryPlan.HFT)
    own = machine.governor.plan((2_000, 10, 10), freeze=False)
    machine.name_at(31.0)
    machine.stop()
    assert machine.governor.current is own


def test_who_stops_before_the_end_of_the_warm_up_gets_no_plan(machine: Machine) -> None:
    machine.begin(MemoryPlan.HFT)
    machine.stop()
    assert machine.name_at(31.0) is None


def test_a_program_without_a_warm_up_gets_its_plan_at_once(machine: Machine) -> None:
    machine.begin(MemoryPlan.DATASETS, warm_up_s=0.0)
    assert machine.name_at(0.01) == "large datasets"
