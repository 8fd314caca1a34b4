"""Event rules' hooks: what is handed on, and what it costs when nothing is."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.trace import Status, StatusCode

from tickspan.analysis.rules.model import Signal
from tickspan.analysis.rules.readings import Occurrence, Sender
from tickspan.processors.alerts import EventRules
from tickspan.providers import TracerProvider
from tickspan.recording import strict
from tickspan.semconv.alerts import EVENT_STATE_CHANGE
from tickspan.testing import CountedIds, FakeClock
from tickspan.testing.sink import MemorySink

BOT = Sender.of({"service.name": "bot"})


@pytest.fixture
def taken() -> list[Occurrence]:
    return []


@pytest.fixture
def rules(taken: list[Occurrence]) -> EventRules:
    return EventRules(taken.append, lambda: BOT)


def tracer_of(rules: EventRules, **options: Any) -> Any:
    provider = TracerProvider(
        shutdown_on_exit=False, id_generator=CountedIds(), clock=FakeClock(step_ns=250_000_000), **options
    )
    provider.notice_endings(rules.ended)
    return provider.get_tracer("desk")


@pytest.mark.parametrize("options", [{"sink": MemorySink()}, {}], ids=["recorded", "of the SDK"])
def test_a_span_is_handed_on_as_it_ended(
    rules: EventRules, taken: list[Occurrence], options: dict[str, Any]
) -> None:
    rules.look_for({"order"}, set())
    tracer = tracer_of(rules, **options)
    tracer.start_span("other").end()
    span = tracer.start_span("order", attributes={"venue": "a", "legs": ("x", "y")})
    span.set_status(Status(StatusCode.ERROR))
    span.end()
    assert taken == [
        Occurrence(BOT, Signal.SPAN, "order", {"venue": "a"}, "error", 0.25, f"{2:032x}", f"{2:016x}")
    ]


def test_a_log_event_is_handed_on(rules: EventRules, taken: list[Occurrence]) -> None:
    rules.look_for(set(), {"rejected"})
    assert [rules.wants("rejected"), rules.wants("accepted")] == [True, False]
    rules.happened("rejected", {"venue": "a", "legs": ("x",)}, 1, 0)
    assert taken == [Occurrence(BOT, Signal.LOG, "rejected", {"venue": "a"}, trace_id=f"{1:032x}")]


def test_every_name_may_be_wanted_but_never_the_evaluators_own_event(rules: EventRules) -> None:
    rules.look_for(None, None)
    assert (rules.wants_spans, rules.wants_events) == (True, True)
    assert [rules.wants("anything"), rules.wants(EVENT_STATE_CHANGE)] == [True, False]


def test_nothing_is_wanted_at_first(rules: EventRules) -> None:
    assert (rules.wants_spans, rules.wants_events, repr(rules)) == (
        False,
        False,
        "<EventRules spans none, log events none>",
    )


class CountingSet(frozenset[str]):
    """Counts look-ups."""

    looks = 0

    def __contains__(self, name: object) -> bool:
        CountingSet.looks += 1
        return super().__contains__(name)


def test_a_span_that_none_of_100_rules_names_costs_one_look_up(
    rules: EventRules, taken: list[Occurrence]
) -> None:
    rules.look_for(CountingSet(f"span{number}" for number in range(100)), set())
    tracer = tracer_of(rules, sink=MemorySink())
    span = tracer.start_span("other")
    CountingSet.looks = 0
    span.end()
    assert (CountingSet.looks, taken) == (1, [])


def test_a_fault_of_ours_stays_ours() -> None:
    def fail(occurrence: Occurrence) -> None:
        raise ZeroDivisionError(occurrence.name)

    rules = EventRules(fail, lambda: BOT)
    rules.look_for({"order"}, set())
    sink = MemorySink()
    with strict(value=False):
        tracer_of(rules, sink=sink).start_span("order").end()
    assert [span.name for span in sink.telemetry().spans] == ["order"]
