"""Who governs one pool of another library: its gate, who holds its connections, what is told of that.

Nothing of the pool is replaced. The instrumentation around its methods asks `enter` before a connection is
taken and tells `lent` after; what comes back ends its `Held`.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context as Taken
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from threading import Thread, current_thread, get_ident
from threading import _active as _threads  # pyright: ignore[reportAttributeAccessIssue] - see `holders`
from typing import Any, Final, Literal

from opentelemetry.context import Context, get_current

from tickspan.instrumentation.forks import renew_after_fork
from tickspan.instrumentation.pooling import MeasuredPool, Permit
from tickspan.instrumentation.watch import process_watch
from tickspan.pools.admission import SHARED
from tickspan.pools.arguments import require_age, require_lanes, require_patience
from tickspan.pools.gate import Gate, GateTimeoutError, Pass
from tickspan.pools.holders import Stack, Who, long_hold, positions, span_id_in, stack_here
from tickspan.pools.libraries.library import Library
from tickspan.pools.sizing import Advice, Load, advice_on, advised_size
from tickspan.pools.statistics import HolderStatistics
from tickspan.pools.telling import Teller
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv.pools import (
    EVENT_POOL_ADVICE,
    EVENT_POOL_LEAK_CLEARED,
    EVENT_POOL_LEAK_SUSPECTED,
    TICKSPAN_POOL_ADVISED_SIZE,
    TICKSPAN_POOL_HELD,
    TICKSPAN_POOL_HOLDER,
    TICKSPAN_POOL_HOLDER_POSITION,
    TICKSPAN_POOL_HOLDER_POSITION_KIND,
    TICKSPAN_POOL_HOLDER_SPAN_ID,
    TICKSPAN_POOL_HOLDER_STATE,
    TICKSPAN_POOL_LOAD,
    TICKSPAN_POOL_MAX,
)

STACKS_FOR_S: Final = 600.0
"""For so long after a suspicion the stack of every checkout is noted."""
WINDOW_S: Final = 60.0
"""Of the load that a size is advised for."""
ADVICE_EVERY_S: Final = 600.0
JITTER: Final = 0.1
_NS_PER_S: Final = 1e9
_now_ns: Final = time.perf_counter_ns

_dice: Final = Random()  # noqa: S311 - spreads reconnects, guards nothing


@dataclass(frozen=True, slots=True)
class Policy:
    """How a pool is governed."""

    is_fair: bool = False
    lanes: Mapping[str, int] = field(default_factory=dict[str, int])
    max_hold_s: float | None = 60.0
    max_lifetime_s: float | None = None
    ping_after_idle_s: float | None = None
    reclaim: Literal["dead"] | None = None

    def __post_init__(self) -> None:
        for name in ("max_hold_s", "max_lifetime_s", "ping_after_idle_s"):
            require_age(name, getattr(self, name))
        require_lanes(self.lanes)
        if self.reclaim not in {None, "dead"}:
            raise ValueError(f"reclaim: expected 'dead' or None, got {self.reclaim!r}")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for besides a connection."""

    lane: str = SHARED
    timeout_s: float | None = None
    account: str | None = None
    weight: float = 0

    def __post_init__(self) -> None:
        if self.timeout_s is not None:
            require_patience(self.timeout_s)


wish: Final[ContextVar[Wish | None]] = ContextVar("tickspan_pools_wish", default=None)


_Note = tuple[int, Taken, Thread]
"""Since when a connection is out, by which context and which thread it was taken."""


