"""What one workbench measures of Redis; made once, by the first row that needs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from tickspan.instrumentation import Attributes, AttributeValue, Duration, Failure, Workbench, type_name
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.instrumentation.pooling import MeasuredPool, PoolCounts, PoolProbe
from tickspan.instrumentation.pooling.on_redis import redis_counts, redis_pool_name
from tickspan.semconv.common import ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.db import (
    DB_CLIENT_CONNECTION_POOL_NAME,
    DB_CLIENT_OPERATION_DURATION,
    DB_NAMESPACE,
    DB_OPERATION_NAME,
    DB_RESPONSE_STATUS_CODE,
    DB_SYSTEM_NAME,
)
from tickspan.semconv.redis import (
    DIRECTION_PUBLISH,
    REDIS_CLIENT_CONNECTION_CLOSE_REASON,
    REDIS_CLIENT_CONNECTION_CLOSED,
    REDIS_CLIENT_CONSUMER_GROUP,
    REDIS_CLIENT_ERRORS,
    REDIS_CLIENT_ERRORS_INTERNAL,
    REDIS_CLIENT_PUBSUB_CHANNEL,
    REDIS_CLIENT_PUBSUB_MESSAGE_DIRECTION,
    REDIS_CLIENT_PUBSUB_MESSAGES,
    REDIS_CLIENT_PUBSUB_SHARDED,
    REDIS_CLIENT_STREAM_LAG,
    REDIS_CLIENT_STREAM_NAME,
)

from tickspan_redis.counts import Count, Series
from tickspan_redis.errors import describe_error
from tickspan_redis.nodes import NodePool
from tickspan_redis.others import (
    COMMAND,
    CONNECTION_ADVANCED,
    CONNECTION_BASIC,
    PUBSUB,
    RESILIENCY,
    STREAMING,
    native_groups,
)
from tickspan_redis.places import Place
from tickspan_redis.settings import RedisSettings

DURATION: Final = Duration(DB_CLIENT_OPERATION_DURATION, "Duration of database client operations.")
_DURATION_KEYS: Final = (
    DB_SYSTEM_NAME,
    DB_NAMESPACE,
    DB_OPERATION_NAME,
    DB_RESPONSE_STATUS_CODE,
    SERVER_ADDRESS,
    SERVER_PORT,
)
_MOST_DURATIONS: Final = 2_048
"""Series of `db.client.operation.duration` at hand; the table is emptied when it is full."""
_MOST_LAGS: Final = 256
"""Series of `redis.client.stream.lag` at hand."""

# Notes stand in the objects they are of: they are found sooner there than by a weak key.
POOL: Final = "_tickspan_redis_pool"
"""In a pool: whose note it is, and the pool's times."""
LENT: Final = "_tickspan_redis_lent"
"""In a connection: whose note it is, the times of the pool that has lent it, and since when."""

_Record = Callable[[float, Context], None]


