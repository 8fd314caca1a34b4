"""Who else tells of the same calls: redis-py itself since 7.2, and upstream's instrumentor."""

from __future__ import annotations

import sys
from typing import Any, Final

from opentelemetry.trace import get_current_span

from tickspan_redis.peers import scope_of

_UPSTREAM: Final = "opentelemetry.instrumentation.redis"
_PROVIDERS: Final = "redis.observability.providers"


def is_told_by_upstream() -> bool:
    """Whether upstream's instrumentor, wrapped around us, has already started a span for this call.

    The other way round, our operations are leaves, and upstream keeps silent in them.
    """
    return scope_of(get_current_span()) == _UPSTREAM


def is_timed_by_redis() -> bool:
    """Whether redis-py's own observability records `db.client.operation.duration` now; it may come late."""
    instance = getattr(sys.modules.get(_PROVIDERS), "_observability_instance", None)
    if instance is None:
        return False
    manager = instance.get_provider_manager()
    return manager is not None and _times_commands(manager.config)


def _times_commands(config: Any) -> bool:
    return config.is_enabled() and any(group.name == "COMMAND" for group in config.metric_groups)
