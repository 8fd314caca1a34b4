"""Where orders outlive their process: an index of the audit stream, in a file or in Redis."""

from tickspan.trading.stores.redis import RedisOrders
from tickspan.trading.stores.sqlite import SqliteOrders
from tickspan.trading.stores.tap import OrderTap

__all__ = ["OrderTap", "RedisOrders", "SqliteOrders"]