class Meters:
    """Pools, errors, closed connections, messages, streams; not what redis-py records itself."""

    def __init__(self, bench: Workbench) -> None:
        meter = bench.meter
        self.settings = RedisSettings.of(bench.settings)
        self.is_on = self.settings.metrics
        self.guard = bench.guard("meters")
        self._probe = PoolProbe(meter, bench.guard("pools"))
        self._nodes: WeakKeyDictionary[Any, dict[str, NodePool]] = WeakKeyDictionary()
        self._errors = Count(meter, REDIS_CLIENT_ERRORS, "{error}", "Errors of a Redis client.")
        self._closed = Count(meter, REDIS_CLIENT_CONNECTION_CLOSED, "{connection}", "Connections closed.")
        self._messages = Count(meter, REDIS_CLIENT_PUBSUB_MESSAGES, "{message}", "Messages of channels.")
        self._lag = meter.create_histogram(
            REDIS_CLIENT_STREAM_LAG,
            "s",
            "How old entries of a stream are when they are read.",
            explicit_bucket_boundaries_advisory=SECONDS_FROM_10_US,
        )
        self._duration = bench.histogram(DURATION)
        self._durations: dict[tuple[Place, str], _Record] = {}
        self._lags: dict[tuple[str | None, str | None], Callable[[float], None]] = {}
        bench.on_undo(self._close)

    @staticmethod
    def of(bench: Workbench) -> Meters:
        """Made once."""
        found = _meters.get(bench)
        return _meters.setdefault(bench, Meters(bench)) if found is None else found

    def pool(self, pool: Any) -> MeasuredPool | None:
        """The times of `pool`; None where somebody else takes them."""
        note = pool.__dict__.get(POOL)
        if note is not None and note[0] is self:
            return note[1]
        measured = self.watch(pool, redis_pool_name(pool), redis_counts)
        pool.__dict__[POOL] = (self, measured)
        return measured

    def watch(self, pool: Any, name: str, counts: Callable[[Any], PoolCounts]) -> MeasuredPool | None:
        """Measure `pool`, whose numbers `counts` reads, from now on."""

        def read(watched: Any) -> PoolCounts:
            told = counts(watched)
            # redis-py counts connections itself then, but neither limits nor who waits.
            return PoolCounts(max=told.max) if CONNECTION_BASIC in native_groups() else told

        return self._probe.watch(pool, name, read)

    def lent(self, connection: Any, measured: MeasuredPool, now_ns: int) -> None:
        """A pool has handed out a connection."""
        connection.__dict__[LENT] = (self, measured, now_ns)

    def lender(self, connection: Any) -> MeasuredPool | None:
        """Who has lent a connection; None for one that is not in use."""
        note = connection.__dict__.get(LENT)
        return None if note is None or note[0] is not self else note[1]

    def given_back(self, connection: Any, now_ns: int) -> None:
        """A connection is not in use any more; again does nothing."""
        note = connection.__dict__.pop(LENT, None)
        if note is not None and note[0] is self:
            note[1].used(now_ns - note[2])

    def watch_nodes(self, client: Any) -> None:
        """Measure the nodes of an asynchronous cluster client, as it knows them now."""
        present = client.nodes_manager.nodes_cache
        known = self._nodes.setdefault(client, {})
        if known.keys() == present.keys():
            return
        for name in known.keys() - present.keys():
            del known[name]
        for name in present.keys() - known.keys():
            known[name] = NodePool(client, name)
            self.watch(known[name], f"{name}/0", NodePool.counts)

    def unwatched(self, name: str) -> MeasuredPool:
        """The times of a pool whose numbers are read elsewhere."""
        return MeasuredPool(name, self._probe)

    def created(self, measured: MeasuredPool, elapsed_ns: int) -> None:
        """A connection was made."""
        if CONNECTION_BASIC not in native_groups():
            measured.created(elapsed_ns)

    def timed_out(self, measured: MeasuredPool) -> None:
        """Nobody gave one back in time."""
        if CONNECTION_ADVANCED not in native_groups():
            measured.timed_out()

    def done(self, place: Place, name: str, elapsed_s: float, context: Context) -> None:
        """An operation has succeeded; `context` is its span's, for exemplars."""
        if COMMAND in native_groups():
            return
        key = (place, name)
        record = self._durations.get(key)
        if record is None:
            if len(self._durations) >= _MOST_DURATIONS:
                self._durations.clear()
            known = {**place.attributes, DB_OPERATION_NAME: name}
            record = self._durations[key] = _bound(
                self._duration,
                {attribute: known[attribute] for attribute in _DURATION_KEYS if attribute in known},
            )
        record(elapsed_s, context)

    def failed_after(
        self, place: Place, name: str, elapsed_s: float, context: Context, failure: Failure
    ) -> None:
        """An operation has failed."""
        if COMMAND in native_groups():
            return
        known = {**place.attributes, DB_OPERATION_NAME: name, **failure.attributes}
        told = {attribute: known[attribute] for attribute in _DURATION_KEYS if attribute in known}
        if failure.is_error:
            told[ERROR_TYPE] = failure.error_type
        self._duration.record(elapsed_s, told, context)

    def closed(self, reason: str, pool: str | None, error: BaseException | None) -> None:
        """A connection was closed."""
        if CONNECTION_ADVANCED in native_groups():
            return
        series: list[tuple[str, AttributeValue]] = [(REDIS_CLIENT_CONNECTION_CLOSE_REASON, reason)]
        if pool is not None:
            series.append((DB_CLIENT_CONNECTION_POOL_NAME, pool))
        if error is not None:
            series.append((ERROR_TYPE, type_name(error)))
        self._closed.add(tuple(series))

    def failed(self, error: BaseException, server: Attributes, *, is_internal: bool) -> None:
        """An error, as the client meets it or as its caller sees it; answers that are none do not count."""
        if not isinstance(error, Exception) or RESILIENCY in native_groups():
            return
        failure = describe_error(error)
        if not failure.is_error:
            return
        series: list[tuple[str, AttributeValue]] = [
            (ERROR_TYPE, failure.error_type),
            (REDIS_CLIENT_ERRORS_INTERNAL, is_internal),
        ]
        told = {**server, **failure.attributes}
        series += [
            (name, told[name])
            for name in (SERVER_ADDRESS, SERVER_PORT, DB_RESPONSE_STATUS_CODE)
            if name in told
        ]
        self._errors.add(tuple(series))

    def messages(self, direction: str, channel: str | None, *, is_sharded: bool, number: int = 1) -> None:
        """Messages were published, or one has come."""
        if PUBSUB in native_groups():
            return
        series: Series = ((REDIS_CLIENT_PUBSUB_MESSAGE_DIRECTION, direction),)
        if is_sharded:
            series += ((REDIS_CLIENT_PUBSUB_SHARDED, True),)
        if channel is not None and channel in self.settings.channels:
            series += ((REDIS_CLIENT_PUBSUB_CHANNEL, channel),)
        for _ in range(number):
            self._messages.add(series)

    def published(self, channel: str | None, *, is_sharded: bool, number: int = 1) -> None:
        """Redis has taken messages."""
        self.messages(DIRECTION_PUBLISH, channel, is_sharded=is_sharded, number=number)

    def lagged(self, stream: str, group: str | None, ages_s: list[float]) -> None:
        """Entries of a stream were read at these ages."""
        if STREAMING in native_groups():
            return
        is_told = stream in self.settings.streams
        key = (stream, group) if is_told else (None, None)
        record = self._lags.get(key)
        if record is None:
            record = self._lag_of(*key)
            if len(self._lags) < _MOST_LAGS:
                self._lags[key] = record
        for age_s in ages_s:
            record(age_s)

    def _lag_of(self, stream: str | None, group: str | None) -> Callable[[float], None]:
        attributes: dict[str, AttributeValue] = {}
        if stream is not None:
            attributes[REDIS_CLIENT_STREAM_NAME] = stream
        if group is not None:
            attributes[REDIS_CLIENT_CONSUMER_GROUP] = group
        record, nowhere = _bound(self._lag, attributes), Context()
        return lambda age_s: record(age_s, nowhere)

    def _close(self) -> None:
        self.is_on = False
        self._probe.close()
        for count in (self._errors, self._closed, self._messages):
            count.close()


_meters: Final[WeakKeyDictionary[Workbench, Meters]] = WeakKeyDictionary()


def _bound(histogram: Histogram, attributes: dict[str, AttributeValue]) -> _Record:
    """What adds to one series: bound where the instrument can be, which costs a fraction."""
    bind: Any = getattr(histogram, "bind", None)
    if bind is not None:
        return bind(attributes).record

    def record(amount: float, context: Context) -> None:
        histogram.record(amount, attributes, context)

    return record
