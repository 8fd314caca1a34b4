"""Request budgets: read from headers or told, warned of once, refused and banned."""

from __future__ import annotations

from typing import Any

import pytest

from tickspan.testing.capture import Capture, FakeClock, RecordedLogEvent
from tickspan.trading import Clock, RateLimits, profile_of
from tickspan.trading.limits import MAX_BUDGETS, Told, read_headers

SECOND = 1_000_000_000
PLACE = {
    "trading.venue.name": "binance",
    "trading.venue.environment": "live",
    "trading.client.library": "test",
}
WEIGHT = {**PLACE, "trading.rate_limit.name": "request_weight", "trading.rate_limit.scope": "1m"}


@pytest.fixture
def clock() -> FakeClock:
    """Both clocks, at rest until a test moves them."""
    return FakeClock(step_ns=0)


@pytest.fixture
def limits(telemetry: Capture, clock: FakeClock) -> RateLimits:
    return RateLimits(
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        clock=Clock(clock, clock),
    )


def spend(limits: RateLimits, used: float, **known: Any) -> None:
    limits.used("binance", "request_weight", "1m", used=used, library="test", **known)


def answered(limits: RateLimits, status: int, **headers: str) -> None:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    limits.answered("binance", "test", None, status, told)


def test_headers_tell_what_is_spent_in_each_window(limits: RateLimits, telemetry: Capture) -> None:
    answered(limits, 200, X_MBX_USED_WEIGHT_1M="312", x_mbx_order_count_10s="4", Content_Type="text/html")
    told = {
        (
            point.attributes["trading.rate_limit.name"],
            point.attributes["trading.rate_limit.scope"],
        ): point.value
        for point in telemetry.points("trading.rate_limit.used")
    }
    assert told == {("request_weight", "1m"): 312, ("orders", "10s"): 4}
    (limit,) = telemetry.points("trading.rate_limit.limit")
    assert (limit.attributes, limit.value) == (WEIGHT, 6_000)


@pytest.mark.parametrize(
    ("venue", "headers", "told"),
    [
        pytest.param(
            "alpaca",
            {
                "X-RateLimit-Limit": "200",
                "X-RateLimit-Remaining": "150",
                "X-RateLimit-Reset": "1700000030",
            },
            (Told("requests", "account", limit=200, remaining=150, reset_in_s=30),),
            id="alpaca",
        ),
        pytest.param(
            "bybit",
            {
                "X-Bapi-Limit": "100",
                "X-Bapi-Limit-Status": "99",
                "X-Bapi-Limit-Reset-Timestamp": "1700000000500",
            },
            (Told("requests", "endpoint", limit=100, remaining=99, reset_in_s=0.5),),
            id="bybit",
        ),
        pytest.param("binance", {"X-MBX-USED-WEIGHT-1M": "many"}, (), id="no number"),
        pytest.param("binance", {"X-MBX-USED-WEIGHT-1M": "-1"}, (), id="below zero"),
        pytest.param("binance", {"X-MBX-USED-WEIGHT-1M": "inf"}, (), id="no end"),
        pytest.param("nowhere", {"X-MBX-USED-WEIGHT-1M": "1"}, (), id="an unknown venue"),
    ],
)
def test_each_venue_has_headers_of_its_own(
    venue: str, headers: dict[str, str], told: tuple[Told, ...]
) -> None:
    assert read_headers(profile_of(venue), headers, 1_700_000_000 * SECOND) == told


