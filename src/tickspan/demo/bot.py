"""A small trading bot: buys when a price rises above its average, sells when it falls below.

Prices and fills come from the venue's streams, risk limits from Redis with the database behind it, and every
order and fill is written to the database. Run it with a configuration: `python -m tickspan.demo.bot FILE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import defaultdict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ccxt.pro
import redis.asyncio
from sqlalchemy import ForeignKey, String, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Tables of the bot."""


class Limit(Base):
    """How much of one symbol may be held."""

    __tablename__ = "bot_limits"
    symbol: Mapped[str] = mapped_column(String(20), primary_key=True)
    amount: Mapped[float]
    largest_position: Mapped[float]


class Order(Base):
    """An order as we placed it."""

    __tablename__ = "bot_orders"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(20), index=True)
    side: Mapped[str] = mapped_column(String(4))
    amount: Mapped[float]
    status: Mapped[str] = mapped_column(String(20), default="open")


class Fill(Base):
    """A fill as the venue told it."""

    __tablename__ = "bot_fills"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    order_id: Mapped[str] = mapped_column(ForeignKey(Order.id), index=True)
    symbol: Mapped[str] = mapped_column(String(20), index=True)
    signed_amount: Mapped[float]
    price: Mapped[float]


@dataclass(frozen=True, slots=True)
class BotConfig:
    """What the configuration file holds."""

    exchange: dict[str, Any]
    database: str
    redis: str
    symbols: list[str]
    seconds: float
    average_over: int = 6
    pause_s: float = 0.25
    amounts: dict[str, float] = field(default_factory=dict[str, float])

    @staticmethod
    def load(path: Path) -> BotConfig:
        """Read the file."""
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return BotConfig(**values)