class Held:
    """A connection that is out: who has it, and what has been told of that."""

    task: weakref.ref[asyncio.Task[Any]] | None = None
    loop: asyncio.AbstractEventLoop | None = None
    stack: Stack | None = None
    is_over = False
    is_suspected = False

    def __init__(self, governor: PoolGovernor, thing: Any, note: _Note, permit: Permit | None = None) -> None:
        self._governor = governor
        self.thing = thing
        self.note = note
        self.permit = permit

    def __repr__(self) -> str:
        return f"<Held by {self.who.name}>"

    def note_task(self) -> None:
        """Its holder is the running task, if there is one."""
        try:
            task = asyncio.current_task()
        except RuntimeError:  # a pool of tasks may be asked without a loop while nothing is awaited
            return
        if task is not None:
            self.task, self.loop = weakref.ref(task), task.get_loop()

    @property
    def who(self) -> Who:
        """Its holder."""
        return Who(self.note[2], self.task, self.loop)

    @property
    def held_s(self) -> float:
        """Since when, in seconds."""
        return (_now_ns() - self.note[0]) / _NS_PER_S

    @property
    def is_exempt(self) -> bool:
        """Whether it was taken where a long hold is expected."""
        return self.note[1].get(long_hold, False)

    @property
    def trace_context(self) -> Context:
        """Where it was taken."""
        return self.note[1].run(get_current)

    def before_return(self) -> Awaitable[None] | None:
        """What is to be done to the connection before its pool has it back."""
        return self._governor.before_return(self)

    def end(self) -> None:
        """It came back."""
        if self.is_over:
            return
        self.is_over = True
        governor = self._governor
        governor.out.pop(self, None)
        if governor.pings:
            governor.library.returned(self.thing)
        if self.permit is not None:
            self.permit.leave()
        if self.is_suspected:
            governor.tell_cleared(self)


