"""Connection pools as the database conventions measure them: `db.client.connection.*`, read from the pool.

Counts are asked of the pool itself when metrics are collected, so they cannot drift away from it; times are
those of whoever wraps the pool's methods. A pool is measured once: by the first who watches it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv.db import (
    DB_CLIENT_CONNECTION_COUNT,
    DB_CLIENT_CONNECTION_CREATE_TIME,
    DB_CLIENT_CONNECTION_IDLE_MAX,
    DB_CLIENT_CONNECTION_IDLE_MIN,
    DB_CLIENT_CONNECTION_MAX,
    DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    DB_CLIENT_CONNECTION_POOL_NAME,
    DB_CLIENT_CONNECTION_STATE,
    DB_CLIENT_CONNECTION_TIMEOUTS,
    DB_CLIENT_CONNECTION_USE_TIME,
    DB_CLIENT_CONNECTION_WAIT_TIME,
)

_NS_PER_S: Final = 1e9
_IDLE: Final = "idle"
_USED: Final = "used"


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """What a pool says of itself; None where it has no such number, or no limit."""

    used: int | None = None
    idle: int | None = None
    idle_min: int | None = None
    idle_max: int | None = None
    max: int | None = None


ReadCounts = Callable[[Any], PoolCounts]


class MeasuredPool:
    """The times of one pool. Safe from several threads: a step is one operation on a set or an instrument."""

    __slots__ = ("_create", "_probe", "_timeouts", "_use", "_wait", "name", "waiting")

    def __init__(self, name: str, probe: PoolProbe) -> None:
        attributes: dict[str, AttributeValue] = {DB_CLIENT_CONNECTION_POOL_NAME: name}
        self.name = name
        self.waiting: set[object] = set()
        """Who waits for a connection now."""
        self._create, self._wait, self._use = (
            _series(instrument, attributes)
            for instrument in (probe.create_time, probe.wait_time, probe.use_time)
        )
        self._timeouts = attributes
        self._probe = probe

    def __repr__(self) -> str:
        return f"<MeasuredPool {self.name}, {len(self.waiting)} waiting>"

    @property
    def is_measured(self) -> bool:
        """Whether its probe is still on."""
        return self._probe.is_active

    def created(self, elapsed_ns: int) -> None:
        """A connection was made."""
        self._create(elapsed_ns / _NS_PER_S)

    def waited(self, elapsed_ns: int) -> None:
        """A connection was handed out after so long, without the making of it."""
        self._wait(elapsed_ns / _NS_PER_S)

    def used(self, elapsed_ns: int) -> None:
        """A connection came back, or was taken out of the pool."""
        self._use(elapsed_ns / _NS_PER_S)

    def timed_out(self) -> None:
        """Somebody has waited in vain."""
        self._probe.timeouts.add(1, self._timeouts)


class PoolProbe:
    """Measures the pools that it is shown, weakly; several pools of one name are added up."""

    def __init__(self, meter: Meter, guard: Guard) -> None:
        self.is_active = True
        self._guard = guard
        self._pools: WeakKeyDictionary[Any, tuple[MeasuredPool, ReadCounts]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self.create_time = _histogram(
            meter, DB_CLIENT_CONNECTION_CREATE_TIME, "The time it took to create a new connection."
        )
        self.wait_time = _histogram(
            meter,
            DB_CLIENT_CONNECTION_WAIT_TIME,
            "The time it took to obtain an open connection from the pool.",
        )
        self.use_time = _histogram(
            meter,
            DB_CLIENT_CONNECTION_USE_TIME,
            "The time between borrowing a connection and returning it to the pool.",
        )
        self.timeouts = meter.create_counter(
            DB_CLIENT_CONNECTION_TIMEOUTS,
            "{timeout}",
            "Connection requests that timed out while waiting for the pool.",
        )
        for name, unit, description, read in (
            (DB_CLIENT_CONNECTION_COUNT, "{connection}", "Connections by their state.", _by_state),
            (
                DB_CLIENT_CONNECTION_IDLE_MIN,
                "{connection}",
                "Idle connections that are kept at least.",
                _idle_min,
            ),
            (
                DB_CLIENT_CONNECTION_IDLE_MAX,
                "{connection}",
                "Idle connections that are kept at most.",
                _idle_max,
            ),
            (DB_CLIENT_CONNECTION_MAX, "{connection}", "Connections that are allowed at most.", _max),
            (DB_CLIENT_CONNECTION_PENDING_REQUESTS, "{request}", "Who waits for a connection now.", _pending),
        ):
            meter.create_observable_up_down_counter(name, [self._observing(read)], unit, description)

    def __repr__(self) -> str:
        return f"<PoolProbe {len(self._pools)} pools>"

    def watch(self, pool: Any, name: str, read: ReadCounts) -> MeasuredPool | None:
        """Measure `pool` from now on; None where another probe does so already."""
        known = _measured.get(pool)
        if known is not None and known.is_measured:
            return known if known._probe is self else None  # noqa: SLF001 - our own class
        measured = MeasuredPool(name, self)
        with self._lock:
            self._pools[pool] = (measured, read)
            _measured[pool] = measured
        return measured

    def close(self) -> None:
        """Measure nothing any more."""
        self.is_active = False
        with self._lock:
            self._pools.clear()

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


def _series(histogram: Histogram, attributes: dict[str, AttributeValue]) -> Callable[[float], None]:
    """What adds to one series: bound where the instrument can be, which costs a fraction."""
    bind: Any = getattr(histogram, "bind", None)
    if bind is not None:
        return bind(attributes).record

    def record(seconds: float) -> None:
        histogram.record(seconds, attributes, Context())

    return record
