"""Databases: statements, advice, pools."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import WARN
from scripts.dashboards.queries import changes, level, quantile, rate

__all__ = ["BOARD"]

_SYSTEM, _NAMESPACE = "db.system.name", "db.namespace"
BOARD: Final = Board(
    "databases",
    "databases and advice",
    "What programs ask their databases, how long it takes, how pools stand, and what should be done better.",
    (
        Section(
            "Statements",
            (
                Panel(
                    "Rate",
                    (rate("db.client.operation.duration", _SYSTEM, _NAMESPACE, "db.operation.name"),),
                    "Statements, by database and verb.",
                    is_stacked=True,
                ),
                Panel(
                    "Duration",
                    tuple(
                        quantile("db.client.operation.duration", which, _SYSTEM, _NAMESPACE)
                        for which in (0.5, 0.95, 0.99)
                    ),
                    "How long statements take. The target is 50 ms at the 95th percentile.",
                    limits=(Limit(0.05, WARN),),
                ),
                Panel(
                    "Errors",
                    (
                        rate(
                            "db.client.operation.duration", _SYSTEM, "error.type", where={"error.type": ".+"}
                        ),
                    ),
                    "Statements that failed.",
                ),
            ),
        ),
        Section(
            "Advice",
            (
                Panel(
                    "Findings by rule",
                    (
                        changes("tickspan.db.findings", "tickspan.finding.rule", "tickspan.finding.severity")
                        .top(15)
                        .now(),
                    ),
                    "What rules found in the time that is shown; 'tickspan queries findings' has more.",
                    "table",
                    width=12,
                ),
                Panel(
                    "Findings over time",
                    (rate("tickspan.db.findings", "tickspan.finding.severity"),),
                    "New ones after a release are regressions.",
                    width=12,
                    is_stacked=True,
                ),
            ),
        ),
        Section(
            "Pools",
            (
                Panel(
                    "Connections",
                    (
                        level(
                            "db.client.connection.count",
                            "db.client.connection.pool.name",
                            "db.client.connection.state",
                        ),
                    ),
                    "Used and idle connections of each pool.",
                    is_stacked=True,
                ),
                Panel(
                    "Waiting",
                    (level("db.client.connection.pending_requests", "db.client.connection.pool.name"),),
                    "Callers that wait for a connection.",
                ),
                Panel(
                    "Wait for a connection",
                    (quantile("db.client.connection.wait_time", 0.99, "db.client.connection.pool.name"),),
                    "The 99th percentile. Beyond a millisecond a pool is too small or held too long.",
                ),
            ),
        ),
    ),
)
