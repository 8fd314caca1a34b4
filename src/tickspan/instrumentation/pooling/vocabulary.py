"""The nine measures of a connection pool, by the names that they have for databases and for brokers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tickspan.semconv import db, pools


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names of metrics; their attributes are the same everywhere."""

    count: str
    create_time: str
    idle_max: str
    idle_min: str
    max: str
    pending_requests: str
    timeouts: str
    use_time: str
    wait_time: str


DATABASE: Final = Vocabulary(
    count=db.DB_CLIENT_CONNECTION_COUNT,
    create_time=db.DB_CLIENT_CONNECTION_CREATE_TIME,
    idle_max=db.DB_CLIENT_CONNECTION_IDLE_MAX,
    idle_min=db.DB_CLIENT_CONNECTION_IDLE_MIN,
    max=db.DB_CLIENT_CONNECTION_MAX,
    pending_requests=db.DB_CLIENT_CONNECTION_PENDING_REQUESTS,
    timeouts=db.DB_CLIENT_CONNECTION_TIMEOUTS,
    use_time=db.DB_CLIENT_CONNECTION_USE_TIME,
    wait_time=db.DB_CLIENT_CONNECTION_WAIT_TIME,
)
BROKER: Final = Vocabulary(
    count=pools.TICKSPAN_BROKER_CONNECTION_COUNT,
    create_time=pools.TICKSPAN_BROKER_CONNECTION_CREATE_TIME,
    idle_max=pools.TICKSPAN_BROKER_CONNECTION_IDLE_MAX,
    idle_min=pools.TICKSPAN_BROKER_CONNECTION_IDLE_MIN,
    max=pools.TICKSPAN_BROKER_CONNECTION_MAX,
    pending_requests=pools.TICKSPAN_BROKER_CONNECTION_PENDING_REQUESTS,
    timeouts=pools.TICKSPAN_BROKER_CONNECTION_TIMEOUTS,
    use_time=pools.TICKSPAN_BROKER_CONNECTION_USE_TIME,
    wait_time=pools.TICKSPAN_BROKER_CONNECTION_WAIT_TIME,
)
