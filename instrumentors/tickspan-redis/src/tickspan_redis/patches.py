"""The table of redis-py: its calls, sync and async, single, pipelined and clustered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from tickspan.instrumentation import Describe, Row, Workbench, Wrap
from tickspan.instrumentation.current import SPAN_KEY
from tickspan.instrumentation.suppression import audible
from tickspan.instrumentation.wrapping import wrapped
from tickspan.semconv.redis import REDIS_CLIENT_OPERATION_BLOCKING

from tickspan_redis.calls import Note, RedisCall
from tickspan_redis.describe import describe_command, describe_pipeline
from tickspan_redis.errors import describe_error
from tickspan_redis.messages import NOTED, NOTED_PIPELINES, note_of_command, note_of_pipeline, receiving
from tickspan_redis.meters import Meters
from tickspan_redis.others import is_told_by_upstream
from tickspan_redis.peers import noting_the_peer
from tickspan_redis.places import place_of
from tickspan_redis.pools import acquiring, closing, connecting, giving_back, lending
from tickspan_redis.waiting import BlockingRead


class _Telling:
    """What `Patch` does around one function, plus some rules of Redis.

    A call that upstream has begun to tell is left to it; what redis-py times itself is not timed again; a
    blocking read that brings nothing leaves no span; messages and entries that a call moves are counted.
    """

    def __init__(self, kind: CallKind, original: Any, bench: Workbench) -> None:
        self._kind = kind
        self._bench = bench
        self._meters = Meters.of(bench)
        self._guard = bench.guard(f"{original.__module__}:{original.__qualname__}")

    def begin(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> RedisCall | None:
        """Start the span of a call that is to be told."""
        context = audible() if self._bench.is_active else None
        if context is None or self._guard.is_disabled:
            return None
        try:
            return self._decide(context, args, kwargs)
        except Exception as error:  # noqa: BLE001 - what `Guard.own` does, on a hot path
            self._guard.caught(error)
            return None

    def finish(self, call: RedisCall, result: Any) -> None:
        """End it with what the call has returned."""
        try:
            call.answered(result)
        except Exception as error:  # noqa: BLE001 - what `Guard.closing` does, on a hot path
            self._guard.caught(error)

    def _decide(self, context: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> RedisCall | None:
        client, rest = args[0], args[1:]
        if SPAN_KEY in context and is_told_by_upstream(context):
            return None
        kind, meters, note = self._kind, self._meters, None
        operation = kind.describe(client, rest, kwargs)
        if operation is None:
            return None
        place = place_of(client)
        if meters.is_on:
            if operation.name in kind.noted:
                note = kind.note(operation.name, client, rest, meters)
            if kind.has_nodes:
                meters.watch_nodes(client)
        if REDIS_CLIENT_OPERATION_BLOCKING in operation.attributes:
            call: RedisCall = BlockingRead(operation, self._bench, self._guard)
        else:
            call = self._bench.start(
                operation, guard=self._guard, describe_error=describe_error, kind=RedisCall
            )
        call.meters, call.place, call.note = meters, place, note
        return call


@dataclass(frozen=True, slots=True)
class CallKind:
    """How calls of one kind are read."""

    describe: Describe
    note: Callable[[str, Any, tuple[Any, ...], Meters], Note | None]
    """`(name of the operation, client, arguments, meters)` to what is measured of the answer."""
    noted: frozenset[str]
    """Names of operations of which `note` may make something."""
    has_nodes: bool = False
    """Whether the client has no pools but nodes of a cluster, which are looked for then."""

    def __call__(self, original: Any, bench: Workbench) -> Any:
        """The function of the library, told."""
        telling = _Telling(self, original, bench)
        return wrapped(original, telling.begin, telling.finish)


_command: Final = CallKind(describe_command, note_of_command, NOTED)
_pipeline: Final = CallKind(describe_pipeline, note_of_pipeline, NOTED_PIPELINES)
_clustered_command: Final = CallKind(describe_command, note_of_command, NOTED, has_nodes=True)

# Below these, `_execute_command`, `ClusterNode` and a cluster pipeline's strategies do the same work again.
CALLS: Final[tuple[Row, ...]] = (
    Wrap("redis.client", "Redis.execute_command", _command),
    Wrap("redis.client", "Pipeline.immediate_execute_command", _command),
    Wrap("redis.client", "Pipeline.execute", _pipeline),
    Wrap("redis.cluster", "RedisCluster.execute_command", _command),
    Wrap("redis.cluster", "ClusterPipeline.execute", _pipeline),
    Wrap("redis.connection", "AbstractConnection.send_packed_command", noting_the_peer),
    Wrap("redis.asyncio.client", "Redis.execute_command", _command),
    Wrap("redis.asyncio.client", "Pipeline.immediate_execute_command", _command),
    Wrap("redis.asyncio.client", "Pipeline.execute", _pipeline),
    Wrap("redis.asyncio.cluster", "RedisCluster.execute_command", _clustered_command),
    Wrap("redis.asyncio.cluster", "ClusterPipeline.execute", _pipeline),
    Wrap("redis.asyncio.connection", "AbstractConnection.send_packed_command", noting_the_peer),
)

MESSAGES: Final[tuple[Row, ...]] = (
    Wrap("redis.client", "PubSub.handle_message", receiving),
    Wrap("redis.asyncio.client", "PubSub.handle_message", receiving),
)

# Each class that has a method of its own; a child of it that calls its parent's counts once.
POOLS: Final[tuple[Row, ...]] = (
    *(
        Wrap(module, f"{kind}.{method}", make)
        for module in ("redis.connection", "redis.asyncio.connection")
        for kind in ("ConnectionPool", "BlockingConnectionPool")
        for method, make in (("get_connection", lending), ("release", giving_back))
    ),
    *(
        row
        for module in ("redis.connection", "redis.asyncio.connection")
        for row in (
            Wrap(module, "AbstractConnection.connect", connecting),
            # From redis-py 6 on: what `connect` and a command on a lost connection call.
            Wrap(module, "AbstractConnection.connect_check_health", connecting, optional=True),
            Wrap(module, "AbstractConnection.disconnect", closing),
        )
    ),
    Wrap("redis.asyncio.cluster", "ClusterNode.acquire_connection", acquiring),
    # Redis-py 5 puts connections back without a call, and 6 does so at times: they have no time of use.
    Wrap("redis.asyncio.cluster", "ClusterNode.release", giving_back, optional=True),
)

PATCHES: Final[tuple[Row, ...]] = CALLS + MESSAGES + POOLS
