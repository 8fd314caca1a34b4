from dataclasses import replace

from tickspan.testing.venue import Behaviour, Fault, Point
from tickspan.testing.venue.script import OrderPlan, Script

QUIET = Behaviour(ack_delay_s=0.01, fill_delay_s=0.02, fill_gap_s=0.03, partials=(0.4, 0.6))


def test_without_faults_an_order_lives_as_the_behaviour_says():
    assert Script(1, QUIET).plan_order() == OrderPlan(0.01, 0.02, 0.03, (0.4, 0.6))


def test_armed_faults_strike_once_each_in_order_at_their_own_point():
    script = Script(1, QUIET)
    script.arm(Fault.REJECT)
    script.arm(Fault.MUTE)
    script.arm(Fault.ACCEPT_THEN_504)

    assert [script.strike(Point.ORDER) for _ in range(3)] == [Fault.REJECT, Fault.ACCEPT_THEN_504, None]
    assert [script.strike(Point.TICK) for _ in range(2)] == [Fault.MUTE, None]


def test_a_fill_before_the_acknowledgement_makes_the_acknowledgement_slow_enough_to_lose():
    script = Script(1, QUIET)
    script.arm(Fault.FILL_BEFORE_ACK)
    assert script.plan_order() == OrderPlan(0.05, -0.05, 0.0, (0.4, 0.6), Fault.FILL_BEFORE_ACK)


def test_a_late_fill_needs_two_fills():
    script = Script(1, replace(QUIET, partials=(1.0,)))
    script.arm(Fault.LATE_FILL)
    assert script.plan_order().partials == (0.5, 0.5)


def test_the_nth_strike_draws_the_same_for_the_same_seed():
    behaviour = replace(QUIET, rates={Fault.REJECT: 0.3, Fault.ACCEPT_THEN_504: 0.3})

    def draws(seed: int) -> list[Fault | None]:
        script = Script(seed, behaviour)
        return [script.strike(Point.ORDER) for _ in range(200)]

    assert draws(1) == draws(1) != draws(2)


def test_strikes_elsewhere_change_no_draw():
    behaviour = replace(QUIET, rates={Fault.REJECT: 0.5, Fault.MUTE: 0.5})
    alone, disturbed = Script(1, behaviour), Script(1, behaviour)
    expected = [alone.strike(Point.ORDER) for _ in range(50)]
    told = [(disturbed.strike(Point.TICK), disturbed.strike(Point.ORDER))[1] for _ in range(50)]
    assert told == expected


def test_rates_are_kept_in_the_long_run():
    script = Script(1, replace(QUIET, rates={Fault.REJECT: 0.2, Fault.LATE_FILL: 0.1}))
    struck = [script.strike(Point.ORDER) for _ in range(4_000)]
    assert 0.17 < struck.count(Fault.REJECT) / 4_000 < 0.23
    assert 0.08 < struck.count(Fault.LATE_FILL) / 4_000 < 0.12
