"""Venues: refusals, limits, streams, clocks."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import BAD, CHOSEN_VENUE, VENUE, VENUES, WARN, latency
from scripts.dashboards.queries import changes, level, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    "venue-health",
    "venue health",
    "What each venue refuses, how near its limits we are, and whether its streams and clock can be trusted.",
    (
        Section(
            "Answers",
            (
                Panel(
                    "Refusals by code",
                    (rate("trading.order.rejects", VENUE, "trading.order.reject.code", where=CHOSEN_VENUE),),
                    "The venue's own codes.",
                    is_stacked=True,
                ),
                Panel(
                    "Refusals by origin",
                    (
                        rate(
                            "trading.order.rejects",
                            VENUE,
                            "trading.order.reject.origin",
                            where=CHOSEN_VENUE,
                        ),
                    ),
                    "Who refused: the client library, a risk check, a gateway, the venue.",
                    is_stacked=True,
                ),
                latency(
                    "trading.wire_to_ack",
                    "Time to answer",
                    "From the transport to the venue's answer.",
                    VENUE,
                ),
            ),
        ),
        Section(
            "Limits",
            (
                Panel(
                    "Budget used",
                    (
                        level(
                            "trading.rate_limit.used",
                            VENUE,
                            "trading.rate_limit.name",
                            where=CHOSEN_VENUE,
                            how="max",
                        ).over(
                            level(
                                "trading.rate_limit.limit",
                                VENUE,
                                "trading.rate_limit.name",
                                where=CHOSEN_VENUE,
                                how="max",
                            )
                        ),
                    ),
                    "Used by allowed, per limit of the venue. At 1 orders are refused.",
                    width=12,
                    limits=(Limit(0.8, WARN), Limit(1, BAD)),
                ),
                Panel(
                    "Refused for being too many",
                    (changes("trading.rate_limit.hits", VENUE, "trading.rate_limit.name", window="5m"),),
                    "Requests that a limit refused.",
                    width=12,
                ),
            ),
        ),
        Section(
            "Streams and clock",
            (
                Panel(
                    "Open streams",
                    (level("trading.stream.connected", VENUE, "trading.feed.channel", where=CHOSEN_VENUE),),
                    "Streams that are open.",
                ),
                Panel(
                    "Reconnects",
                    (changes("trading.stream.reconnects", VENUE, "trading.feed.channel", window="5m"),),
                    "Connections that were made anew.",
                ),
                Panel(
                    "Clock offset",
                    (level("trading.clock.offset", VENUE, "trading.clock.source", how="max"),),
                    "How far the venue's clock is ahead. Signed requests fail beyond its window.",
                ),
            ),
        ),
    ),
    (VENUES,),
)
