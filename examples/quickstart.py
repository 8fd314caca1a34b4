"""One order with the reasons for it: a transaction, a risk check and a decision around a real ccxt call.

Needs `pip install tickspan[demo]` and nothing else: the venue is simulated. Spans go where
OTEL_EXPORTER_OTLP_ENDPOINT says; `OTEL_TRACES_EXPORTER=console python examples/quickstart.py` prints them.
"""

from typing import Any

import ccxt

import tickspan
from tickspan.testing.venue import VenueSimulator

SYMBOL = "BTC/USDT"
LARGEST_AMOUNT = 0.05


@tickspan.risk_check("largest amount")
def is_small_enough(amount: float) -> bool:
    """A check that returns False is recorded as a reject."""
    return amount <= LARGEST_AMOUNT


def trade(exchange: Any, amount: float) -> Any:
    """Buy if the check passes; None if it does not."""
    with tickspan.decision("momentum", strategy="quickstart"):
        if not is_small_enough(amount):
            return None
        return exchange.create_order(SYMBOL, "market", "buy", amount)


def main() -> None:
    """Two attempts in one transaction: the first is traded, the second is too large."""
    tickspan.init({"trading": {"environment": "simulated"}}, service_name="quickstart")
    with VenueSimulator() as venue:
        exchange = venue.connect.ccxt(ccxt.binance())
        with tickspan.transaction("rebalance", book="eu"):
            for amount in (0.01, 0.1):
                order = trade(exchange, amount)
                print(f"{amount} {SYMBOL}: {order['status'] if order else 'rejected by the risk check'}")


if __name__ == "__main__":
    main()
