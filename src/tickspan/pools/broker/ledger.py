"""Who gets which connection of a broker pool, what is closed, what is opened. Pure: values in, values out.

Nothing waits, connects or calls here, and no time passes. Each step returns what must be done, which the pool
does after it has let go of its lock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tickspan.pools.arguments import require_age, require_size
from tickspan.pools.broker.breaker import Breaker

MAX_PASSED_OVER: Final = 3
"""So often a request may be overtaken by one whose account fits the connection that came back."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How a broker pool keeps its connections; times in seconds."""

    max_connections: int
    min_connections: int = 0
    max_lifetime_s: float | None = None
    max_idle_s: float | None = None
    ping_after_s: float | None = 30.0
    """Silence of a connection after which it is asked before it is lent."""
    max_silence_s: float | None = None
    """Silence after which it is taken for dead."""

    def __post_init__(self) -> None:
        require_size("max_connections", self.max_connections)
        require_size("min_connections", self.min_connections, at_least=0)
        if self.min_connections > self.max_connections:
            raise ValueError(
                f"min_connections: expected 0 to {self.max_connections}, got {self.min_connections}"
            )
        for name in ("max_lifetime_s", "max_idle_s", "ping_after_s", "max_silence_s"):
            require_age(name, getattr(self, name))


class Link:
    """A connection of the pool."""

    __slots__ = ("account", "connection", "expires_at_s", "heard_at_s", "holding", "idle_since_s", "lent_ns")

    def __init__(self, connection: Any, account: str | None, now_s: float, expires_at_s: float) -> None:
        self.connection = connection
        self.account = account
        self.heard_at_s = self.idle_since_s = now_s
        self.expires_at_s = expires_at_s
        self.holding: Any = None
        self.lent_ns = 0

    def __repr__(self) -> str:
        return f"<Link {type(self.connection).__name__}>"


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """Leave to open a connection, after `instead_of` was closed."""

    account: str | None
    instead_of: Link | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No connection is going to come."""

    retry_after_s: float | None = None
    """None where the pool is closed for good."""


Grant = Link | Slot | Refusal


class Request:
    """Somebody wants a connection. `grant` is what came of it, None while it waits."""

    __slots__ = ("account", "grant", "passed_over", "wake")

    def __init__(self, account: str | None) -> None:
        self.account = account
        self.grant: Grant | None = None
        self.passed_over = 0
        self.wake: Callable[[], bool] = _nobody_waits

    def __repr__(self) -> str:
        return f"<Request {self.grant!r}>"


@dataclass(slots=True)
class Todo:
    """What must happen now, outside the lock."""

    wake: list[Request] = field(default_factory=list[Request])
    close: list[tuple[Link, str]] = field(default_factory=list[tuple[Link, str]])
    """Connections and why; `closed` is to be told after."""
    check: list[Link] = field(default_factory=list[Link])
    connect: list[Slot] = field(default_factory=list[Slot])


class Ledger:
    """The books of one pool."""

    def __init__(
        self,
        limits: Limits,
        breaker: Breaker,
        expiry: Callable[[float], float],
        heard: Callable[[Link], float],
    ) -> None:
        self.limits = limits
        self.breaker = breaker
        self.is_draining = False
        self._expiry = expiry
        self._heard = heard
        self._idle: dict[str | None, list[Link]] = {}
        self._used: set[Link] = set()
        self._slots: set[Slot] = set()
        self._leaving: set[Link] = set()
        """Being closed or asked: they count until that is over."""
        self._waiting: OrderedDict[Request, None] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Ledger {self.used} used, {self.idle} idle, {self.waiting} waiting>"

    @property
    def used(self) -> int:
        """Connections that are lent, or on the way to somebody."""
        return len(self._used) + len(self._slots)

    @property
    def idle(self) -> int:
        """Connections that are there for whoever comes, those that are just being asked included."""
        return sum(map(len, self._idle.values())) + len(self._leaving)

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def links(self) -> tuple[Link, ...]:
        """All open connections."""
        return (*self._idles(), *self._used, *self._leaving)

    def lent(self) -> tuple[Link, ...]:
        """Connections that are out."""
        return tuple(self._used)

    # A request

    def ask(self, request: Request, now_s: float) -> Todo:
        """Grant a connection, leave to open one, or a place in the queue."""
        todo = Todo()
        if self.is_draining:
            request.grant = Refusal()
            return todo
        link = self._take_idle(request.account, now_s, todo)
        if link is not None:
            self._used.add(link)
            request.grant = link
        elif self._has_room() or self._idle_of_another(request.account):
            self._grant_slot(request, now_s)
        else:
            self._waiting[request] = None
        return todo

    def abandon(self, request: Request, now_s: float) -> Todo:
        """A request waits no more; what it was granted goes to the next."""
        self._waiting.pop(request, None)
        grant, request.grant = request.grant, None
        if isinstance(grant, Link):
            return self.give_back(grant, now_s)
        if isinstance(grant, Slot):
            if grant.instead_of is not None:
                self._idle.setdefault(grant.instead_of.account, []).append(grant.instead_of)
            return self.not_connected(grant, now_s, is_failure=False)
        return Todo()

    # A connection

    def connected(self, slot: Slot, connection: Any, now_s: float) -> Link:
        """A connection was opened, and is used."""
        link = Link(connection, slot.account, now_s, self._expiry(now_s))
        self._slots.discard(slot)
        self._used.add(link)
        return link

    def not_connected(self, slot: Slot, now_s: float, *, is_failure: bool) -> Todo:
        """None was. The next in the queue may try, unless the breaker has opened."""
        self._slots.discard(slot)
        todo = Todo()
        if not is_failure:
            self.breaker.given_up()
        elif self.breaker.failed(now_s):
            retry_after_s = self.breaker.retry_after_s(now_s)
            while self._waiting:
                request, _ = self._waiting.popitem(last=False)
                request.grant = Refusal(retry_after_s)
                todo.wake.append(request)
        self._fill(now_s, todo)
        return todo

    def give_back(self, link: Link, now_s: float, reason: str | None = None) -> Todo:
        """A connection comes back; with a `reason` it is to be closed."""
        todo = Todo()
        if link not in self._used:
            return todo
        self._used.discard(link)
        link.idle_since_s = now_s
        reason = reason or self._why_close(link, now_s)
        if reason is None and self.is_draining:
            reason = "drain"
        if reason is None:
            request = self._next_for(link)
            if request is not None:
                self._used.add(link)
                request.grant = link
                todo.wake.append(request)
                return todo
            if not self._waiting:
                self._idle.setdefault(link.account, []).append(link)
                return todo
            reason = "account"
        self._leaving.add(link)
        todo.close.append((link, reason))
        return todo

    def closed(self, link: Link, now_s: float) -> Todo:
        """A connection is closed: there is room for another."""
        self._leaving.discard(link)
        todo = Todo()
        self._fill(now_s, todo)
        return todo

    def checked(self, link: Link, now_s: float, *, is_well: bool) -> Todo:
        """An idle connection was asked how it is."""
        self._leaving.discard(link)
        self._used.add(link)
        if is_well:
            link.heard_at_s = now_s
        return self.give_back(link, now_s, None if is_well else "unhealthy")

    def needs_check(self, link: Link, now_s: float) -> bool:
        """Whether a connection has been silent for so long that it is asked before it is used."""
        after_s = self.limits.ping_after_s
        return after_s is not None and now_s - self._heard_at(link) > after_s

    # Now and then

    def upkeep(self, now_s: float) -> Todo:
        """Close what is old, silent or too much; ask what has been quiet; open what is missing."""
        todo = Todo()
        for link in tuple(self._idles()):
            reason = self._why_close(link, now_s)
            if reason is None and self._is_surplus(link, now_s, closing=len(todo.close)):
                reason = "idle"
            if reason is not None:
                self._leave(link)
                todo.close.append((link, reason))
            elif self.needs_check(link, now_s):
                self._leave(link)
                todo.check.append(link)
        if not self.is_draining:
            while self._open < self.limits.min_connections and self.breaker.admits(now_s):
                slot = Slot(None)
                self._slots.add(slot)
                todo.connect.append(slot)
        return todo

    def drain(self) -> Todo:
        """Lend no more: idle connections are closed, requests refused."""
        self.is_draining = True
        todo = Todo()
        for link in tuple(self._idles()):
            self._leave(link)
            todo.close.append((link, "drain"))
        while self._waiting:
            request, _ = self._waiting.popitem(last=False)
            request.grant = Refusal()
            todo.wake.append(request)
        return todo

    @property
    def _open(self) -> int:
        return sum(map(len, self._idle.values())) + len(self._used) + len(self._slots) + len(self._leaving)

    def _has_room(self) -> bool:
        return self._open < self.limits.max_connections

    def _idles(self) -> Iterator[Link]:
        for links in self._idle.values():
            yield from links

    def _leave(self, link: Link) -> None:
        self._idle[link.account].remove(link)
        self._leaving.add(link)

    def _take_idle(self, account: str | None, now_s: float, todo: Todo) -> Link | None:
        """The one that was used last: it is the likeliest to be well, and the others may age."""
        links = self._idle.get(account)
        while links:
            link = links.pop()
            reason = self._why_close(link, now_s)
            if reason is None:
                return link
            self._leaving.add(link)
            todo.close.append((link, reason))
        return None

    def _idle_of_another(self, account: str | None) -> Link | None:
        others = [links[0] for name, links in self._idle.items() if name != account and links]
        return min(others, key=lambda link: link.idle_since_s, default=None)

    def _grant_slot(self, request: Request, now_s: float) -> None:
        if not self.breaker.admits(now_s):
            request.grant = Refusal(self.breaker.retry_after_s(now_s))
            return
        instead_of = None
        if not self._has_room():
            instead_of = self._idle_of_another(request.account)
            if instead_of is not None:
                self._idle[instead_of.account].remove(instead_of)
        request.grant = slot = Slot(request.account, instead_of)
        self._slots.add(slot)

    def _fill(self, now_s: float, todo: Todo) -> None:
        while self._waiting and self._has_room():
            request, _ = self._waiting.popitem(last=False)
            self._grant_slot(request, now_s)
            todo.wake.append(request)

    def _next_for(self, link: Link) -> Request | None:
        """The first in the queue; one whose account fits may overtake others a few times."""
        for request in self._waiting:
            if request.account == link.account:
                break
            if request.passed_over >= MAX_PASSED_OVER:
                return None
        else:
            return None
        for other in self._waiting:
            if other is request:
                break
            other.passed_over += 1
        del self._waiting[request]
        return request

    def _why_close(self, link: Link, now_s: float) -> str | None:
        if now_s >= link.expires_at_s:
            return "lifetime"
        silence_s = self.limits.max_silence_s
        if silence_s is not None and now_s - self._heard_at(link) > silence_s:
            return "silent"
        return None

    def _heard_at(self, link: Link) -> float:
        return max(link.heard_at_s, self._heard(link))

    def _is_surplus(self, link: Link, now_s: float, *, closing: int) -> bool:
        idle_s = self.limits.max_idle_s
        is_wanted = self._open - closing <= self.limits.min_connections
        return idle_s is not None and not is_wanted and now_s - link.idle_since_s > idle_s


def _nobody_waits() -> bool:
    return True
