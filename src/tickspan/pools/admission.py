"""Who may ask a pool for a connection now, and who is next: first come, first served, with reserved lanes.

Pure: no lock, no clock, no waiting. A permit that is given back goes straight to whoever is next: nobody who
comes later can take it first.

Permits lie in lists, which a `pop` or an `append` changes in one step. So a permit may be taken at any moment
by `at_once`, and be put back by whoever has it, while another step is under way; all else is one step at a
time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from tickspan.pools.arguments import require_lanes

SHARED: Final = ""
"""The lane of whoever names none."""


class Permit:
    """Leave to ask the pool. Its list is its home, to which `append` gives it back."""

    __slots__ = ("home",)

    def __init__(self, home: list[Permit]) -> None:
        self.home = home

    def leave(self) -> None:
        """Give it back, once."""
        self.home.append(self)


class Ticket:
    """One request that may have to wait; whoever waits for it hangs on `wake`."""

    __slots__ = ("lane", "number", "permit")

    number: int
    """Its place among all that ever waited."""

    def __init__(self, lane: str = SHARED) -> None:
        self.lane = lane
        self.permit: Permit | None = None

    def __repr__(self) -> str:
        state = "in" if self.is_in else "waiting"
        return f"<{type(self).__name__} {self.lane or 'shared'} {state}>"

    @property
    def is_in(self) -> bool:
        """Whether it has a permit."""
        return self.permit is not None


class Admission:
    """`limit` permits, of which each lane has some for itself; what is left is for all, in order of arrival.

    A permit of a lane's own waits for that lane: others do not get it, however long they wait. A lane's
    requests beyond its own permits compete for the shared ones.
    """

    def __init__(
        self, limit: int, lanes: Mapping[str, int], make: Callable[[list[Permit]], Permit] = Permit
    ) -> None:
        """Raise `ValueError` for lanes that reserve more than there is, or leave nothing to the others."""
        _check(limit, lanes)
        self.lanes = dict(lanes)
        self.limit = limit
        self._make = make
        self._reserved = sum(lanes.values())
        self._waiting: dict[str, OrderedDict[Ticket, None]] = {}
        self.waiting = 0
        """How many wait."""
        self._number = 0
        self._count_anew(limit - self._reserved)

    def __repr__(self) -> str:
        return f"<Admission {self.free} of {self.limit} free, {self.waiting} waiting>"

    @property
    def free(self) -> int:
        """Permits that nobody has, those of lanes included; negative while a smaller limit is not reached."""
        return len(self._shared) + sum(map(len, self._own.values())) - self._owed

    def at_once(self, lane: str) -> Permit | None:
        """A permit for whoever need not wait for one; None for whoever has to `ask`. Safe at any moment."""
        if self.waiting:
            return None
        if lane:
            return _popped(self._own[lane]) or _popped(self._shared)
        try:  # what `_popped` does, where it is asked for most
            return self._shared.pop()
        except IndexError:
            return None

    def ask(self, ticket: Ticket) -> bool:
        """Let `ticket` in, or put it at the end of its lane's queue."""
        lane = ticket.lane
        if lane and not self._waiting.get(lane):
            ticket.permit = _popped(self._own[lane])
        if ticket.permit is None and not self.waiting:
            ticket.permit = _popped(self._shared)
        if ticket.permit is not None:
            return True
        self.waiting += 1
        self._number += 1
        ticket.number = self._number
        self._waiting.setdefault(lane, OrderedDict())[ticket] = None
        return False

    def leave(self, ticket: Ticket) -> list[Ticket]:
        """`ticket` needs its permit no more. Returns who is let in by that: nobody, or one."""
        permit, ticket.permit = ticket.permit, None
        if permit is None:
            return []
        permit.home.append(permit)
        return self.let_in()

    def abandon(self, ticket: Ticket) -> list[Ticket]:
        """`ticket` waits no more. Returns who is let in, if it had been let in meanwhile."""
        if ticket.is_in:
            return self.leave(ticket)
        queue = self._waiting.get(ticket.lane)
        if queue is not None and ticket in queue:
            del queue[ticket]
            self.waiting -= 1
        return []

    def resize(self, limit: int) -> list[Ticket]:
        """The pool allows another number now, a smaller one as permits come back. Returns who is let in."""
        if limit == self.limit or limit <= self._reserved:
            return []
        more = limit - self.limit - self._owed
        self.limit = limit
        self._owed = max(0, -more)
        self._shared.extend(self._make(self._shared) for _ in range(more))
        return self.let_in()

    def reconcile(self, in_use: int) -> list[Ticket]:
        """Count anew from what the pool says is in use. Returns who is let in.

        Permits of before are worth nothing any more, for their lists are not looked at again: the pool counts
        their connections itself.
        """
        if self.limit - in_use <= self.free:
            return []
        self._count_anew(self.limit - self._reserved - in_use)
        return self.let_in()

    def let_in(self) -> list[Ticket]:
        """Who is in by the permits that have come back."""
        while self._owed and _popped(self._shared) is not None:
            self._owed -= 1
        let_in: list[Ticket] = []
        if not self.waiting:
            return let_in
        for lane, own in self._own.items():
            self._hand_over(own, partial(self._waiting.get, lane), let_in)
        self._hand_over(self._shared, self._oldest, let_in)
        return let_in

    def forget_waiting(self) -> None:
        """Nobody waits: they were threads of a parent process."""
        self._waiting.clear()
        self.waiting = 0

    def _count_anew(self, shared: int) -> None:
        self._own = {lane: self._permits(number) for lane, number in self.lanes.items()}
        self._shared = self._permits(max(0, shared))
        self._owed = max(0, -shared)
        """Shared permits that are to be taken away as they come back."""

    def _permits(self, number: int) -> list[Permit]:
        made: list[Permit] = []
        made.extend(self._make(made) for _ in range(number))
        return made

    def _hand_over(
        self,
        permits: list[Permit],
        queue_of: Callable[[], OrderedDict[Ticket, None] | None],
        let_in: list[Ticket],
    ) -> None:
        while queue := queue_of():
            permit = _popped(permits)
            if permit is None:
                return
            ticket, _ = queue.popitem(last=False)
            self.waiting -= 1
            ticket.permit = permit
            let_in.append(ticket)

    def _oldest(self) -> OrderedDict[Ticket, None] | None:
        queues = [queue for queue in self._waiting.values() if queue]
        return min(queues, key=lambda queue: next(iter(queue)).number) if queues else None


def _popped(permits: list[Permit]) -> Permit | None:
    try:
        return permits.pop()
    except IndexError:
        return None


def _check(limit: int, lanes: Mapping[str, int]) -> None:
    require_lanes(lanes)
    if lanes and sum(lanes.values()) >= limit:
        raise ValueError(
            f"lanes: {dict(lanes)} reserve {sum(lanes.values())} of {limit} connections; at least one must be"
            " left for requests that name no lane"
        )
