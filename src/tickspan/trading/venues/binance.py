"""Binance spot: https://developers.binance.com/docs/binance-spot-api-docs/errors."""

from __future__ import annotations

from typing import Final

from tickspan.trading.model import RejectReason
from tickspan.trading.venues.profile import VenueProfile

BINANCE: Final = VenueProfile(
    name="binance",
    client_id_fields=("newClientOrderId", "clientOrderId"),
    reasons={
        "-1002": RejectReason.AUTH,
        "-1003": RejectReason.RATE_LIMIT,
        "-1015": RejectReason.RATE_LIMIT,
        "-1021": RejectReason.CLOCK_SKEW,
        "-1022": RejectReason.AUTH,
        "-1121": RejectReason.SYMBOL,
        "-2010": RejectReason.OTHER,
        "-2011": RejectReason.NOT_FOUND,
        "-2013": RejectReason.NOT_FOUND,
        "-2014": RejectReason.AUTH,
        "-2015": RejectReason.AUTH,
    },
    message_reasons=(
        ("insufficient balance", RejectReason.FUNDS),
        ("Duplicate order sent", RejectReason.DUPLICATE_ID),
        ("Market is closed", RejectReason.MARKET_CLOSED),
        ("PRICE_FILTER", RejectReason.PRICE),
        ("PERCENT_PRICE", RejectReason.PRICE),
        ("LOT_SIZE", RejectReason.QUANTITY),
        ("NOTIONAL", RejectReason.QUANTITY),
        ("MAX_POSITION", RejectReason.RISK),
        ("MAX_NUM_ORDERS", RejectReason.RISK),
    ),
)
