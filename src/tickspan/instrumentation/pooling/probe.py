"""Connection pools as the database conventions measure them: counts read from the pool, times of its calls.

Counts are asked of the pool itself when metrics are collected, so they cannot drift away from it; times are
those of whoever wraps the pool's methods. A pool is measured once: by the first who watches it. Who comes
later may still govern it: a pool's governor goes with it from one who measures to the next.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from opentelemetry.trace import get_current_span

from tickspan.instrumentation.forks import renew_after_fork
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.instrumentation.pooling.vocabulary import DATABASE, Vocabulary
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv.db import DB_CLIENT_CONNECTION_POOL_NAME, DB_CLIENT_CONNECTION_STATE
from tickspan.semconv.pools import EVENT_CONNECTION_WAIT, TICKSPAN_POOL_WAIT

_NS_PER_S: Final = 1e9
_IDLE: Final = "idle"
_USED: Final = "used"
LONG_WAIT_NS: Final = 10_000_000
"""A longer wait is told on the span of whoever waited."""


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """What a pool says of itself; None where it has no such number, or no limit."""

    used: int | None = None
    idle: int | None = None
    idle_min: int | None = None
    idle_max: int | None = None
    max: int | None = None


ReadCounts = Callable[[Any], PoolCounts]


class Permit(Protocol):
    """Leave to ask the pool for a connection."""

    def leave(self) -> None:
        """Give it back, once; from any thread."""
        ...


class Holding(Protocol):
    """A connection that is out of a governed pool."""

    def before_return(self) -> Awaitable[None] | None:
        """What is to be done to it before its pool has it back, and awaited where that is asynchronous."""
        ...

    def end(self) -> None:
        """It came back, or was taken out of the pool for good; again does nothing."""
        ...


class Gate(Protocol):
    """Before a pool, where requests wait in turn."""

    def enter(self, timeout_s: float | None = None) -> Permit | None:
        """Let a thread in; waits for its turn, and raises what the pool would.

        `timeout_s` is what the call itself says; None where it says nothing.
        """
        ...

    async def enter_async(self, timeout_s: float | None = None) -> Permit | None:
        """The same for a task."""
        ...


class Governor(Protocol):
    """Who knows who holds a pool's connections."""

    out: dict[Any, Any]
    """What is out. Where `is_plain`, whoever lends writes a note here by what is lent, and tells `back`."""
    is_plain: bool
    """Whether a note `(now_ns, context, thread)` is all that is needed, instead of `lent`; may change."""

    def back(self, thing: Any) -> None:
        """Of what a note was written of: its pool is about to have it back, or to let go of it."""
        ...

    def lent(self, thing: Any, permit: Permit | None, now_ns: int) -> Holding:
        """The pool has handed out a connection: `thing` is what its library gives back.

        `now_ns` is by `time.perf_counter_ns`.
        """
        ...


