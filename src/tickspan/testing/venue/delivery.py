"""How reports reach the account's owner: in order and once, or as the script wants it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tickspan.testing.venue.behaviour import Fault, Point
from tickspan.testing.venue.orders import Balance, Execution, VenueOrder
from tickspan.testing.venue.script import Script
from tickspan.testing.venue.timers import Timers

_PATIENCE_S = 0.25  # how long a report waits for another one to overtake it


@dataclass(frozen=True, slots=True)
class Report:
    """What the account's owner is told about an order: its state then, and what led there."""

    kind: str  # NEW, TRADE, CANCELED, EXPIRED
    order: VenueOrder
    execution: Execution | None
    client_id: str  # the order's, except on a cancel, where it is the cancel's own
    time_ms: int
    balances: Mapping[str, Balance]  # of the pair's two assets, after it


class Delivery:
    """Passes reports to `listeners`; loses, doubles, reorders and delays some. Lives on the venue's loop."""

    def __init__(self, script: Script, timers: Timers, late_fill_s: float) -> None:
        self.listeners: set[Callable[[Report], None]] = set()
        self._script = script
        self._timers = timers
        self._late_fill_s = late_fill_s
        self._late: dict[int, Report | None] = {}
        self._overtaken: Report | None = None
        self._muted_until = 0.0

    @property
    def is_mute(self) -> bool:
        """Whether what is told now is lost."""
        return time.monotonic() < self._muted_until

    def mute(self, duration_s: float) -> None:
        """Lose all that is told during `duration_s`."""
        self._muted_until = time.monotonic() + duration_s

    def hold_one_fill(self, order_id: int) -> None:
        """Tell one fill of this order only after the report that ends it."""
        self._late[order_id] = None

    def lacks_a_fill(self, order_id: int) -> bool:
        """Whether `hold_one_fill` still waits for a fill to hold."""
        return order_id in self._late and self._late[order_id] is None

    def deliver(self, report: Report) -> None:
        """Tell the listeners, in the script's manner."""
        order = report.order
        if report.execution and self.lacks_a_fill(order.order_id):
            self._late[order.order_id] = report
            return
        self._play(report, self._script.strike(Point.REPORT) if report.execution else None)
        late = None if order.status.is_open else self._late.pop(order.order_id, None)
        if late is not None:
            self._timers.after(self._late_fill_s, self._tell, late)

    def _play(self, report: Report, fault: Fault | None) -> None:
        if fault is Fault.REORDER and self._overtaken is None:
            self._overtaken = report
            self._timers.after(_PATIENCE_S, self._tell_overtaken)
            return
        if fault is not Fault.LOST_EVENT:
            self._tell(report)
        if fault is Fault.DUPLICATE_EVENT:
            self._tell(report)
        self._tell_overtaken()

    def _tell_overtaken(self) -> None:
        if self._overtaken is not None:
            report, self._overtaken = self._overtaken, None
            self._tell(report)

    def _tell(self, report: Report) -> None:
        if not self.is_mute:
            for listen in tuple(self.listeners):
                listen(report)
