"""Interactive Brokers' own words: what its codes mean, and why it refuses.

https://ibkrcampus.com/campus/ibkr-api-page/twsapi-doc/#api-error-codes
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from tickspan.trading import ClientIdUnique, RejectReason, VenueProfile

VENUE: Final = "ib"

PROFILE: Final = VenueProfile(
    name=VENUE,
    client_id_fields=(),
    # An order id that is sent again changes the order that has it: there is never a second one.
    client_id_unique=ClientIdUnique.ALWAYS,
    reasons={
        "100": RejectReason.RATE_LIMIT,
        "103": RejectReason.DUPLICATE_ID,
        "109": RejectReason.PRICE,
        "110": RejectReason.PRICE,
        "135": RejectReason.NOT_FOUND,
        "200": RejectReason.SYMBOL,
        "203": RejectReason.AUTH,
        "382": RejectReason.PRICE,
        "383": RejectReason.RISK,
        "388": RejectReason.QUANTITY,
        "434": RejectReason.QUANTITY,
        "463": RejectReason.PRICE,
        "10147": RejectReason.NOT_FOUND,
        "10318": RejectReason.QUANTITY,
    },
    message_reasons=(
        ("EQUITY WITH LOAN VALUE", RejectReason.FUNDS),
        ("AVAILABLE FUNDS", RejectReason.FUNDS),
        ("available funds", RejectReason.FUNDS),
        ("Insufficient", RejectReason.FUNDS),
        ("insufficient", RejectReason.FUNDS),
        ("margin", RejectReason.FUNDS),
        ("is closed", RejectReason.MARKET_CLOSED),
        ("trading permission", RejectReason.AUTH),
        ("not allowed", RejectReason.AUTH),
        ("minimum price variation", RejectReason.PRICE),
        ("rder size", RejectReason.QUANTITY),
        ("exceeds", RejectReason.RISK),
    ),
)

_PAPER: Final = re.compile(r"D[UFI]\d")
_ACCOUNT: Final = re.compile(r"\bD?[UFI]\d{5,9}[A-Z]?\b")


class Meaning(Enum):
    """What an error message is about: most of IB's are none."""

    NOTICE = auto()
    REFUSED = auto()
    """The order, or its change, is refused."""
    CANCELED = auto()
    CANCEL_REFUSED = auto()
    """The order goes on as it is."""
    RATE_LIMIT = auto()
    LOST = auto()
    """TWS has lost IB; the socket to TWS stands."""
    RESTORED = auto()


_MEANINGS: Final = {
    100: Meaning.RATE_LIMIT,
    135: Meaning.CANCEL_REFUSED,
    136: Meaning.CANCEL_REFUSED,
    161: Meaning.CANCEL_REFUSED,
    202: Meaning.CANCELED,
    1100: Meaning.LOST,
    1101: Meaning.RESTORED,
    1102: Meaning.RESTORED,
    10147: Meaning.CANCEL_REFUSED,
    10148: Meaning.CANCEL_REFUSED,
}
_NOTICES: Final = frozenset({165, 399, 404, 481, 492, 10167, 10349})
_FARMS: Final = range(2100, 2200)
"""Connections to data farms, and warnings about orders that are taken all the same."""
REJECTION: Final = 201
"""The one code that ends an order which was acknowledged before."""


def meaning_of(code: int, text: str) -> Meaning:
    """What the error message with this code says."""
    known = _MEANINGS.get(code)
    if known is not None:
        return known
    is_notice = code in _NOTICES or code in _FARMS or text.startswith("Warning")
    return Meaning.NOTICE if is_notice else Meaning.REFUSED


def environment_of(account: str | None) -> str | None:
    """`paper` for an account that is one by its number; None says nothing of others."""
    return "paper" if account is not None and _PAPER.match(account) else None


def without_accounts(text: str) -> str:
    """`text` of the venue without numbers of accounts."""
    return _ACCOUNT.sub("…", text)