class Bot:
    """One strategy on several symbols."""

    def __init__(self, config: BotConfig) -> None:
        self.config = config
        self.exchange: Any = ccxt.pro.binance(config.exchange)  # pyright: ignore[reportArgumentType] - its argument type is too narrow
        self.engine = create_async_engine(config.database)
        self.session = async_sessionmaker(self.engine, expire_on_commit=False)
        self.cache: Any = redis.asyncio.Redis.from_url(config.redis, decode_responses=True)
        self.prices: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=config.average_over))
        self.open: set[str] = set()
        self.settled = asyncio.Event()
        self.bookings: list[asyncio.Task[None]] = []
        self.books = asyncio.Lock()
        self.early: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    async def run(self) -> None:
        """Trade for the configured time, then wait for the last fills."""
        try:
            await self.prepare()
            follower = asyncio.create_task(self.follow_fills())
            await asyncio.gather(*(self.trade(symbol) for symbol in self.config.symbols))
            await self.wait_for_fills(timeout_s=1)
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
            await asyncio.gather(*self.bookings)
            await self.reconcile()
        finally:
            await self.exchange.close()
            await self.cache.aclose()
            await self.engine.dispose()

    async def prepare(self) -> None:
        """Tables, limits, markets."""
        async with self.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        async with self.session.begin() as session:
            session.add_all(
                Limit(symbol=symbol, amount=self.config.amounts.get(symbol, 0.01), largest_position=1000.0)
                for symbol in self.config.symbols
            )
        await self.exchange.load_markets()

    async def trade(self, symbol: str) -> None:
        """Watch one symbol and act on its ticks."""
        loop = asyncio.get_running_loop()
        end, next_order = loop.time() + self.config.seconds, 0.0
        while loop.time() < end:
            ticker = await self.exchange.watch_ticker(symbol)
            side = self.signal(symbol, ticker["last"])
            if side is not None and loop.time() >= next_order:
                await self.place(symbol, side)
                next_order = loop.time() + self.config.pause_s

    def signal(self, symbol: str, price: float) -> str | None:
        """Buy above the average of the last prices, sell below, nothing before there are enough."""
        prices = self.prices[symbol]
        average = sum(prices) / len(prices) if len(prices) == prices.maxlen else None
        prices.append(price)
        if average is None or price == average:
            return None
        return "buy" if price > average else "sell"

    async def place(self, symbol: str, side: str) -> None:
        """Check the limit, send the order, write it down."""
        limit = await self.limit(symbol)
        if abs(await self.position(symbol)) > limit["largest_position"]:
            return
        order = await self.exchange.create_order(symbol, "market", side, limit["amount"])
        async with self.session.begin() as session:
            session.add(Order(id=order["id"], symbol=symbol, side=side, amount=limit["amount"]))
        self.open.add(order["id"])
        self.settled.clear()
        for fill in self.early.pop(order["id"], []):
            await self.book(fill)

    async def limit(self, symbol: str) -> dict[str, float]:
        """The symbol's limit, from Redis if it is there."""
        key = f"limit:{symbol}"
        cached = await self.cache.get(key)
        if cached is not None:
            return json.loads(cached)
        async with self.session() as session:
            row = (await session.execute(select(Limit).where(Limit.symbol == symbol))).scalar_one()
        limit = {"amount": row.amount, "largest_position": row.largest_position}
        await self.cache.set(key, json.dumps(limit), ex=5)
        return limit

    async def position(self, symbol: str) -> float:
        """What the fills so far add up to."""
        async with self.session() as session:
            total = await session.execute(select(func.sum(Fill.signed_amount)).where(Fill.symbol == symbol))
            return float(total.scalar() or 0.0)

    async def follow_fills(self) -> None:
        """Hand each fill that the venue tells to a task: who is not back in time misses the next one."""
        while True:
            for fill in await self.exchange.watch_my_trades():
                self.bookings.append(asyncio.create_task(self.note(fill)))

    async def note(self, fill: dict[str, Any]) -> None:
        """Book a fill; one that is told before its order is written down waits for it."""
        if fill["order"] in self.open:
            await self.book(fill)
        else:
            self.early[fill["order"]].append(fill)

    async def book(self, fill: dict[str, Any]) -> None:
        """Write one fill down; close its order when it is filled."""
        sign = 1 if fill["side"] == "buy" else -1
        order_id = fill["order"]
        async with self.books, self.session.begin() as session:
            session.add(
                Fill(
                    id=self.fill_id(fill),
                    order_id=order_id,
                    symbol=fill["symbol"],
                    signed_amount=sign * fill["amount"],
                    price=fill["price"],
                )
            )
            await session.flush()
            if await self.is_filled(session, order_id):
                await session.execute(update(Order).where(Order.id == order_id).values(status="filled"))
                self.settle(order_id)
        async with self.cache.pipeline(transaction=True) as pipeline:
            pipeline.hset(f"position:{fill['symbol']}", mapping={"last_price": fill["price"]})
            pipeline.incr("fills")
            await pipeline.execute()

    async def is_filled(self, session: AsyncSession, order_id: str) -> bool:
        """Whether the fills of an order add up to its amount."""
        order = await session.get_one(Order, order_id)
        filled = await session.execute(select(func.sum(Fill.signed_amount)).where(Fill.order_id == order_id))
        return abs(float(filled.scalar() or 0.0)) >= order.amount * 0.999

    async def wait_for_fills(self, timeout_s: float) -> None:
        """Give open orders a moment to fill."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.settled.wait(), timeout_s if self.open else 0)

    async def reconcile(self) -> None:
        """Ask the venue for fills that its stream has not told."""
        for symbol in self.config.symbols if self.open else ():
            for fill in await self.exchange.fetch_my_trades(symbol):
                if fill["order"] in self.open and not await self.is_booked(fill):
                    await self.book(fill)

    async def is_booked(self, fill: dict[str, Any]) -> bool:
        """Whether a fill is written down."""
        async with self.session() as session:
            return await session.get(Fill, self.fill_id(fill)) is not None

    @staticmethod
    def fill_id(fill: dict[str, Any]) -> str:
        """Trade ids are unique within one symbol."""
        return f"{fill['symbol']}:{fill['id']}"

    def settle(self, order_id: str) -> None:
        """An order is filled: nobody waits for it any more."""
        self.open.discard(order_id)
        if not self.open:
            self.settled.set()


def main() -> int:
    """Run the bot of the configuration file named on the command line."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and one file
        print("usage: python -m tickspan.demo.bot CONFIG.json", file=sys.stderr)
        return 2
    asyncio.run(Bot(BotConfig.load(Path(sys.argv[1]))).run())
    return 0


if __name__ == "__main__":
    sys.exit(main())
