"""What every contender records: the span, log record and series of a number, known at both ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Value = str | float | int | bool

SERVICE: Final = "bench"
SCOPE: Final = "pipeline"
SPAN: Final = "order.submit"
LOGGER: Final = "bench.orders"
COUNTER: Final = "bench.orders"
HISTOGRAM: Final = "bench.latency"
MANY: Final = "bench.many"

SEQUENCE: Final = "order.sequence"
VENUE: Final = "order.venue"
PRICE: Final = "order.price"
IS_MAKER: Final = "order.is_maker"
SYMBOL: Final = "order.symbol"

VENUES: Final = ("binance", "kraken", "coinbase", "okx")
PRICES: Final = tuple(50_000.25 + 0.5 * step for step in range(8))
MAKERS: Final = (True, False)
SYMBOLS: Final = (
    "BTC/USDT",
    "ETH/USDT",
    "SOL/USDT",
    "XRP/USDT",
    "ADA/USDT",
    "DOT/USDT",
    "LTC/USDT",
    "TRX/USDT",
)

SERIES: Final[tuple[dict[str, str], ...]] = tuple(
    {VENUE: venue, SYMBOL: symbol} for venue in VENUES for symbol in SYMBOLS[:4]
)
"""The attribute sets of the counter and of the histogram, in turn."""

MANY_INSTRUMENTS: Final = 10
"""The 10,000 series are spread over these, so that each stays below a limit of 2,000 series."""


def span_attributes(number: int) -> dict[str, Value]:
    """The five attributes of span `number`."""
    return {
        VENUE: VENUES[number & 3],
        PRICE: PRICES[number & 7],
        SEQUENCE: number,
        IS_MAKER: MAKERS[number & 1],
        SYMBOL: SYMBOLS[number & 7],
    }


def log_attributes(number: int) -> dict[str, Value]:
    """The two attributes of log record `number`; handlers may add where it was written."""
    return {SEQUENCE: number, PRICE: PRICES[number & 7]}


def log_body(number: int) -> str:
    """The text of log record `number`."""
    return f"order {number} filled on {VENUES[number & 3]}"


def fault_of(found: Mapping[str, object], wanted: Mapping[str, Value]) -> str | None:
    """The first attribute that is not as it was set, in words; a value of another type is another value."""
    for name, value in wanted.items():
        came = found.get(name)
        if type(came) is not type(value) or came != value:
            return f"{name}={came!r}, not {value!r}"
    return None


def series_totals(counts: int) -> dict[str, int]:
    """How often each series, by its `series_key`, was counted by `counts` additions of 1 in turn."""
    whole, rest = divmod(counts, len(SERIES))
    return {series_key(series): whole + (place < rest) for place, series in enumerate(SERIES)}


def series_key(attributes: Mapping[str, object]) -> str:
    """An attribute set as one text."""
    return ",".join(f"{name}={attributes[name]}" for name in sorted(attributes))
