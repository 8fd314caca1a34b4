"""Redis and caches."""

from typing import Final

from scripts.dashboards.board import Board, Panel, Section
from scripts.dashboards.queries import heat, level, quantile, rate

__all__ = ["BOARD"]

_REDIS: Final = {"db.system.name": "redis"}
_CACHE_NAME: Final = "tickspan.cache.name"
BOARD: Final = Board(
    "cache",
    "Redis and cache",
    "Redis commands as programs see them, and what caches save.",
    (
        Section(
            "Redis",
            (
                Panel(
                    "Commands",
                    (rate("db.client.operation.duration", "db.operation.name", where=_REDIS),),
                    "Commands and pipelines.",
                    is_stacked=True,
                ),
                Panel(
                    "Duration",
                    tuple(
                        quantile("db.client.operation.duration", which, where=_REDIS) for which in (0.5, 0.99)
                    ),
                    "How long commands take.",
                ),
                Panel(
                    "All durations",
                    (heat("db.client.operation.duration", where=_REDIS),),
                    "A slow band is a blocked server or network.",
                    "heatmap",
                ),
            ),
        ),
        Section(
            "Cache",
            (
                Panel(
                    "Hits",
                    (
                        rate(
                            "tickspan.cache.requests", _CACHE_NAME, where={"tickspan.cache.result": "hit"}
                        ).over(rate("tickspan.cache.requests", _CACHE_NAME)),
                    ),
                    "Share of requests that a level answered. The target is 80 %.",
                ),
                Panel(
                    "Loads",
                    (
                        quantile(
                            "tickspan.cache.load.duration", 0.99, _CACHE_NAME, "tickspan.cache.load.trigger"
                        ),
                    ),
                    "The 99th percentile of what a miss costs.",
                ),
                Panel(
                    "Twice the size, half the size",
                    (
                        level(
                            "tickspan.cache.ghost.hit_ratio", _CACHE_NAME, "tickspan.cache.factor", how="avg"
                        ),
                    ),
                    "The share of hits at half and at double capacity, from a sample.",
                ),
            ),
        ),
        Section(
            "Pools",
            (
                Panel(
                    "Connections",
                    (level("db.client.connection.count", "db.client.connection.pool.name"),),
                    "Connections by pool.",
                    width=12,
                ),
                Panel(
                    "Longest wait",
                    (quantile("db.client.connection.wait_time", 0.99, "db.client.connection.pool.name"),),
                    "The 99th percentile of the wait for a connection.",
                    width=12,
                ),
            ),
        ),
    ),
)
