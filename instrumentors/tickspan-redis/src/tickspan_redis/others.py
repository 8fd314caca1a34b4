"""Who else tells of the same calls: redis-py itself since 7.2, and upstream's instrumentor."""

from __future__ import annotations

import sys
from typing import Any, Final

from opentelemetry.context import Context
from tickspan.instrumentation.current import SPAN_KEY

from tickspan_redis.peers import scope_of

_UPSTREAM: Final = "opentelemetry.instrumentation.redis"
_PROVIDERS: Final = "redis.observability.providers"

COMMAND: Final = "COMMAND"
"""Of redis-py's groups of metrics: `db.client.operation.duration`."""
CONNECTION_BASIC: Final = "CONNECTION_BASIC"
"""Counts of connections, and the time to make one."""
CONNECTION_ADVANCED: Final = "CONNECTION_ADVANCED"
"""Waiting for a connection, time-outs of that, and connections that were closed."""
RESILIENCY: Final = "RESILIENCY"
"""Errors."""
PUBSUB: Final = "PUBSUB"
STREAMING: Final = "STREAMING"

_NONE: Final[frozenset[str]] = frozenset()


class _Seen:
    """The configuration asked last, and its groups: reading a flag costs more than a command may."""

    config: Any = None
    groups: frozenset[str] = _NONE


_seen: Final = _Seen()


def is_told_by_upstream(context: Context) -> bool:
    """Whether upstream's instrumentor, wrapped around us, has already started a span for a call in `context`.

    The other way round, our operations are leaves, and upstream keeps silent in them.
    """
    span: Any = context.get(SPAN_KEY)
    return span is not None and _UPSTREAM in sys.modules and scope_of(span) == _UPSTREAM


def native_groups() -> frozenset[str]:
    """The groups of metrics that redis-py records itself now; it may begin late, and end."""
    instance = getattr(sys.modules.get(_PROVIDERS), "_observability_instance", None)
    if instance is None:
        return _NONE
    manager = instance.get_provider_manager()
    if manager is None:
        return _NONE
    config = manager.config
    if config is not _seen.config:
        # In this order: who comes meanwhile reads the groups of the configuration before.
        _seen.groups = _groups_of(config)
        _seen.config = config
    return _seen.groups


def _groups_of(config: Any) -> frozenset[str]:
    return frozenset(group.name for group in config.metric_groups) if config.is_enabled() else _NONE