class MeasuredPool:
    """The times of one pool. Safe from several threads: a step is one operation on a set or an instrument."""

    __slots__ = (
        "_attributes",
        "_create",
        "created_count",
        "gate",
        "governor",
        "lent_count",
        "name",
        "probe",
        "timeout_count",
        "use_ns",
        "use_series",
        "wait_ns",
        "wait_series",
        "waiting",
    )

    def __init__(self, name: str, probe: PoolProbe) -> None:
        self._attributes: dict[str, AttributeValue] = {DB_CLIENT_CONNECTION_POOL_NAME: name}
        self.name = name
        self.probe = probe
        self.gate: Gate | None = None
        """None where nobody has to wait in turn."""
        self.governor: Governor | None = None
        """None where nobody limits the pool."""
        self.waiting: set[object] = set()
        """Who waits for a connection now."""
        self.lent_count = self.created_count = self.timeout_count = self.use_ns = self.wait_ns = 0
        self._bind()

    def __repr__(self) -> str:
        return f"<MeasuredPool {self.name}, {len(self.waiting)} waiting>"

    @property
    def is_measured(self) -> bool:
        """Whether its probe is still on."""
        return self.probe.is_active

    def rename(self, name: str) -> None:
        """Be measured under another name from now on."""
        if name != self.name:
            self.name = name
            self._attributes = {DB_CLIENT_CONNECTION_POOL_NAME: name}
            self._bind()

    def created(self, elapsed_ns: int) -> None:
        """A connection was made."""
        self.created_count += 1
        self._create.record(elapsed_ns / _NS_PER_S)

    def waited(self, elapsed_ns: int) -> None:
        """A connection was handed out after so long, without the making of it."""
        self.lent_count += 1
        self.wait_ns += elapsed_ns
        self.wait_series.record(elapsed_ns / _NS_PER_S)
        if elapsed_ns > LONG_WAIT_NS:
            self.tell_long_wait(elapsed_ns)

    def used(self, elapsed_ns: int) -> None:
        """A connection came back, or was taken out of the pool."""
        self.use_ns += elapsed_ns
        self.use_series.record(elapsed_ns / _NS_PER_S)

    def timed_out(self) -> None:
        """Somebody has waited in vain."""
        self.timeout_count += 1
        self.probe.timeouts.add(1, self._attributes)

    def taken_over_from(self, before: MeasuredPool) -> None:
        """Go on where another probe's measuring ended: same governor, same who wait, same totals."""
        self.gate, self.governor, self.waiting = before.gate, before.governor, before.waiting
        self.lent_count, self.created_count = before.lent_count, before.created_count
        self.timeout_count, self.use_ns, self.wait_ns = before.timeout_count, before.use_ns, before.wait_ns

    def _bind(self) -> None:
        self._create, self.wait_series, self.use_series = (
            Series(instrument, self._attributes)
            for instrument in (self.probe.create_time, self.probe.wait_time, self.probe.use_time)
        )

    def tell_long_wait(self, elapsed_ns: int) -> None:
        """Somebody has waited for longer than `LONG_WAIT_NS`, and does not any more."""
        span = get_current_span()
        if span.is_recording():
            attributes = {**self._attributes, TICKSPAN_POOL_WAIT: elapsed_ns / _NS_PER_S}
            span.add_event(EVENT_CONNECTION_WAIT, attributes)


