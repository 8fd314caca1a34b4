"""Critical sections that last too long, or grow too much, are ended; others are not touched."""

from __future__ import annotations

import contextvars
import gc
from collections.abc import Iterator

import pytest
from opentelemetry import context, trace

from tickspan.memory import critical
from tickspan.memory.overseer import Overseer
from tickspan.providers import TracerProvider
from tickspan.recording.sections import Sections, depth
from tickspan.recording.ticker import Ticker
from tickspan.semconv import memory as names
from tickspan.testing.sink import MemorySink

MIB = 1 << 20


class Machine:
    """A process whose memory and clock the test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.resident: int | None = 100 * MIB
        self.ticker = Ticker(lambda: self.now_s, has_thread=False)
        self.sections = Sections(self.now_ns)
        self.overseer = Overseer(
            lambda: self.sections, lambda: self.ticker, lambda: self.resident, self.now_ns
        )

    def now_ns(self) -> int:
        return round(self.now_s * 1e9)

    def open(self, max_s: float = 0.05, max_growth_bytes: int = 64 * MIB) -> int:
        era = self.sections.enter()
        self.overseer.opened(era, max_s, max_growth_bytes)
        return era

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        self.ticker.run_due()


@pytest.fixture
def machine(sink: MemorySink) -> Iterator[Machine]:
    made = Machine()
    yield made
    made.sections.abort(made.sections.era)


def reasons(sink: MemorySink) -> list[tuple[object, object]]:
    told = [one for one in sink.telemetry().logs if one.event_name == "tickspan.gc.section_aborted"]
    return [
        (one.attributes[names.GC_SECTION_REASON], one.attributes[names.GC_SECTION_DURATION]) for one in told
    ]


def test_one_that_lasts_too_long_is_ended_and_told(machine: Machine, sink: MemorySink) -> None:
    era = machine.open()
    machine.pass_s(0.0625)
    assert (gc.isenabled(), machine.sections.leave(era)) == (True, False)
    assert reasons(sink) == [("time", 0.0625)]


def test_one_that_closes_in_time_is_not(machine: Machine, sink: MemorySink) -> None:
    machine.sections.leave(machine.open())
    machine.pass_s(1)
    assert (machine.sections.aborted, reasons(sink)) == (0, [])


def test_a_younger_one_gets_its_own_time(machine: Machine) -> None:
    machine.sections.leave(machine.open())
    machine.now_s += 0.04
    machine.open()
    machine.pass_s(0.02)
    is_young = machine.sections.depth
    machine.pass_s(0.04)
    assert (is_young, machine.sections.depth) == (1, 0)


def test_one_during_which_the_process_grows_too_much_is_ended(machine: Machine, sink: MemorySink) -> None:
    machine.open(max_s=10.0)
    machine.pass_s(0.0625)
    machine.resident = 163 * MIB
    machine.pass_s(0.0625)
    is_open = machine.sections.depth
    machine.resident = 164 * MIB
    machine.pass_s(0.0625)
    assert (is_open, machine.sections.depth, reasons(sink)) == (1, 0, [("growth", 0.1875)])


def test_of_sections_that_nest_the_least_bound_holds(machine: Machine, sink: MemorySink) -> None:
    machine.open(max_s=10.0)
    machine.open(max_s=0.25)
    machine.pass_s(0.125)
    machine.pass_s(0.125)
    assert reasons(sink) == [("time", 0.25)]


def test_the_span_of_the_one_that_was_ended_is_named(machine: Machine, sink: MemorySink) -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("desk").start_span("decide")

    def opened() -> None:
        context.attach(trace.set_span_in_context(span))
        machine.open()

    contextvars.copy_context().run(opened)
    machine.pass_s(1)
    (event,) = sink.telemetry().logs
    assert (event.span_id, event.body) == (
        f"{span.get_span_context().span_id:016x}",
        "A critical section was ended after 1000 ms: too much time; collection is on",
    )


def test_the_collector_is_off_inside_and_on_behind() -> None:
    states = [gc.isenabled()]
    with critical():
        states += [gc.isenabled(), depth() == 1]
        with critical():
            states += [gc.isenabled(), depth() == 2]
        states.append(gc.isenabled())
    assert [*states, gc.isenabled(), depth()] == [True, False, True, False, True, False, True, 0]


def test_what_the_program_raises_passes_and_the_section_is_closed() -> None:
    error = KeyError("price")
    with pytest.raises(KeyError) as caught, critical():
        raise error
    assert (caught.value is error, gc.isenabled(), depth()) == (True, True, 0)


@pytest.mark.parametrize("max_s", [0, -1, float("inf")])
def test_a_section_without_an_end_is_refused(max_s: float) -> None:
    with pytest.raises(ValueError, match="max_s: expected seconds above 0"):
        critical(max_s)


def test_a_section_that_may_not_grow_is_refused() -> None:
    with pytest.raises(ValueError, match="max_growth_bytes: expected bytes above 0, got 0"):
        critical(max_growth_bytes=0)
