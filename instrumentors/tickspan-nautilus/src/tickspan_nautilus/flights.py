"""Commands under way. NautilusTrader throws a command and forgets it: the answer is an event, much later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from tickspan.instrumentation import ActiveOperation
from tickspan.semconv import trading as names
from tickspan.trading import OrderCall, OrderOperation, OrderUpdate, Reject

DEADLINE_S: Final = 60.0
"""The library itself asks the venue about a silent order after 5 s, five times; then nobody knows."""
MAX_FLIGHTS: Final = 10_000

TIMED_OUT: Final = "timeout"
LEFT: Final = "unanswered"

Later = Callable[[float, Callable[[], None]], Callable[[], None]]
"""`(seconds, action)` runs the action then; returns what takes that back."""


class Flight:
    """One command between its call and its answer. It may be about several orders."""

    __slots__ = ("answers", "call", "check", "command_id", "forget", "ids", "queued_ns", "rejects", "waiting")

    def __init__(self, command_id: Any, call: OrderCall, ids: Sequence[str], held: Collection[str]) -> None:
        self.command_id = command_id
        self.call = call
        self.ids = tuple(ids)
        """Client ids of the orders that it is about."""
        self.waiting = {name for name in ids if name not in held}
        """Those whose answer is still to come; `held` ones rest until their parent is filled."""
        self.answers: dict[str, OrderUpdate] = {}
        self.rejects: dict[str, Reject] = {}
        self.queued_ns: int | None = None
        """Since when it stands in a queue."""
        self.check: ActiveOperation | None = None
        """The risk check that it is in."""
        self.forget: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<Flight {self.call!r}, {len(self.waiting)} of {len(self.ids)} unanswered>"

    def checked(self, outcome: str) -> None:
        """The risk check is over, if there was one."""
        check, self.check = self.check, None
        if check is not None:
            check.succeed({names.RISK_CHECK_OUTCOME: outcome})


class Flights:
    """The commands of one kernel that are not answered yet: at most `MAX_FLIGHTS`, none beyond the deadline.

    Used by the kernel's own thread. Without `later` there is no deadline: then whoever has it calls `close`.
    """

    def __init__(self, later: Later | None) -> None:
        self._later = later
        self._by_command: dict[Any, Flight] = {}
        self._by_order: dict[tuple[OrderOperation, str], deque[Flight]] = {}

    def __len__(self) -> int:
        return len(self._by_command)

    def begin(self, command: Any, call: OrderCall, ids: Sequence[str], held: Collection[str] = ()) -> Flight:
        """`command` is under way. Without ids nothing will answer it."""
        flight = self._by_command[command.id] = Flight(command.id, call, ids, held)
        for name in flight.ids:
            self._by_order.setdefault((call.operation, name), deque()).append(flight)
        if self._later is not None:
            flight.forget = self._later(DEADLINE_S, lambda: self._give_up(flight, TIMED_OUT))
        if len(self._by_command) > MAX_FLIGHTS:
            self._give_up(next(iter(self._by_command.values())), TIMED_OUT)
        return flight

    def of_command(self, command: Any) -> Flight | None:
        """The flight of `command`, if it is not over."""
        return self._by_command.get(command.id)

    def about(self, operation: OrderOperation, client_id: str) -> Flight | None:
        """The oldest such command about the order that is not answered yet."""
        known = self._by_order.get((operation, client_id))
        return known[0] if known else None

    def answer(
        self, flight: Flight, client_id: str, answer: OrderUpdate | None, reject: Reject | None = None
    ) -> None:
        """One of its orders has been answered or refused; or (None) it shows that it was accepted before."""
        self._drop(flight, client_id)
        if answer is not None:
            flight.answers[client_id] = answer
        if reject is not None:
            flight.rejects[client_id] = reject
        flight.waiting.discard(client_id)
        if not flight.waiting:
            self.land(flight)

    def land(self, flight: Flight) -> None:
        """The command is answered as far as it will be."""
        self._remove(flight)
        refused = [flight.rejects[name] for name in flight.ids if name in flight.rejects]
        if refused and len(refused) == len(flight.ids):
            flight.call.fail(refused[0].error_type, refused[0])
        else:
            flight.call.acknowledge([flight.answers[name] for name in flight.ids if name in flight.answers])

    def broke(self, command: Any, error: BaseException) -> None:
        """The library raised while it handled `command`."""
        flight = self._by_command.get(command.id)
        if flight is not None:
            self._remove(flight)
            flight.call.fail_with(error)

    def close(self) -> None:
        """Nothing will be heard any more: what is under way stays unanswered."""
        for flight in tuple(self._by_command.values()):
            self._give_up(flight, LEFT)

    def _give_up(self, flight: Flight, error_type: str) -> None:
        if flight.answers:
            self.land(flight)
        else:
            self._remove(flight)
            flight.call.fail(error_type)

    def _remove(self, flight: Flight) -> None:
        flight.forget()
        flight.checked("error")
        self._by_command.pop(flight.command_id, None)
        for name in flight.ids:
            self._drop(flight, name)

    def _drop(self, flight: Flight, client_id: str) -> None:
        key = (flight.call.operation, client_id)
        known = self._by_order.get(key)
        if known is not None and flight in known:
            known.remove(flight)
            if not known:
                del self._by_order[key]
