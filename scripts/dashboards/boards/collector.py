"""The OpenTelemetry Collector, by its own metrics."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import BAD, WARN
from scripts.dashboards.queries import Query, collected, standing

__all__ = ["BOARD"]

_SIGNALS: Final = ("spans", "metric_points", "log_records")


def _of_signals(what: str, by: str) -> tuple[Query, ...]:
    return tuple(collected(f"otelcol_{what}_{signal}", by) for signal in _SIGNALS)


BOARD: Final = Board(
    "collector",
    "collector",
    "What collectors take, send, refuse and keep, by their own metrics.",
    (
        Section(
            "In",
            (
                Panel(
                    "Accepted",
                    _of_signals("receiver_accepted", "receiver"),
                    "Spans, points and records that receivers took.",
                ),
                Panel(
                    "Refused",
                    _of_signals("receiver_refused", "receiver"),
                    "Senders are told to wait; they keep what they have.",
                ),
                Panel(
                    "Memory", (standing("otelcol_process_memory_rss"),), "Resident memory of the collectors."
                ),
            ),
        ),
        Section(
            "Out",
            (
                Panel("Sent", _of_signals("exporter_sent", "exporter"), "What back ends took."),
                Panel(
                    "Failed",
                    _of_signals("exporter_send_failed", "exporter"),
                    "Attempts that failed; with a queue they are repeated.",
                ),
                Panel(
                    "Queue",
                    (
                        standing("otelcol_exporter_queue_size", "exporter", "data_type").over(
                            standing("otelcol_exporter_queue_capacity", "exporter", "data_type")
                        ),
                    ),
                    "Share of the queue that is in use. A full one refuses.",
                    limits=(Limit(0.7, WARN), Limit(0.95, BAD)),
                ),
            ),
        ),
        Section(
            "Lost",
            (
                Panel(
                    "Refused by a full queue",
                    _of_signals("exporter_enqueue_failed", "exporter"),
                    "Anything but 0 is lost, unless the sender still has it.",
                    width=24,
                ),
            ),
        ),
    ),
)
