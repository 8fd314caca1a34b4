"""Venues' clocks: what samples leave of a difference, and when it is told."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.testing.capture import Capture, FakeClock, RecordedLogEvent
from tickspan.trading import Clock, TradingSettings, VenueClocks

SECOND = 1_000_000_000
PLACE = {"trading.venue.name": "sim", "trading.venue.environment": "live", "trading.client.library": "test"}


class World:
    """We, with a wall clock and a monotonic one, and a venue whose clock is `ahead_s` of ours."""

    def __init__(self, telemetry: Capture, ahead_s: float = 0.0, **settings: float) -> None:
        self.wall, self.monotonic = FakeClock(step_ns=0), FakeClock(step_ns=0, start_ns=5 * SECOND)
        self.ahead_s = ahead_s
        self.clocks = VenueClocks(
            telemetry.meter_provider.get_meter("test"),
            telemetry.logger_provider.get_logger("test"),
            replace(TradingSettings(), **settings),
            clock=Clock(self.monotonic, self.wall),
        )

    def pass_s(self, seconds: float) -> None:
        for clock in (self.wall, self.monotonic):
            clock.now_ns += round(seconds * SECOND)

    def venue_ns(self) -> int:
        return self.wall.now_ns + round(self.ahead_s * SECOND)

    def answer(self, there_s: float = 0.01, back_s: float = 0.01) -> None:
        """A request whose answer has a `Date`."""
        sent_ns = self.monotonic.now_ns
        self.pass_s(there_s)
        date = formatdate(self.venue_ns() // SECOND, usegmt=True)
        self.pass_s(back_s)
        self.clocks.date("sim", date, sent_ns, self.monotonic.now_ns, library="test")

    def told(self, there_s: float = 0.01, back_s: float = 0.01) -> None:
        """A request whose answer has the venue's time in milliseconds."""
        sent_ns = self.monotonic.now_ns
        self.pass_s(there_s)
        milliseconds = self.venue_ns() // 1_000_000
        self.pass_s(back_s)
        now_ns = self.monotonic.now_ns
        self.clocks.told("sim", "server_time", milliseconds * 1_000_000, sent_ns, now_ns, library="test")


def test_nothing_is_said_of_a_clock_that_nobody_has_seen(telemetry: Capture) -> None:
    world = World(telemetry)
    assert world.clocks.difference_s("sim") is None
    world.clocks.date("sim", "yesterday", 1, 2, library="test")
    world.clocks.date("sim", "", 1, 2, library="test")
    assert world.clocks.difference_s("sim") is None


@pytest.mark.parametrize("ahead_s", [0.0, 0.3, -0.3, 0.72, -1.41])
def test_dates_of_whole_seconds_tell_the_difference_to_within_round_trips(
    telemetry: Capture, ahead_s: float
) -> None:
    world, random = World(telemetry, ahead_s), Random(3)
    for _ in range(400):
        world.pass_s(random.random())
        world.answer(there_s=random.uniform(0.001, 0.02), back_s=random.uniform(0.001, 0.02))
    assert world.clocks.difference_s("sim") == pytest.approx(ahead_s, abs=0.025)


def test_one_date_proves_only_what_it_proves(telemetry: Capture) -> None:
    world = World(telemetry, ahead_s=0.4)
    world.answer()
    assert world.clocks.difference_s("sim") == 0  # between -0.6 and 0.4: no difference is possible
    far = World(telemetry, ahead_s=10)
    far.answer()
    assert 9 <= (far.clocks.difference_s("sim") or 0) <= 10


def test_times_in_milliseconds_tell_it_at_once(telemetry: Capture) -> None:
    world = World(telemetry, ahead_s=-0.25)
    world.told(there_s=0.004, back_s=0.006)
    assert world.clocks.difference_s("sim") == pytest.approx(-0.25, abs=0.006)
    (point,) = telemetry.points("trading.clock.offset")
    assert point.attributes == {**PLACE, "trading.clock.source": "server_time"}
    assert point.value == pytest.approx(-0.25, abs=0.006)


def test_the_source_that_knows_best_is_believed(telemetry: Capture) -> None:
    world = World(telemetry, ahead_s=0.25)
    world.answer()
    world.clocks.offset("sim", "timestamp_offset", 0.21, library="test")
    assert world.clocks.difference_s("sim") == pytest.approx(0.21)
    world.told(there_s=0.002, back_s=0.002)
    assert world.clocks.difference_s("sim") == pytest.approx(0.25, abs=0.003)
    sources = {point.attributes["trading.clock.source"] for point in telemetry.points("trading.clock.offset")}
    assert sources == {"date", "timestamp_offset", "server_time"}


