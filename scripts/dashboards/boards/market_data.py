"""Market data: how old, and what was lost."""

from typing import Final

from scripts.dashboards.board import Board, Limit, Panel, Section
from scripts.dashboards.boards.parts import BAD, CHOSEN_VENUE, VENUE, VENUES, latency
from scripts.dashboards.queries import changes, heat, level, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    "market-data",
    "market-data lag",
    "How old market data is when a strategy sees it, and what was lost.",
    (
        Section(
            "Age",
            (
                latency(
                    "trading.feed.lag",
                    "Venue to us",
                    "From the venue's event to its receipt, clocks adjusted.",
                    VENUE,
                    "trading.feed.channel",
                ),
                latency(
                    "trading.feed.queue",
                    "Socket to consumer",
                    "How long messages wait for the program.",
                    VENUE,
                    "trading.feed.channel",
                ),
                Panel(
                    "Silence",
                    (
                        level(
                            "trading.feed.staleness",
                            VENUE,
                            "trading.feed.channel",
                            where=CHOSEN_VENUE,
                            how="max",
                        ),
                    ),
                    "The time since the last message.",
                    limits=(Limit(5, BAD),),
                ),
                Panel(
                    "Lag of all messages",
                    (heat("trading.feed.lag", where=CHOSEN_VENUE),),
                    "Each column is an interval, each cell a range of lags.",
                    "heatmap",
                    width=24,
                ),
            ),
        ),
        Section(
            "Amount",
            (
                Panel(
                    "Messages",
                    (rate("trading.feed.messages", VENUE, "trading.feed.channel", where=CHOSEN_VENUE),),
                    "Messages received.",
                    is_stacked=True,
                ),
                Panel(
                    "Bytes",
                    (rate("trading.feed.bytes", VENUE, "trading.feed.channel", where=CHOSEN_VENUE),),
                    "Bytes received.",
                    is_stacked=True,
                ),
                Panel(
                    "Backlog",
                    (
                        level(
                            "trading.feed.backlog",
                            VENUE,
                            "trading.feed.channel",
                            where=CHOSEN_VENUE,
                            how="max",
                        ),
                    ),
                    "Messages that wait for their consumer.",
                ),
            ),
        ),
        Section(
            "Loss",
            tuple(
                Panel(
                    title,
                    (changes(name, VENUE, "trading.feed.channel", where=CHOSEN_VENUE, window="5m"),),
                    about,
                    width=6,
                )
                for name, title, about in (
                    ("trading.feed.conflated", "Overwritten", "Nobody had awaited the one before."),
                    ("trading.feed.dropped", "Dropped", "A full queue lost them."),
                    ("trading.feed.sequence_gaps", "Sequence gaps", "Jumps in the venue's numbers."),
                    (
                        "trading.feed.checksum_errors",
                        "Checksum errors",
                        "Order books that are not the venue's.",
                    ),
                    ("trading.feed.handler_errors", "Handler errors", "Exceptions out of message handlers."),
                    ("trading.clock.negative_lag", "From the future", "Messages before their venue's time."),
                )
            ),
        ),
    ),
    (VENUES,),
)
