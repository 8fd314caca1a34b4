"""A table of trades, and readings of it that stop and go on."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
TRADES = sa.Table(
    "trades",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ts", sa.Integer, nullable=False),
    sa.Column("symbol", sa.String(8), nullable=False),
    sa.Column("price", sa.Integer, nullable=True),
    sa.Index("trades_ts", "ts", "id"),
)


def trade(number: int) -> tuple[int, int, str, int | None]:
    """The trade of that number: ten trades a second, one in seven without a price."""
    return number, number // 10, f"S{number % 5}", None if number % 7 == 0 else number * 3 % 101


def trades(first: int, last: int) -> list[tuple[int, int, str, int | None]]:
    """Trades of a range of numbers, both ends included."""
    return [trade(number) for number in range(first, last + 1)]


def create_trades(engine: sa.Engine, count: int) -> None:
    """Make the table with trades 1 to `count`."""
    with engine.begin() as connection:
        METADATA.drop_all(connection)
        METADATA.create_all(connection)
    insert_trades(engine, 1, count)


def insert_trades(engine: sa.Engine, first: int, last: int) -> None:
    """Add trades of a range of numbers."""
    names = ("id", "ts", "symbol", "price")
    with engine.begin() as connection:
        connection.execute(
            TRADES.insert(), [dict(zip(names, row, strict=True)) for row in trades(first, last)]
        )
