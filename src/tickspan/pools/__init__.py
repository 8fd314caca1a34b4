"""Connection pools, governed: who waits, who holds, how long; and pools of our own for broker connections."""

from tickspan.pools.broker.breaker import BreakerState
from tickspan.pools.broker.budget import VenueBudget
from tickspan.pools.broker.errors import PoolClosedError, PoolTimeoutError, PoolUnavailableError
from tickspan.pools.broker.pool import BrokerPool, Drained
from tickspan.pools.creation import create_broker_pool, create_database_pool
from tickspan.pools.governed import GovernedPool, lane
from tickspan.pools.governing import govern
from tickspan.pools.holders import expect_long_hold
from tickspan.pools.registry import get_connection_context, get_pool, get_pools, release
from tickspan.pools.statistics import HolderStatistics, PoolStatistics

__all__ = [
    "BreakerState",
    "BrokerPool",
    "Drained",
    "GovernedPool",
    "HolderStatistics",
    "PoolClosedError",
    "PoolStatistics",
    "PoolTimeoutError",
    "PoolUnavailableError",
    "VenueBudget",
    "create_broker_pool",
    "create_database_pool",
    "expect_long_hold",
    "get_connection_context",
    "get_pool",
    "get_pools",
    "govern",
    "lane",
    "release",
]