class PoolProbe:
    """Measures the pools that it is shown, weakly; several pools of one name are added up."""

    def __init__(self, meter: Meter, guard: Guard, vocabulary: Vocabulary = DATABASE) -> None:
        self.is_active = True
        self._guard = guard
        self._pools: WeakKeyDictionary[Any, tuple[MeasuredPool, ReadCounts]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self.create_time = _histogram(
            meter, vocabulary.create_time, "The time it took to create a new connection."
        )
        self.wait_time = _histogram(
            meter, vocabulary.wait_time, "The time it took to obtain an open connection from the pool."
        )
        self.use_time = _histogram(
            meter,
            vocabulary.use_time,
            "The time between borrowing a connection and returning it to the pool.",
        )
        self.timeouts = meter.create_counter(
            vocabulary.timeouts, "{timeout}", "Connection requests that timed out while waiting for the pool."
        )
        renew_after_fork(self)
        for name, unit, description, read in (
            (vocabulary.count, "{connection}", "Connections by their state.", _by_state),
            (vocabulary.idle_min, "{connection}", "Idle connections that are kept at least.", _idle_min),
            (vocabulary.idle_max, "{connection}", "Idle connections that are kept at most.", _idle_max),
            (vocabulary.max, "{connection}", "Connections that are allowed at most.", _max),
            (vocabulary.pending_requests, "{request}", "Who waits for a connection now.", _pending),
        ):
            meter.create_observable_up_down_counter(name, [self._observing(read)], unit, description)

    def __repr__(self) -> str:
        return f"<PoolProbe {len(self._pools)} pools>"

    def watch(self, pool: Any, name: str, read: ReadCounts) -> MeasuredPool | None:
        """Measure `pool` from now on; None where another probe does so already."""
        known = _measured.get(pool)
        if known is not None and known.is_measured:
            return known if known.probe is self else None
        measured = MeasuredPool(name, self)
        if known is not None:
            measured.taken_over_from(known)
        with self._lock:
            self._pools[pool] = (measured, read)
            _measured[pool] = measured
        return measured

    def close(self) -> None:
        """Measure nothing any more."""
        self.is_active = False
        with self._lock:
            self._pools.clear()

    def after_fork_in_child(self) -> None:
        """Whoever waited is a thread of the parent, and one of them may have had the lock."""
        self._lock = threading.Lock()
        for measured, _ in self._pools.values():
            measured.waiting.clear()

    def _observing(self, read: _Read) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            if not self.is_active:
                return ()
            return self._guard.own(self._observed, read, default=())

        return observe

    def _observed(self, read: _Read) -> list[Observation]:
        with self._lock:
            pools = list(self._pools.items())
        sums: dict[tuple[str, str | None], int] = {}
        for pool, (measured, counts) in pools:
            for state, number in read(measured, counts(pool)):
                if number is not None:
                    key = (measured.name, state)
                    sums[key] = sums.get(key, 0) + number
        return [Observation(number, _attributes(*key)) for key, number in sums.items()]


_Read = Callable[[MeasuredPool, PoolCounts], Iterator[tuple[str | None, int | None]]]
_measured: Final[WeakKeyDictionary[Any, MeasuredPool]] = WeakKeyDictionary()


def measured_pool(pool: Any) -> MeasuredPool | None:
    """The measures of a pool, whoever takes or has taken them."""
    return _measured.get(pool)


class Series:
    """One series of a histogram: `record(seconds)`, bound where the instrument can be, for a fraction of it.

    An instrument of a meter that waits for its provider is bound as soon as there is one.
    """

    __slots__ = ("_attributes", "_histogram", "record")

    def __init__(self, histogram: Histogram, attributes: dict[str, AttributeValue]) -> None:
        self._histogram: Any = histogram
        self._attributes = attributes
        self.record: Callable[[float], None] = self._bound(histogram) or self._first

    def __repr__(self) -> str:
        return f"<Series {self._attributes}>"

    def _first(self, seconds: float) -> None:
        real = getattr(self._histogram, "_real_instrument", self._histogram)
        if real is None:
            return  # nobody listens yet
        self._histogram = real
        self.record = self._bound(real) or self._unbound
        self.record(seconds)

    def _bound(self, histogram: Any) -> Callable[[float], None] | None:
        bind = getattr(histogram, "bind", None)  # an extension of our meter provider
        return None if bind is None else bind(self._attributes).record

    def _unbound(self, seconds: float) -> None:
        self._histogram.record(seconds, self._attributes, Context())


def _by_state(_measured: MeasuredPool, counts: PoolCounts) -> Iterator[tuple[str | None, int | None]]:
    yield _IDLE, counts.idle
    yield _USED, counts.used


def _idle_min(_measured: MeasuredPool, counts: PoolCounts) -> Iterator[tuple[str | None, int | None]]:
    yield None, counts.idle_min


def _idle_max(_measured: MeasuredPool, counts: PoolCounts) -> Iterator[tuple[str | None, int | None]]:
    yield None, counts.idle_max


def _max(_measured: MeasuredPool, counts: PoolCounts) -> Iterator[tuple[str | None, int | None]]:
    yield None, counts.max


def _pending(measured: MeasuredPool, _counts: PoolCounts) -> Iterator[tuple[str | None, int | None]]:
    yield None, len(measured.waiting)


def _attributes(name: str, state: str | None) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {DB_CLIENT_CONNECTION_POOL_NAME: name}
    if state is not None:
        attributes[DB_CLIENT_CONNECTION_STATE] = state
    return attributes


def _histogram(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(
        name, "s", description, explicit_bucket_boundaries_advisory=SECONDS_FROM_10_US
    )
