"""Names of Redis's own, beside those of every database.

As redis-py's native observability spells them, so that both can be asked with one query.
"""

from typing import Final

REDIS_CLIENT_OPERATION_BLOCKING: Final = "redis.client.operation.blocking"

SYSTEM_REDIS: Final = "redis"
"""The value of `db.system.name`."""
