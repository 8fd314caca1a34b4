"""The table of redis-py: its calls, sync and async, single, pipelined and clustered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tickspan.instrumentation import (
    ActiveOperation,
    Describe,
    Duration,
    Row,
    Workbench,
    Wrap,
    is_suppressed,
)
from tickspan.instrumentation.wrapping import wrapped
from tickspan.semconv.common import SERVER_ADDRESS, SERVER_PORT
from tickspan.semconv.db import (
    DB_CLIENT_OPERATION_DURATION,
    DB_NAMESPACE,
    DB_OPERATION_NAME,
    DB_RESPONSE_STATUS_CODE,
    DB_SYSTEM_NAME,
)
from tickspan.semconv.redis import REDIS_CLIENT_OPERATION_BLOCKING

from tickspan_redis.describe import describe_command, describe_pipeline, is_empty
from tickspan_redis.errors import describe_error
from tickspan_redis.others import is_timed_by_redis, is_told_by_upstream
from tickspan_redis.peers import noting_the_peer
from tickspan_redis.waiting import BlockingRead

DURATION: Final = Duration(
    DB_CLIENT_OPERATION_DURATION,
    "Duration of database client operations.",
    (DB_SYSTEM_NAME, DB_NAMESPACE, DB_OPERATION_NAME, DB_RESPONSE_STATUS_CODE, SERVER_ADDRESS, SERVER_PORT),
)


def told(describe: Describe) -> Callable[[Any, Workbench], Any]:
    """What `Patch` does, plus three rules of Redis.

    A call that upstream has begun to tell is left to it; what redis-py times itself is not timed again; and a
    blocking read that brings nothing leaves no span.
    """

    def around(original: Any, bench: Workbench) -> Any:
        guard = bench.guard(f"{original.__module__}:{original.__qualname__}")

        def decide(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ActiveOperation | None:
            operation = None if is_told_by_upstream() else describe(args[0], args[1:], kwargs)
            if operation is None:
                return None
            if REDIS_CLIENT_OPERATION_BLOCKING in operation.attributes:
                return BlockingRead(operation, bench, guard)
            duration = None if is_timed_by_redis() else DURATION
            return bench.start(operation, guard=guard, describe_error=describe_error, duration=duration)

        def begin(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ActiveOperation | None:
            if not bench.is_active or is_suppressed():
                return None
            return guard.own(decide, args, kwargs, default=None)

        return wrapped(original, begin, _finish)

    return around


def _finish(active: ActiveOperation, result: Any) -> None:
    if isinstance(active, BlockingRead) and is_empty(result):
        active.release()
    else:
        active.succeed()


_command: Final = told(describe_command)
_pipeline: Final = told(describe_pipeline)

# Below these, `_execute_command`, `ClusterNode` and a cluster pipeline's strategies do the same work again.
PATCHES: Final[tuple[Row, ...]] = (
    Wrap("redis.client", "Redis.execute_command", _command),
    Wrap("redis.client", "Pipeline.immediate_execute_command", _command),
    Wrap("redis.client", "Pipeline.execute", _pipeline),
    Wrap("redis.cluster", "RedisCluster.execute_command", _command),
    Wrap("redis.cluster", "ClusterPipeline.execute", _pipeline),
    Wrap("redis.connection", "AbstractConnection.send_packed_command", noting_the_peer),
    Wrap("redis.asyncio.client", "Redis.execute_command", _command),
    Wrap("redis.asyncio.client", "Pipeline.immediate_execute_command", _command),
    Wrap("redis.asyncio.client", "Pipeline.execute", _pipeline),
    Wrap("redis.asyncio.cluster", "RedisCluster.execute_command", _command),
    Wrap("redis.asyncio.cluster", "ClusterPipeline.execute", _pipeline),
    Wrap("redis.asyncio.connection", "AbstractConnection.send_packed_command", noting_the_peer),
)