class PoolGovernor:
    """Safe from threads and tasks at once. Knows its pool weakly."""

    def __init__(self, library: Library, name: str, policy: Policy, teller: Teller) -> None:
        self.library = library
        self.name = name
        self.policy = policy
        self.teller = teller
        self.guard = Guard("pools", name)
        self.gate = _gate(library, policy)
        self.out: dict[Any, Held | _Note] = {}
        """A note by the connection that it is of, or by itself what is known of one."""
        self._suspected: dict[Any, Held] = {}
        """What has been told, of those with a note."""
        self._stacks_until_ns = 0
        self.pings = policy.ping_after_idle_s is not None
        self._window = _Window(library.measured)
        self._advised_at_s: float | None = None
        self.advised_size: int | None = None
        self.is_plain = False
        """See `tickspan.instrumentation.pooling.Governor`."""
        self._is_watched = self._is_simple = False
        renew_after_fork(self)
        self._watch()

    def __repr__(self) -> str:
        return f"<PoolGovernor {self.name}, {len(self.out)} out>"

    # What the instrumentation asks

    def enter(self, timeout_s: float | None = None) -> Permit | None:
        """See `tickspan.instrumentation.pooling.Gate`."""
        gate = self.gate
        if gate is None:
            return None
        lane = SHARED if wish.get() is None else self._lane(gate)
        permit = gate.at_once(lane)
        if permit is not None:
            return permit
        library = self.library
        if library.waits_in_greenlets:
            ticket = gate.ask(lane, Pass.for_task)
            return ticket.permit or library.await_here(self._wait(gate, ticket, timeout_s))
        ticket = gate.ask(lane, Pass.for_thread)
        if ticket.is_in:
            return ticket.permit
        timeout_s = self._patience_s(timeout_s)
        try:
            return gate.wait(ticket, timeout_s)
        except GateTimeoutError:
            error = library.refusal(timeout_s)
        raise error

    async def enter_async(self, timeout_s: float | None = None) -> Permit | None:
        """The same by a task."""
        gate = self.gate
        if gate is None:
            return None
        lane = self._lane(gate)
        permit = gate.at_once(lane)
        if permit is not None:
            return permit
        ticket = gate.ask(lane, Pass.for_task)
        return ticket.permit or await self._wait(gate, ticket, timeout_s)

    async def _wait(self, gate: Gate, ticket: Pass, timeout_s: float | None) -> Any:
        timeout_s = self._patience_s(timeout_s)
        try:
            return await gate.wait_async(ticket, timeout_s)
        except GateTimeoutError:
            error = self.library.refusal(timeout_s)
        raise error

    def lent(self, thing: Any, permit: Permit | None, now_ns: int) -> Held:
        """The pool has handed out a connection."""
        note = (now_ns, copy_context(), _threads.get(get_ident()) or current_thread())
        held = Held(self, thing, note, permit)
        if not self._is_simple:
            self._note(held)
        if now_ns < self._stacks_until_ns:
            held.stack = stack_here(2)
        self.out[held] = held
        return held

    def back(self, thing: Any) -> None:
        """See `tickspan.instrumentation.pooling.Governor`."""
        note = self.out.pop(thing, None)
        if self.pings:
            self.library.returned(thing)
        if self._suspected:
            held = self._suspected.pop(thing, None)
            if held is not None and held.note is note:
                self.tell_cleared(held)

    def _note(self, held: Held) -> None:
        """What is particular to a library or a policy, and the first time in a forked child."""
        library, thing = self.library, held.thing
        if library.is_async:
            held.note_task()
        if self.policy.max_lifetime_s is not None:
            library.limit_lifetime(thing, self.policy.max_lifetime_s, jitter())
        if not library.keeps_things:
            held.thing = library.reference(thing)
        if not self._is_watched:
            self._watch()

    def _watch(self) -> None:
        self._is_watched = True
        process_watch().add(self)
        library = self.library
        self._is_simple = (
            library.keeps_things
            and not library.is_async
            and (self.policy.max_lifetime_s is None or library.tells_invalidations)
        )
        self.is_plain = self._is_simple and _now_ns() >= self._stacks_until_ns

    def before_return(self, held: Held) -> Awaitable[None] | None:
        """Close what has lived long enough, where its library has no better moment."""
        reason, closing = self.library.before_return(held.thing)
        if reason is not None:
            self.teller.closed(reason)
        return closing

    def after_fork_in_child(self) -> None:
        """What threads of the parent hold is not known here; the watch begins with nothing."""
        self.out, self._suspected = {}, {}
        self._is_watched = self._is_simple = self.is_plain = False

    # What the watch asks

    def look(self) -> None:
        """Once a second: who holds too long, does the gate fit the pool, does the pool fit its load."""
        self.guard.own(self._look_for_leaks, default=None)
        self.guard.own(self._look_at_gate, default=None)
        self.guard.own(self._look_at_load, default=None)

    def close(self) -> None:
        """Look no more; what is out still comes back."""
        process_watch().remove(self)

    def holders(self) -> tuple[HolderStatistics, ...]:
        """Who has a connection, the longest first."""
        held = sorted(self._held(), key=lambda held: held.note[0])
        return tuple(
            HolderStatistics(
                one.who.name,
                one.held_s,
                one.who.is_alive,
                one.is_suspected,
                () if one.stack is None else positions(one.stack),
            )
            for one in held
        )

    def _lane(self, gate: Gate) -> str:
        wanted = wish.get()
        if wanted is None or not (wanted.lane and gate.lanes):
            return SHARED
        if wanted.lane not in gate.lanes:
            raise unknown_lane(self.name, wanted.lane, gate.lanes)
        return wanted.lane

    def _patience_s(self, timeout_s: float | None) -> float | None:
        """The call's own limit of time, else that of `get_connection_context`, else the pool's."""
        wanted = wish.get()
        if timeout_s is None and wanted is not None:
            timeout_s = wanted.timeout_s
        return self.library.timeout_s() if timeout_s is None else timeout_s

    def _look_for_leaks(self) -> None:
        max_hold_s = self.policy.max_hold_s
        if max_hold_s is None:
            return
        all_held = self._held()
        for held in all_held:
            if held.held_s <= max_hold_s or held.is_exempt or held.is_over:
                continue
            if not held.is_suspected:
                self._suspect(held)
            if self.policy.reclaim == "dead" and not held.who.is_alive:
                self._reclaim(held)
        for thing, held in self._suspected.copy().items():
            if self.out.get(thing) is not held.note:  # it came back while it was being suspected
                self._suspected.pop(thing, None)
        self.is_plain = self._is_simple and _now_ns() >= self._stacks_until_ns

    def _held(self) -> list[Held]:
        """All that is out."""
        held: list[Held] = []
        for thing, known in self.out.copy().items():
            if isinstance(known, Held):
                held.append(known)
                continue
            suspected = self._suspected.get(thing)
            if suspected is None or suspected.note is not known:
                suspected = Held(self, thing, known)
            held.append(suspected)
        return held

    def _suspect(self, held: Held) -> None:
        held.is_suspected = True
        if held not in self.out:
            self._suspected[held.thing] = held
        self._stacks_until_ns = _now_ns() + int(STACKS_FOR_S * _NS_PER_S)
        self.teller.leaked()
        self._tell_suspected(held)

    def _reclaim(self, held: Held) -> None:
        if self.library.reclaim(held.thing, held.who) and not self.library.tells_invalidations:
            self.teller.closed("dead_holder")

    def _look_at_gate(self) -> None:
        if self.gate is not None:
            counts = self.library.counts()
            if counts is not None:
                self.gate.adjust(counts.max)

    def _look_at_load(self) -> None:
        now_s = time.monotonic()
        load = self._window.closed(now_s)
        if load is None:
            return
        counts = self.library.counts()
        self.advised_size = advised_size(load) if load.lent else None
        advice = None if counts is None else advice_on(load, counts.max)
        is_due = self._advised_at_s is None or now_s - self._advised_at_s >= ADVICE_EVERY_S
        if advice is not None and is_due:
            self._advised_at_s = now_s
            self._tell_advice(advice)

    def _tell_suspected(self, held: Held) -> None:
        who, context = held.who, held.trace_context
        where = who.positions_now() if held.stack is None else positions(held.stack)
        state = "alive" if who.is_alive else "dead"
        attributes = {
            **_holder_attributes(held, context),
            TICKSPAN_POOL_HOLDER_STATE: state,
            TICKSPAN_POOL_HOLDER_POSITION: where,
            TICKSPAN_POOL_HOLDER_POSITION_KIND: "now" if held.stack is None else "taken",
        }
        body = f"{who.name} has held a connection of {self.name} for {held.held_s:.0f} s"
        self.teller.event(EVENT_POOL_LEAK_SUSPECTED, body, attributes, context=context)

    def tell_cleared(self, held: Held) -> None:
        """What was suspected came back after all."""
        context = held.trace_context
        body = f"{held.who.name} has given back a connection of {self.name} after {held.held_s:.0f} s"
        attributes = _holder_attributes(held, context)
        self.teller.event(EVENT_POOL_LEAK_CLEARED, body, attributes, is_warning=False, context=context)

    def _tell_advice(self, advice: Advice) -> None:
        too = "small" if advice.is_too_small else "large"
        body = (
            f"{self.name} is too {too}: {advice.load:.1f} connections are in use on average, which asks for"
            f" {advice.size}; it allows {advice.limit}"
        )
        attributes: dict[str, AttributeValue] = {
            TICKSPAN_POOL_ADVISED_SIZE: advice.size,
            TICKSPAN_POOL_LOAD: advice.load,
            TICKSPAN_POOL_MAX: advice.limit,
        }
        self.teller.event(EVENT_POOL_ADVICE, body, attributes, is_warning=advice.is_too_small)