def test_what_remains_becomes_what_is_spent_and_a_reset_ends_it(
    limits: RateLimits, telemetry: Capture, clock: FakeClock
) -> None:
    reset = str(clock.now_ns // SECOND + 30)
    headers = {"x-ratelimit-limit": "200", "x-ratelimit-remaining": "50", "x-ratelimit-reset": reset}
    limits.answered("alpaca", "test", "paper", 200, headers)
    assert [point.value for point in telemetry.points("trading.rate_limit.used")] == [150]
    assert [point.value for point in telemetry.points("trading.rate_limit.reset_in")] == [30]
    clock.now_ns += 31 * SECOND
    assert [point.value for point in telemetry.points("trading.rate_limit.used")] == [0]
    assert telemetry.points("trading.rate_limit.reset_in") == []


def test_a_window_that_is_over_has_nothing_spent(
    limits: RateLimits, telemetry: Capture, clock: FakeClock
) -> None:
    spend(limits, 100)
    clock.now_ns += 61 * SECOND
    assert [point.value for point in telemetry.points("trading.rate_limit.used")] == [0]


def test_a_budget_is_near_once_and_again_after_it_was_well_below(
    limits: RateLimits, telemetry: Capture, clock: FakeClock
) -> None:
    spend(limits, 4_799)
    assert telemetry.events() == []
    spend(limits, 4_800)
    spend(limits, 5_900)
    spend(limits, 4_300)
    spend(limits, 5_000)
    expected = {**WEIGHT, "trading.rate_limit.spent": 4_800, "trading.rate_limit.budget": 6_000}
    assert telemetry.events() == [
        RecordedLogEvent(
            "trading.rate_limit.near",
            "WARN",
            expected,
            "binance: 4800 of 6000 request_weight (1m) are spent",
        )
    ]
    clock.now_ns += 30 * SECOND
    spend(limits, 4_300)
    spend(limits, 5_000)
    assert len(telemetry.events("trading.rate_limit.near")) == 1  # 72 % were not well below
    spend(limits, 4_100)
    spend(limits, 5_000)
    assert len(telemetry.events("trading.rate_limit.near")) == 2


def test_a_budget_of_a_second_does_not_warn_every_second(
    limits: RateLimits, telemetry: Capture, clock: FakeClock
) -> None:
    for _ in range(9):
        spend(limits, 10, limit=10)
        spend(limits, 0)
        clock.now_ns += SECOND
    assert len(telemetry.events("trading.rate_limit.near")) == 1
    clock.now_ns += SECOND
    spend(limits, 10)
    assert len(telemetry.events("trading.rate_limit.near")) == 2


def test_a_limit_that_was_told_counts_and_an_estimate_says_so(limits: RateLimits, telemetry: Capture) -> None:
    spend(limits, 10, limit=1_000)
    spend(limits, 900, is_estimate=True)
    (event,) = telemetry.events()
    assert event.attributes["trading.rate_limit.budget"] == 1_000
    assert event.attributes["trading.rate_limit.estimated"] is True


def test_a_refused_request_is_counted_and_told_until_the_venue_relents(
    limits: RateLimits, telemetry: Capture, clock: FakeClock
) -> None:
    for _ in range(3):
        answered(limits, 429, x_mbx_used_weight_1m="6001", x_mbx_order_count_10s="1", Retry_After="21")
    (hits,) = telemetry.points("trading.rate_limit.hits")
    assert (hits.attributes, hits.value) == (WEIGHT, 3)
    assert telemetry.events("trading.rate_limit.exhausted") == [
        RecordedLogEvent(
            "trading.rate_limit.exhausted",
            "WARN",
            {**WEIGHT, "trading.rate_limit.wait": 21.0},
            "binance: request_weight are spent, for 21 s",
        )
    ]
    clock.now_ns += 10 * SECOND
    answered(limits, 429)
    assert len(telemetry.events("trading.rate_limit.exhausted")) == 2


def test_a_ban_is_an_error(limits: RateLimits, telemetry: Capture) -> None:
    answered(limits, 418, Retry_After="120")
    (event,) = telemetry.events()
    assert (event.name, event.severity) == ("trading.rate_limit.banned", "ERROR")
    assert event.body == "binance: banned for too many requests, for 120 s"
    assert event.attributes["trading.rate_limit.name"] == "requests"


def test_a_library_may_tell_of_a_refusal_itself(limits: RateLimits, telemetry: Capture) -> None:
    limits.refused("ib", "messages", library="ib_async", environment="paper")
    (event,) = telemetry.events("trading.rate_limit.exhausted")
    assert event.body == "ib: messages are spent"


def test_other_answers_are_no_refusals(limits: RateLimits, telemetry: Capture) -> None:
    for status in (200, 400, 403, 500, 503):
        answered(limits, status)
    assert telemetry.points("trading.rate_limit.hits") == []
    assert telemetry.events() == []


def test_budgets_have_a_bound(limits: RateLimits, telemetry: Capture) -> None:
    for number in range(MAX_BUDGETS + 1):
        limits.used("sim", f"budget {number}", "", used=1, library="test")
    assert len(telemetry.points("trading.rate_limit.used")) == MAX_BUDGETS
    assert repr(limits) == f"<RateLimits {MAX_BUDGETS} budgets, 0 nearly spent>"
