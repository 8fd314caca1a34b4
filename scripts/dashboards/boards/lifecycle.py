"""An order's life: where its time goes."""

from typing import Final

from scripts.dashboards.board import Board, Panel, Section
from scripts.dashboards.boards.parts import CHOSEN_VENUE, VENUE, VENUES, latency
from scripts.dashboards.queries import changes, mean, quantile

__all__ = ["BOARD"]

BOARD: Final = Board(
    "order-lifecycle",
    "order lifecycle",
    "Where the time of an order goes, stage by stage, and what went wrong on the way.",
    (
        Section(
            "Stages, in the order of an order's life",
            tuple(
                latency(name, title, about, VENUE)
                for name, title, about in (
                    (
                        "trading.feed.queue",
                        "In the feed's queue",
                        "From the socket to the message's consumer.",
                    ),
                    (
                        "trading.tick_to_decision",
                        "Tick to decision",
                        "The strategy: tick's receipt to order call.",
                    ),
                    (
                        "trading.decision_to_wire",
                        "Decision to wire",
                        "Checks, signing, pools: call to transport.",
                    ),
                    ("trading.wire_to_ack", "Wire to answer", "Network and venue."),
                    ("trading.ack_to_first_fill", "Answer to first fill", "The market."),
                    ("trading.tick_to_fill", "Tick to last fill", "The whole life."),
                )
            ),
        ),
        Section(
            "Inside the call",
            (
                Panel(
                    "Parts of an order call",
                    (
                        quantile(
                            "trading.order.segment.duration", 0.99, "trading.segment", where=CHOSEN_VENUE
                        ),
                    ),
                    "The 99th percentile of each part: signing, waiting for a budget, the socket.",
                    width=12,
                ),
                latency(
                    "trading.cancel_to_ack",
                    "Cancel to answer",
                    "How fast a cancel is answered.",
                    VENUE,
                    width=12,
                ),
                Panel(
                    "Risk checks",
                    (quantile("trading.risk.check.duration", 0.99, "trading.risk.check.name"),),
                    "The 99th percentile of each check before an order.",
                    width=12,
                ),
                Panel(
                    "Slippage",
                    (mean("trading.slippage", "trading.slippage.benchmark", "trading.slippage.direction"),),
                    "Mean distance of fills from the benchmark, in basis points.",
                    width=12,
                ),
            ),
        ),
        Section(
            "What went wrong",
            tuple(
                Panel(title, (changes(name, VENUE, where=CHOSEN_VENUE, window="5m"),), about, width=6)
                for name, title, about in (
                    (
                        "trading.order.retries",
                        "Retries",
                        "Requests that were sent once more; look for unsafe ones.",
                    ),
                    (
                        "trading.order.unknown_state",
                        "Fate unknown",
                        "Orders that a lost answer left in doubt.",
                    ),
                    ("trading.order.duplicates_suspected", "Doubled", "Orders that may double another one."),
                    ("trading.order.late_fills", "Late fills", "Fills that came after the order's end."),
                    (
                        "trading.order.unmatched_events",
                        "Unmatched",
                        "Reports of orders that nobody here placed.",
                    ),
                    ("trading.order.evictions", "Forgotten", "Open orders that were too many to keep."),
                )
            ),
        ),
        Section(
            "Reports",
            (
                latency(
                    "trading.fill.delivery_lag",
                    "Fill to receipt",
                    "From the venue's time of a fill to its receipt, clocks adjusted.",
                    VENUE,
                    "trading.order.event.source",
                    width=24,
                ),
            ),
        ),
    ),
    (VENUES,),
)
