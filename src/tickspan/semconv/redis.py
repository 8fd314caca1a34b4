"""Names of Redis's own, beside those of every database.

As redis-py's native observability spells them, so that both can be asked with one query.
"""

from typing import Final

REDIS_CLIENT_OPERATION_BLOCKING: Final = "redis.client.operation.blocking"

SYSTEM_REDIS: Final = "redis"
"""The value of `db.system.name`."""

REDIS_CLIENT_ERRORS: Final = "redis.client.errors"
REDIS_CLIENT_ERRORS_INTERNAL: Final = "redis.client.errors.internal"
"""True: a fault of a connection, each time; false: what a caller has seen."""

REDIS_CLIENT_CONNECTION_CLOSED: Final = "redis.client.connection.closed"
REDIS_CLIENT_CONNECTION_CLOSE_REASON: Final = "redis.client.connection.close.reason"
CLOSE_REASON_APPLICATION: Final = "application_close"
CLOSE_REASON_ERROR: Final = "error"
CLOSE_REASON_HEALTH: Final = "healthcheck_failed"

REDIS_CLIENT_PUBSUB_MESSAGES: Final = "redis.client.pubsub.messages"
REDIS_CLIENT_PUBSUB_MESSAGE_DIRECTION: Final = "redis.client.pubsub.message.direction"
REDIS_CLIENT_PUBSUB_CHANNEL: Final = "redis.client.pubsub.channel"
REDIS_CLIENT_PUBSUB_SHARDED: Final = "redis.client.pubsub.sharded"
DIRECTION_PUBLISH: Final = "publish"
DIRECTION_RECEIVE: Final = "receive"

REDIS_CLIENT_STREAM_LAG: Final = "redis.client.stream.lag"
REDIS_CLIENT_STREAM_NAME: Final = "redis.client.stream.name"
REDIS_CLIENT_CONSUMER_GROUP: Final = "redis.client.consumer_group"
