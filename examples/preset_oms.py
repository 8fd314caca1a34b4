"""The preset for order management: every order's state at hand, for who sent it and for who only asks.

Run `python examples/preset_oms.py`; `tickspan run --preset oms -- python oms.py` is the same without a line
of code. Needs `pip install tickspan[demo]`: the venue is simulated. With REDIS_URL=redis://… other processes
ask for the same orders.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import ccxt
from sqlalchemy import text

import tickspan
from tickspan.pools import create_database_pool, get_connection_context, release
from tickspan.testing.venue import VenueSimulator

SYMBOL = "BTC/USDT"
AMOUNTS = (0.01, 0.02, 0.03)
FILLED_S = 10.0


def place(exchange: Any, amount: float) -> str:
    """Send an order and write it down, in one transaction that everybody finds again by its id."""
    with tickspan.transaction("order", desk="eu"):
        order = exchange.create_order(SYMBOL, "market", "buy", amount)
        with get_connection_context("orders_db") as connection:
            connection.execute(
                text("INSERT INTO orders VALUES (:id, :amount)"), {"id": order["id"], "amount": amount}
            )
            connection.commit()
    return str(order["id"])


def wait(exchange: Any, order_id: str) -> None:
    """Poll until the venue has filled it: each answer is heard."""
    until_s = time.monotonic() + FILLED_S
    while exchange.fetch_order(order_id, SYMBOL)["status"] != "closed" and time.monotonic() < until_s:
        time.sleep(0.02)


def main() -> None:
    """Three orders."""
    url = os.environ.get("REDIS_URL")
    config = {"trading": {"environment": "simulated"}, **({"cache": {"url": url}} if url else {})}
    settings = tickspan.init(config, preset="oms", service_name="oms")
    print(
        f"preset {settings.preset[0]}: orders are kept {settings.trading.terminal_ttl_s / 3600:g} h,", end=" "
    )
    print(f"a fate that nobody knows is told after {settings.trading.unknown_after_s:g} s")
    cache = tickspan.get_cache()
    with tempfile.TemporaryDirectory() as folder, VenueSimulator() as venue:
        database = create_database_pool("orders_db", f"sqlite:///{Path(folder, 'o.db')}", max_connections=30)
        with get_connection_context("orders_db") as connection:
            connection.execute(text("CREATE TABLE orders (id TEXT PRIMARY KEY, amount REAL)"))
            connection.commit()
        exchange: Any = venue.connect.ccxt(ccxt.binance())
        ids = [place(exchange, amount) for amount in AMOUNTS]
        for order_id in ids:
            wait(exchange, order_id)
            known = cache.sync.get_cached_order_status("binance", order_id)
            assert known is not None
            print(f"{known.quantity} {SYMBOL}: {known.status}, {known.filled} filled, over: {known.is_over}")
        print("one that nobody sent:", cache.sync.get_cached_order_status("binance", "4711"))
        release("orders_db")
        database.dispose()


if __name__ == "__main__":
    main()
