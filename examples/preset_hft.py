"""The preset for high-frequency trading: quotes that are never old, a hot loop without pauses.

Run `python examples/preset_hft.py`; `tickspan run --preset hft -- python bot.py` is the same without a line
of code. Needs `pip install tickspan[cache,pools]`; with REDIS_URL=redis://… other processes see the quotes.
"""

import gc
import os
import time

import tickspan
from tickspan import memory
from tickspan.pools import create_broker_pool, get_connection_context

TICKS = 50_000
SYMBOL = "BTC/USDT"
LOW = 50_000
OLD_S = 0.3


class Session:
    """Stands for a connection to a venue."""

    def send(self, side: str) -> str:
        """Place an order."""
        return f"{side} {SYMBOL}"

    def close(self) -> None:
        """Log off."""


def main() -> None:
    """Warm up, trade, and see what an old quote is worth."""
    url = os.environ.get("REDIS_URL")
    config = {"cache": {"url": url}} if url else {}
    settings = tickspan.init(config, preset="hft", service_name="hft")
    print(f"preset {settings.preset[0]}: quotes live {settings.cache.quotes_ttl_s:g} s,", end=" ")
    print(
        f"Redis has {settings.redis.timeout_s * 1e3:g} ms, a query is slow from {settings.queries.slow_s:g} s"
    )

    broker = create_broker_pool("venue", Session, max_connections=50, min_connections=2)
    quotes = tickspan.get_cache().quotes
    memory.warmed_up()
    sent = 0
    pauses: list[str] = []
    gc.callbacks.append(lambda phase, _: pauses.append(phase))
    with memory.critical():
        for number in range(TICKS):
            quotes.set_nowait(SYMBOL, LOW + number % 100, version=number + 1)
            if quotes.get_nowait(SYMBOL) == LOW:
                with get_connection_context("venue") as session:
                    sent += session.send("buy").startswith("buy")
    collections = pauses.count("start")
    gc.callbacks.pop()
    print(f"{TICKS:,} ticks, {sent} orders over {broker.statistics().created} sessions,", end=" ")
    print(f"{collections} collections of garbage meanwhile")

    time.sleep(OLD_S)
    print("a quote that is 300 ms old:", quotes.get_nowait(SYMBOL))
    broker.drain(1.0)


if __name__ == "__main__":
    main()