def test_a_library_may_change_its_mind(telemetry: Capture) -> None:
    world = World(telemetry)
    world.clocks.offset("sim", "timestamp_offset", 0.21, library="test")
    world.clocks.offset("sim", "timestamp_offset", -0.4, library="test")
    assert world.clocks.difference_s("sim") == pytest.approx(-0.4)


def test_environments_have_clocks_of_their_own(telemetry: Capture) -> None:
    world = World(telemetry)
    world.clocks.offset("sim", "library", 0.2, library="test", environment="paper")
    assert world.clocks.difference_s("sim") is None
    assert world.clocks.difference_s("sim", "paper") == pytest.approx(0.2)


def test_a_step_of_our_own_clock_is_seen_without_another_answer(telemetry: Capture) -> None:
    world = World(telemetry)
    world.told()
    world.wall.now_ns += 2 * SECOND
    assert world.clocks.difference_s("sim") == pytest.approx(-2, abs=0.02)


def test_a_step_of_the_venues_clock_is_believed_at_the_third_answer(telemetry: Capture) -> None:
    world = World(telemetry)
    world.told()
    world.ahead_s = 3
    world.told()
    world.told()
    assert world.clocks.difference_s("sim") == pytest.approx(0, abs=0.02)
    world.told()
    assert world.clocks.difference_s("sim") == pytest.approx(3, abs=0.02)


def test_what_is_known_grows_old(telemetry: Capture) -> None:
    world = World(telemetry, ahead_s=0.01)
    world.told(there_s=0.001, back_s=0.001)
    world.pass_s(3_600)
    assert world.clocks.difference_s("sim") == 0  # by now it may be anything up to a third of a second


def test_a_skewed_clock_is_told_once_until_it_was_right_again(telemetry: Capture) -> None:
    world = World(telemetry, ahead_s=0.6)
    world.told()
    world.told()
    (event,) = telemetry.events()
    difference = event.attributes["trading.clock.difference"]
    assert event == RecordedLogEvent(
        "trading.clock.skew",
        "WARN",
        {
            **PLACE,
            "trading.clock.source": "server_time",
            "trading.clock.tolerance": 0.5,
            "trading.clock.difference": difference,
        },
        f"sim: its clock is {difference:+.3f} s from ours, by server_time",
    )
    assert difference == pytest.approx(0.6, abs=0.011)
    for ahead_s in (0.3, 0.6, 0.1, 0.6):
        world.ahead_s = ahead_s
        for _ in range(4):
            world.told()
    assert len(telemetry.events()) == 2  # 0.3 s were not right again


def test_the_tolerance_is_a_setting(telemetry: Capture) -> None:
    world = World(telemetry, ahead_s=0.2, clock_skew_s=0.1)
    world.told()
    assert len(telemetry.events("trading.clock.skew")) == 1


def test_a_refusal_for_the_time_is_told_once_a_minute(telemetry: Capture) -> None:
    world = World(telemetry)
    for _ in range(3):
        world.clocks.suspected("sim", library="test")
    world.pass_s(61)
    world.clocks.suspected("sim", library="test")
    events = telemetry.events("trading.clock.skew")
    assert [event.attributes["trading.clock.source"] for event in events] == ["reject", "reject"]
    assert events[0].body == "sim: a request was refused because of its time"


@given(
    ahead_s=st.floats(-5, 5),
    trips=st.lists(st.tuples(st.floats(0, 3), st.floats(0.0001, 0.3), st.floats(0.0001, 0.3)), max_size=20),
)
def test_what_samples_leave_of_a_difference_always_holds_it(
    ahead_s: float, trips: list[tuple[float, float, float]]
) -> None:
    world = World(Capture(), ahead_s)
    for pause_s, there_s, back_s in trips:
        world.pass_s(pause_s)
        world.answer(there_s, back_s)
    known = vars(world.clocks)["_known"]
    shift_ns = world.wall.now_ns - world.monotonic.now_ns
    for difference in known.values():
        interval = difference.interval
        assert interval.low_ns - 1_000 <= shift_ns + round(ahead_s * SECOND) <= interval.high_ns + 1_000
