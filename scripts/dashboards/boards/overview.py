"""Trading as a whole: do orders go out, come back and get filled."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import BAD, CHOSEN_VENUE, VENUE, VENUES, WARN, latency, stat
from scripts.dashboards.queries import heat, level, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    "trading-overview",
    "trading overview",
    "Whether orders go out, come back and are filled, and how fast.",
    (
        Section(
            "Now",
            (
                stat(
                    "Orders",
                    rate(
                        "trading.order.operations", where={**CHOSEN_VENUE, "trading.order.operation": "new"}
                    ),
                    "New orders that programs asked for.",
                ),
                stat(
                    "Fills",
                    rate("trading.order.fills", where=CHOSEN_VENUE),
                    "Executions that were reported.",
                ),
                stat(
                    "Refused",
                    rate("trading.order.rejects", where=CHOSEN_VENUE).over(
                        rate("trading.order.operations", where=CHOSEN_VENUE)
                    ),
                    "Refused by all operations. Above 5 % size, price or account is wrong.",
                    Limit(0.01, WARN),
                    Limit(0.05, BAD),
                ),
                stat("Open", level("trading.order.open", where=CHOSEN_VENUE), "Orders that are not over."),
                stat(
                    "Oldest unanswered",
                    level("trading.order.oldest_unacked_age", where=CHOSEN_VENUE, how="max"),
                    "The age of the oldest order that the venue has not answered.",
                    Limit(1, WARN),
                    Limit(5, BAD),
                ),
                stat(
                    "Fate unknown",
                    level("trading.order.open_unknown", where=CHOSEN_VENUE),
                    "Orders of which nobody knows whether the venue has them. Anything but 0 wants a person.",
                    Limit(1, BAD),
                ),
            ),
        ),
        Section(
            "How fast",
            (
                latency(
                    "trading.tick_to_trade",
                    "Tick to trade",
                    "From the tick's receipt to the order on the wire.",
                    VENUE,
                    width=12,
                ),
                latency(
                    "trading.order.duration",
                    "Order duration",
                    "From the order call to the last fill. Resting limit orders take hours: choose a type.",
                    "trading.order.type",
                    width=12,
                ),
                Panel(
                    "Wire to acknowledgement",
                    (heat("trading.wire_to_ack", where=CHOSEN_VENUE),),
                    "From the transport to the venue's answer. A second band is a second path.",
                    "heatmap",
                    width=24,
                    height=9,
                ),
            ),
        ),
        Section(
            "How often",
            (
                Panel(
                    "Operations",
                    (rate("trading.order.operations", "trading.order.operation", VENUE, where=CHOSEN_VENUE),),
                    "What programs asked for, by operation and venue.",
                    is_stacked=True,
                ),
                Panel(
                    "Fills",
                    (rate("trading.order.fills", "trading.order.side", VENUE, where=CHOSEN_VENUE),),
                    "Executions, by side and venue.",
                    is_stacked=True,
                ),
                Panel(
                    "Refusals",
                    (
                        rate(
                            "trading.order.rejects",
                            "trading.order.reject.reason",
                            VENUE,
                            where=CHOSEN_VENUE,
                        ),
                    ),
                    "Refused operations, by reason and venue.",
                    is_stacked=True,
                ),
            ),
        ),
    ),
    (VENUES,),
)