class _Window:
    """The load since the window was opened."""

    def __init__(self, measured: Callable[[], MeasuredPool | None]) -> None:
        self._measured = measured
        self._since_s = time.monotonic()
        self._before = self._totals()

    def closed(self, now_s: float) -> Load | None:
        """The load of a window that is over, and another begins; None before."""
        elapsed_s = now_s - self._since_s
        if elapsed_s < WINDOW_S:
            return None
        now = self._totals()
        lent, use_ns, timeouts = (after - before for after, before in zip(now, self._before, strict=True))
        self._since_s, self._before = now_s, now
        return Load(lent, use_ns / _NS_PER_S, timeouts, elapsed_s)

    def _totals(self) -> tuple[int, int, int]:
        measured = self._measured()
        if measured is None:
            return 0, 0, 0
        return measured.lent_count, measured.use_ns, measured.timeout_count


def unknown_lane(pool: str, lane: str, lanes: Mapping[str, int]) -> ValueError:
    """The error of a request for a lane that a pool does not have."""
    known = ", ".join(sorted(lanes)) or "none"
    return ValueError(f"pool {pool!r} has no lane {lane!r}; its lanes: {known}")


def jitter() -> float:
    """A factor of 0.9 to 1.1: what was made at once shall not end at once."""
    return _dice.uniform(1 - JITTER, 1 + JITTER)


def _gate(library: Library, policy: Policy) -> Gate | None:
    counts = library.counts()
    limit = None if counts is None else counts.max
    if limit is None:
        if policy.lanes:
            raise ValueError(f"lanes: a {library.title} without a limit has nothing to reserve")
        return None
    if not (policy.is_fair or policy.lanes):
        return None
    return Gate(limit, policy.lanes, library.in_use, library.asking)


def _holder_attributes(held: Held, context: Context) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        TICKSPAN_POOL_HOLDER: held.who.name,
        TICKSPAN_POOL_HELD: held.held_s,
    }
    span_id = span_id_in(context)
    if span_id is not None:
        attributes[TICKSPAN_POOL_HOLDER_SPAN_ID] = span_id
    return attributes
