"""Telemetry's own health."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import BAD
from scripts.dashboards.queries import changes, level, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    "telemetry-health",
    "telemetry health",
    "Whether what is recorded arrives: ended = delivered + in the spool + dropped, for each signal.",
    (
        Section(
            "The ledger",
            (
                Panel(
                    "Records",
                    (rate("tickspan.ledger.records", "tickspan.signal", "tickspan.outcome"),),
                    "What ended, what was delivered, what was dropped.",
                    width=12,
                ),
                Panel(
                    "Dropped",
                    (
                        changes(
                            "tickspan.ledger.records",
                            "tickspan.signal",
                            "tickspan.drop.reason",
                            where={"tickspan.outcome": "dropped"},
                            window="5m",
                        ),
                    ),
                    "By reason. Anything but 0 is an alarm.",
                    width=12,
                    limits=(Limit(1, BAD),),
                ),
            ),
        ),
        Section(
            "The spool",
            (
                Panel(
                    "Size", (level("tickspan.spool.size", how="max"),), "Bytes that wait for the collector."
                ),
                Panel(
                    "Oldest record",
                    (level("tickspan.spool.oldest_age", how="max"),),
                    "How far delivery is behind.",
                ),
                Panel(
                    "Breaker",
                    (
                        level(
                            "tickspan.sender.breaker.state",
                            "tickspan.signal",
                            "tickspan.destination",
                            how="max",
                        ),
                    ),
                    "0 is closed: requests go out. 1 is half open, 2 open: the collector does not answer.",
                    "state-timeline",
                ),
            ),
        ),
        Section(
            "Exports",
            tuple(
                Panel(title, (rate(name, "otel.component.name", "error.type"),), about)
                for name, title, about in (
                    (
                        "otel.sdk.exporter.span.exported",
                        "Spans",
                        "Delivered spans; failed ones have an error type.",
                    ),
                    ("otel.sdk.exporter.metric_data_point.exported", "Points", "The same of metrics."),
                    ("otel.sdk.exporter.log.exported", "Log records", "The same of logs."),
                )
            ),
        ),
    ),
)
