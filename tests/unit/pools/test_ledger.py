"""Who gets which connection of a broker pool."""

from __future__ import annotations

from typing import Any

import pytest

from tickspan.pools.broker.breaker import FAILURES, Breaker
from tickspan.pools.broker.ledger import Ledger, Limits, Link, Refusal, Request, Slot


def ledger_of(most: int = 1, **limits: Any) -> Ledger:
    rules = Limits(most, **limits)
    return Ledger(
        rules, Breaker(), lambda now_s: now_s + (rules.max_lifetime_s or float("inf")), lambda _link: 0.0
    )


def asked(ledger: Ledger, account: str | None = None, now_s: float = 0.0) -> Request:
    request = Request(account)
    ledger.ask(request, now_s)
    return request


def slot_of(request: Request) -> Slot:
    assert isinstance(request.grant, Slot)
    return request.grant


def link_of(request: Request) -> Link:
    assert isinstance(request.grant, Link)
    return request.grant


def connected(ledger: Ledger, account: str | None = None, now_s: float = 0.0) -> Link:
    return ledger.connected(slot_of(asked(ledger, account, now_s)), object(), now_s)


def test_a_connection_is_opened_used_and_used_again() -> None:
    ledger = ledger_of()
    link = connected(ledger)
    ledger.give_back(link, 1.0)
    assert (link_of(asked(ledger, now_s=2.0)), ledger.used, ledger.idle) == (link, 1, 0)


def test_a_connection_that_comes_back_goes_to_who_came_first() -> None:
    ledger = ledger_of()
    link = connected(ledger)
    first, second = asked(ledger), asked(ledger)
    assert ledger.give_back(link, 1.0).wake == [first]
    assert (first.grant, second.grant) == (link, None)


def test_a_request_of_another_account_replaces_what_is_idle() -> None:
    ledger = ledger_of()
    link = connected(ledger, "A")
    ledger.give_back(link, 1.0)
    assert slot_of(asked(ledger, "B", 2.0)).instead_of is link


def test_a_fitting_account_overtakes_three_times_and_then_the_first_gets_its_turn() -> None:
    ledger = ledger_of()
    link = connected(ledger, "A")
    other = asked(ledger, "B")
    for _ in range(3):
        fitting = asked(ledger, "A")
        ledger.give_back(link, 1.0)
        assert fitting.grant is link
    late = asked(ledger, "A")
    assert ledger.give_back(link, 1.0).close == [(link, "account")]
    assert ledger.closed(link, 1.0).wake == [other]
    assert (slot_of(other).account, late.grant) == ("B", None)


def test_what_is_too_old_is_closed_when_it_comes_back_and_makes_room() -> None:
    ledger = ledger_of(max_lifetime_s=10.0)
    link = connected(ledger)
    waiting = asked(ledger)
    assert ledger.give_back(link, 10.0).close == [(link, "lifetime")]
    assert waiting.grant is None
    assert ledger.closed(link, 10.0).wake == [waiting]
    assert isinstance(waiting.grant, Slot)


def test_what_has_been_silent_for_too_long_is_not_lent() -> None:
    ledger = ledger_of(2, max_silence_s=5.0)
    link = connected(ledger)
    ledger.give_back(link, 0.0)
    request = Request(None)
    todo = ledger.ask(request, 6.0)
    assert (todo.close, type(request.grant)) == ([(link, "silent")], Slot)


def test_a_heartbeat_keeps_it() -> None:
    ledger = ledger_of(max_silence_s=5.0)
    link = connected(ledger)
    ledger.give_back(link, 0.0)
    link.heard_at_s = 4.0
    assert asked(ledger, now_s=6.0).grant is link


def test_what_was_quiet_is_asked_and_closed_if_it_is_not_well() -> None:
    ledger = ledger_of(ping_after_s=30.0)
    link = connected(ledger)
    ledger.give_back(link, 0.0)
    assert ledger.upkeep(29.0).check == []
    assert ledger.upkeep(31.0).check == [link]
    assert ledger.checked(link, 31.0, is_well=True).close == []
    assert ledger.upkeep(32.0).check == []
    assert ledger.upkeep(62.0).check == [link]
    assert ledger.checked(link, 62.0, is_well=False).close == [(link, "unhealthy")]


def test_as_many_as_are_wanted_are_opened_in_the_background() -> None:
    ledger = ledger_of(5, min_connections=2)
    assert (len(ledger.upkeep(0.0).connect), len(ledger.upkeep(0.0).connect)) == (2, 0)


def test_idle_ones_beyond_those_are_closed() -> None:
    ledger = ledger_of(5, min_connections=1, max_idle_s=10.0, ping_after_s=None)
    links = [connected(ledger) for _ in range(3)]
    for link in links:
        ledger.give_back(link, 0.0)
    assert [reason for _, reason in ledger.upkeep(11.0).close] == ["idle", "idle"]


def test_an_open_breaker_refuses_who_waits_and_who_comes() -> None:
    ledger = ledger_of(1)
    slot = slot_of(asked(ledger))
    waiting = [asked(ledger) for _ in range(FAILURES)]
    for request in waiting[: FAILURES - 1]:
        ledger.not_connected(slot, 0.0, is_failure=True)
        slot = slot_of(request)
    ledger.not_connected(slot, 0.0, is_failure=True)
    assert (waiting[-1].grant, asked(ledger, now_s=0.5).grant) == (Refusal(1.0), Refusal(0.5))


def test_who_gives_up_hands_on_a_connection() -> None:
    ledger = ledger_of()
    link = connected(ledger)
    first, second = asked(ledger), asked(ledger)
    ledger.give_back(link, 1.0)
    assert ledger.abandon(first, 1.0).wake == [second]
    assert second.grant is link


def test_who_gives_up_hands_on_leave_to_connect_and_what_was_to_be_closed_for_it_stays() -> None:
    ledger = ledger_of()
    link = connected(ledger, "A")
    ledger.give_back(link, 0.0)
    gone = asked(ledger, "B")
    ledger.abandon(gone, 0.0)
    assert asked(ledger, "A").grant is link


def test_a_drained_pool_closes_idle_and_returning_ones_and_refuses_everybody() -> None:
    ledger = ledger_of(2)
    idle, out = connected(ledger), connected(ledger)
    ledger.give_back(idle, 0.0)
    assert ledger.drain().close == [(idle, "drain")]
    assert ledger.give_back(out, 1.0).close == [(out, "drain")]
    assert asked(ledger, now_s=1.0).grant == Refusal(None)


def test_giving_back_twice_counts_once() -> None:
    ledger = ledger_of()
    link = connected(ledger)
    ledger.give_back(link, 0.0)
    ledger.give_back(link, 0.0)
    assert (ledger.used, ledger.idle) == (0, 1)


@pytest.mark.parametrize(
    "bad",
    [
        {"max_connections": 0},
        {"max_connections": 1, "min_connections": 2},
        {"max_connections": 1, "max_idle_s": 0},
    ],
)
def test_limits_that_make_no_sense_are_errors(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Limits(**bad)
