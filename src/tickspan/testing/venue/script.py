"""The script that a simulated venue plays: which fault strikes what, drawn from its own seeded generator."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from random import Random

from tickspan.testing.venue.behaviour import Behaviour, Fault, Point


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """How one order is going to live."""

    ack_delay_s: float
    fill_delay_s: float  # from the acknowledgement; 0 or less: the fills come first
    fill_gap_s: float
    partials: tuple[float, ...]
    fault: Fault | None = None


class Script:
    """Decides faults. The n-th strike at a point draws the same for the same seed, whatever the timing.

    Armed faults come first, in the order in which they were armed, one per strike. Thread-safe to arm.
    """

    def __init__(self, seed: int, behaviour: Behaviour) -> None:
        self._seed = seed
        self._behaviour = behaviour
        self.ack_delay_s = behaviour.ack_delay_s
        """From an order's arrival to its acknowledgement, from now on."""
        self._armed: dict[Point, deque[Fault]] = {point: deque() for point in Point}
        self._strikes: Counter[Point] = Counter()

    def arm(self, fault: Fault) -> None:
        """Let `fault` strike once, at the next moment of its kind."""
        self._armed[fault.point].append(fault)

    def strike(self, point: Point) -> Fault | None:
        """The fault of this moment, if any: at most one."""
        self._strikes[point] += 1
        if self._armed[point]:
            return self._armed[point].popleft()
        rates = {fault: rate for fault, rate in self._behaviour.rates.items() if fault.point is point}
        if not rates:
            return None
        draw = self._random(point).random()
        for fault, rate in rates.items():
            if draw < rate:
                return fault
            draw -= rate
        return None

    def plan_order(self) -> OrderPlan:
        """How the order that arrives now is going to live."""
        fault = self.strike(Point.ORDER)
        behaviour = self._behaviour
        plan = OrderPlan(
            self.ack_delay_s, behaviour.fill_delay_s, behaviour.fill_gap_s, behaviour.partials, fault
        )
        return _shaped_by(fault, plan)

    def _random(self, point: Point) -> Random:
        # A generator per strike: what one order draws does not depend on how many others came before.
        return Random(f"{self._seed}/{point.name}/{self._strikes[point]}")  # noqa: S311 (a script, no secret)


_PERCEPTIBLE_S = 0.05


def _shaped_by(fault: Fault | None, plan: OrderPlan) -> OrderPlan:
    if fault is Fault.FILL_BEFORE_ACK:
        # The acknowledgement travels on another socket: it has to be slow enough to lose the race.
        ack_delay_s = max(plan.ack_delay_s, _PERCEPTIBLE_S)
        return OrderPlan(ack_delay_s, -ack_delay_s, 0.0, plan.partials, fault)
    if fault is Fault.LATE_FILL and len(plan.partials) == 1:
        # With a single fill nothing could come after it.
        return OrderPlan(plan.ack_delay_s, plan.fill_delay_s, plan.fill_gap_s, (0.5, 0.5), fault)
    return plan
