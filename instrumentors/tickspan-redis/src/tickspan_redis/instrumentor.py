"""The instrumentor of redis-py."""

from __future__ import annotations

from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_redis.patches import PATCHES


class RedisInstrumentor(Instrumentor):
    """Commands, pipelines, messages, pools of redis-py 5 to 8, without keys or values."""

    scope: ClassVar[str] = "tickspan_redis"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ("redis >= 5, < 9",)
    tested: ClassVar[tuple[str, ...]] = ("redis >= 5.0.8, <= 8.1.0",)
    rows: ClassVar[tuple[Row, ...]] = PATCHES
