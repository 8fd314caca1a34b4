"""Ticks: which one an order came from, and that nothing of it is kept without bound."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from tickspan.trading import (
    RecentTicks,
    TickKind,
    TickRef,
    TradingSettings,
    Trigger,
    current_tick,
    set_current_tick,
    tick_scope,
)
from tickspan.trading.ticks import MAX_INSTRUMENTS, Cause, cause_of

SETTINGS = TradingSettings(max_tick_age_s=5, inferred_window_s=0.25)
MILLISECOND = 1_000_000


def tick(age_ms: int, kind: TickKind = TickKind.MARKET, now_ms: int = 100_000) -> TickRef:
    return TickRef("sim", (now_ms - age_ms) * MILLISECOND, instrument="A/B", kind=kind)


def cause(current: TickRef | None, newest: TickRef | None) -> Cause:
    return cause_of(current, newest, 100_000 * MILLISECOND, SETTINGS)


def test_the_tick_at_hand_comes_before_the_newest_one() -> None:
    mine, newer = tick(100), tick(10)
    assert cause(mine, newer) == Cause(Trigger.TICK, mine)


def test_each_kind_of_message_is_a_trigger_of_its_own() -> None:
    report, poll = tick(1, TickKind.ORDER), tick(1, TickKind.POLL)
    assert cause(report, None) == Cause(Trigger.ORDER_EVENT, report)
    assert cause(poll, None) == Cause(Trigger.POLL, poll)


def test_without_a_tick_at_hand_a_young_one_is_inferred() -> None:
    young = tick(250)
    assert cause(None, young) == Cause(Trigger.INFERRED, young)
    assert cause(None, tick(251)) == Cause(Trigger.MANUAL)


def test_a_tick_at_hand_that_is_too_old_counts_no_more() -> None:
    assert cause(tick(5_001), None) == Cause(Trigger.MANUAL)


@given(st.lists(st.text(max_size=4), max_size=50))
def test_the_newest_tick_of_an_instrument_is_the_last_one_noted(instruments: list[str]) -> None:
    recent, last = RecentTicks(), dict[str, TickRef]()
    for name in instruments:
        last[name] = TickRef("sim", 0, instrument=name)
        recent.note(last[name])
    assert {name: recent.newest(name) for name in last} == last


def test_the_memory_of_ticks_is_bounded_and_who_was_silent_longest_leaves() -> None:
    recent = RecentTicks()
    for number in range(MAX_INSTRUMENTS + 10):
        recent.note(TickRef("sim", number, instrument=str(number)))
    remembered = [number for number in range(MAX_INSTRUMENTS + 10) if recent.newest(str(number))]
    assert (len(recent), remembered) == (MAX_INSTRUMENTS - 90, list(range(100, MAX_INSTRUMENTS + 10)))


def test_what_is_no_market_data_of_one_instrument_is_not_noted() -> None:
    recent = RecentTicks()
    recent.note(TickRef("sim", 0))
    recent.note(TickRef("sim", 0, instrument="A/B", kind=TickKind.ORDER))
    assert len(recent) == 0


def test_a_scope_ends_where_it_ends() -> None:
    outer, inner = TickRef("sim", 1), TickRef("sim", 2)
    with tick_scope(outer):
        with tick_scope(inner):
            assert current_tick() is inner
        assert current_tick() is outer
    assert current_tick() is None


def test_a_tick_goes_into_new_tasks_and_does_not_come_back_from_them() -> None:
    first, second = TickRef("sim", 1), TickRef("sim", 2)

    async def child() -> TickRef | None:
        inherited = current_tick()
        set_current_tick(second)
        return inherited

    async def main() -> tuple[TickRef | None, TickRef | None]:
        set_current_tick(first)
        return await asyncio.create_task(child()), current_tick()

    assert asyncio.run(main()) == (first, first)
