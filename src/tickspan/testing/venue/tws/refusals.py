"""What TWS says when it refuses: https://ibkrcampus.com/campus/ibkr-api-page/twsapi-doc/#api-error-codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tickspan.testing.venue.orders import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error message of TWS: its code and its words."""

    code: int
    text: str


class TwsError(Exception):
    """A request is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.text}")
        self.refusal = refusal


REJECTED: Final = 201
"""The code of an order's rejection."""

UNKNOWN_CONTRACT: Final = Refusal(200, "No security definition has been found for the request")

REFUSALS: Final[Mapping[Reason, Refusal]] = {
    Reason.UNKNOWN_SYMBOL: UNKNOWN_CONTRACT,
    Reason.PRICE_FILTER: Refusal(
        110, "The price does not conform to the minimum price variation for this contract."
    ),
    Reason.LOT_SIZE: Refusal(REJECTED, "Order rejected - reason:Order size does not conform to market rule."),
    Reason.NOTIONAL: Refusal(
        REJECTED, "Order rejected - reason:The order value is below the minimum for this contract."
    ),
    Reason.FUNDS: Refusal(
        REJECTED,
        "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION "
        "YOUR EQUITY WITH LOAN VALUE MUST EXCEED THE INITIAL MARGIN.",
    ),
    Reason.DUPLICATE_ID: Refusal(103, "Duplicate order id"),
    Reason.WOULD_TAKE: Refusal(REJECTED, "Order rejected - reason:The order would take liquidity."),
    Reason.SCRIPTED: Refusal(REJECTED, "Order rejected - reason:Exchange is closed."),
}

FILLED_ALREADY: Final = Refusal(104, "Cannot modify a filled order.")
UNSUPPORTED_TYPE: Final = Refusal(387, "Unsupported order type for this exchange and security type.")
CANCELED: Final = Refusal(202, "Order Canceled - reason:")
TOO_MANY_MESSAGES: Final = Refusal(100, "Max rate of messages per second has been exceeded:max=50 rec=51 (1)")
CLIENT_ID_IN_USE: Final = Refusal(
    326, "Unable to connect as the client id is already in use. Retry with a unique client id."
)
OUT_OF_DATE: Final = Refusal(503, "The TWS is out of date and must be upgraded.")
INTERRUPTION: Final = (
    Refusal(1100, "Connectivity between IBKR and Trader Workstation has been lost."),
    Refusal(1102, "Connectivity between IBKR and Trader Workstation has been restored - data maintained."),
)
"""Notices of a break between this venue and the exchange that is over."""

GREETINGS: Final = (
    Refusal(2104, "Market data farm connection is OK:usfarm"),
    Refusal(2106, "HMDS data farm connection is OK:ushmds"),
    Refusal(2158, "Sec-def data farm connection is OK:secdefnj"),
)
"""Notices that every client gets when it has connected."""


def not_found(order_id: int) -> Refusal:
    """The answer to a cancel of an order that was never here."""
    return Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")


def not_cancelable(order_id: int, state: str) -> Refusal:
    """The answer to a cancel that comes too late."""
    return Refusal(
        10148, f"OrderId {order_id} that needs to be cancelled cannot be cancelled, state: {state}."
    )


def unreadable(what: str) -> Refusal:
    """The answer to what this venue does not have, or cannot read."""
    return Refusal(320, f"Server error when reading an API client request. {what}")
