"""redis-py and hiredis, or an error that says how to get them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

try:
    import hiredis
    import redis
    from redis import connection as connections
    from redis import credentials
    from redis import exceptions as errors
    from redis import sentinel as sentinels
    from redis.asyncio import cluster as async_cluster
    from redis.asyncio import connection as async_connections
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"Redis as a tier of the cache needs {error.name}: pip install 'tickspan[cache]'", name=error.name
    ) from error

__all__ = [
    "async_cluster",
    "async_connections",
    "connections",
    "credentials",
    "errors",
    "hiredis",
    "pack",
    "pool_arguments",
    "redis",
    "sentinels",
]

pack: Final[Callable[[tuple[Any, ...]], bytes]] = hiredis.pack_command  # its stub takes tuples of one
"""A command as the bytes to send."""


def pool_arguments() -> dict[str, Any]:
    """What a pool of redis-py is made with so that it tries each thing once.

    redis-py 8 retries ten times by default, and asks servers for notices of maintenance at each connection.
    """
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    arguments: dict[str, Any] = {"retry": Retry(NoBackoff(), 0)}
    try:
        from redis.maint_notifications import MaintNotificationsConfig
    except ModuleNotFoundError:
        return arguments  # before redis-py 7
    return arguments | {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}
