"""A whole trading system: cached market data, a risk check in a pooled database, orders at a venue, traced.

Run `python examples/trading_system.py`. Needs `pip install tickspan[demo]`: the venue is simulated, the
database a file, and with REDIS_URL=redis://… the cache is shared. Traces go where OTEL_EXPORTER_OTLP_ENDPOINT
says; each trade is one: the transaction, market data, the risk check with its statements, the order.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ccxt.async_support as ccxt
from sqlalchemy import text

import tickspan
from tickspan import profiler
from tickspan.logs import Category, get_logger, log_context
from tickspan.pools import GovernedPool, create_database_pool, get_connection_context, release
from tickspan.testing.venue import VenueSimulator

LARGEST = 1_500.0
"""Notional of a trade, in USDT."""

logger = get_logger("trading_system", Category.TRADING)


@dataclass(frozen=True, slots=True)
class TradeRequest:
    """What a client wants."""

    id: str
    symbol: str
    side: str
    amount: float


@dataclass(frozen=True, slots=True)
class TradeResult:
    """What became of it."""

    id: str
    status: str
    price: float


class TradingSystem:
    """Takes requests; one after the other or at once."""

    def __init__(self, exchange: Any, database: str, redis: str | None = None) -> None:
        config = {"trading": {"environment": "simulated"}, **({"cache": {"url": redis}} if redis else {})}
        tickspan.init(config, service_name="trading_system")
        self.exchange = exchange
        self.cache = tickspan.get_cache()
        self.pool: GovernedPool = create_database_pool("trading_db", database, max_connections=10)

    async def __aenter__(self) -> Self:
        async with get_connection_context("trading_db") as connection:
            await connection.execute(text("CREATE TABLE limits (symbol TEXT PRIMARY KEY, largest REAL)"))
            await connection.execute(
                text("INSERT INTO limits VALUES ('BTC/USDT', :largest)"), {"largest": LARGEST}
            )
            await connection.execute(
                text("CREATE TABLE trades (id TEXT PRIMARY KEY, symbol TEXT, amount REAL)")
            )
            await connection.commit()
        await self.exchange.load_markets()
        return self

    async def __aexit__(self, *_: object) -> None:
        release("trading_db")
        await self.pool.dispose()
        await self.exchange.close()

    async def process_trade(self, request: TradeRequest) -> TradeResult:
        """Check and place a trade; the same request again gets the same answer and no second order."""
        with (
            profiler.section("process_trade"),
            tickspan.transaction("process_trade", trade_id=request.id),
            log_context(Category.TRADING, trade_id=request.id),
        ):
            known = await self.cache.get(f"trade_{request.id}")
            if known is not None:
                return TradeResult(known["id"], known["status"] + ", as before", known["price"])
            market = await self.market_data(request.symbol)
            if await self.is_within_limit(request, market["last"]):
                result = await self.place(request, market)
            else:
                result = TradeResult(request.id, "rejected by risk", market["last"])
            logger.info("trade %s", result.status, symbol=request.symbol, amount=request.amount)
            await self.cache.set(
                f"trade_{request.id}",
                {"id": result.id, "status": result.status, "price": result.price},
                ttl=300,
            )
            return result

    async def market_data(self, symbol: str) -> dict[str, float]:
        """The price: from the cache while it is young, else from the venue, once for all who ask."""

        async def load() -> dict[str, float]:
            ticker = await self.exchange.fetch_ticker(symbol)
            return {"last": ticker["last"]}

        return await self.cache.quotes.get_or_load(symbol, load)

    async def is_within_limit(self, request: TradeRequest, price: float) -> bool:
        """The risk check, by the limits of the database."""
        with tickspan.risk_check("notional") as check:
            async with get_connection_context("trading_db") as connection:
                found = await connection.execute(
                    text("SELECT largest FROM limits WHERE symbol = :symbol"), {"symbol": request.symbol}
                )
                largest = found.scalar_one()
            is_allowed = request.amount * price <= largest
            if not is_allowed:
                check.reject()
            return is_allowed

    async def place(self, request: TradeRequest, market: dict[str, float]) -> TradeResult:
        """Send the order, and write the trade down."""
        with tickspan.decision("client request", strategy="desk"):
            await self.exchange.create_order(request.symbol, "market", request.side, request.amount)
        async with get_connection_context("trading_db") as connection:
            await connection.execute(
                text("INSERT INTO trades VALUES (:id, :symbol, :amount)"),
                {"id": request.id, "symbol": request.symbol, "amount": request.amount},
            )
            await connection.commit()
        tickspan.record_metric("desk.trades", 1, kind="rate", unit="{trade}")
        return TradeResult(request.id, "placed", market["last"])


REQUESTS = (
    TradeRequest("t-1", "BTC/USDT", "buy", 0.01),
    TradeRequest("t-2", "BTC/USDT", "sell", 0.02),
    TradeRequest("t-3", "BTC/USDT", "buy", 5.0),
    TradeRequest("t-1", "BTC/USDT", "buy", 0.01),
)


async def main() -> None:
    """Four requests, of which one is too large and one came twice."""
    with tempfile.TemporaryDirectory() as folder, VenueSimulator() as venue:
        exchange = venue.connect.ccxt(ccxt.binance())
        url = f"sqlite+aiosqlite:///{Path(folder, 'trading.db')}"
        async with TradingSystem(exchange, url, os.environ.get("REDIS_URL")) as system:
            for request in REQUESTS:
                result = await system.process_trade(request)
                print(f"{result.id}: {request.side} {request.amount:g} {request.symbol}: {result.status}")
            async with get_connection_context("trading_db") as connection:
                written = await connection.execute(text("SELECT count(*) FROM trades"))
                print(f"{written.scalar_one()} trades are in the database", end=", ")
            region = system.cache.statistics().regions["quotes"]
            print(f"and the price was asked for {len(REQUESTS) - 1} times: {region}")
        functions = profiler.get_performance_report().functions
        print("process_trade ran", {one.name: one.calls for one in functions}["process_trade"], "times")


if __name__ == "__main__":
    asyncio.run(main())
