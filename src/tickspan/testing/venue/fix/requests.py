"""What clients ask for, read out of their messages. Pure: a refusal is an exception that says which one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from tickspan.testing.venue.fix.session import REQUIRED_TAG_MISSING, VALUE_INCORRECT, Refusal
from tickspan.testing.venue.fix.tags import Tag
from tickspan.testing.venue.fix.wire import Message
from tickspan.testing.venue.orders import NewOrder, Side

_Value = TypeVar("_Value")

CONDITIONALLY_REQUIRED: Final = 5
_SIDES: Final = {"1": Side.BUY, "2": Side.SELL}
_TYPES: Final = {"1": "MARKET", "2": "LIMIT"}
_POST_ONLY: Final = "6"
_TIMES_IN_FORCE: Final = {"0": "GTC", "1": "GTC", "3": "IOC", "4": "FOK"}


class SessionRefusedError(Exception):
    """The message is not as the specification wants it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


class BusinessRefusedError(Exception):
    """The message is well formed, but the venue will not handle it."""

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text


@dataclass(frozen=True, slots=True)
class Asked:
    """A new order or a replacement; `quantity` is the whole, over all replacements."""

    client_id: str
    symbol: str
    account: str | None
    new: NewOrder

    @property
    def quantity(self) -> Decimal:
        """What is to be filled in all."""
        return self.new.quantity or Decimal(0)


def market_of(symbol: str) -> str:
    """The venue's own name of a market, which clients may write with a slash."""
    return symbol.replace("/", "")


def order_asked(message: Message) -> Asked:
    """Read a NewOrderSingle (D) or an OrderCancelReplaceRequest (G).

    Raises SessionRefusedError for a field that is missing or wrong, BusinessRefusedError for a limit order
    without a price.
    """
    client_id, symbol = required(message, Tag.CL_ORD_ID), required(message, Tag.SYMBOL)
    kind = _chosen(message, Tag.ORD_TYPE, _TYPES)
    price = message.decimal(Tag.PRICE)
    if kind == "LIMIT" and price is None:
        raise BusinessRefusedError(CONDITIONALLY_REQUIRED, "Conditionally Required Field Missing: Price (44)")
    spend = message.decimal(Tag.CASH_ORDER_QTY)
    quantity = message.decimal(Tag.ORDER_QTY)
    if quantity is None and spend is None:
        raise SessionRefusedError(_wrong(message, Tag.ORDER_QTY))
    is_post_only = _POST_ONLY in (message.get(Tag.EXEC_INST) or "").split(" ")
    new = NewOrder(
        market_of(symbol),
        _chosen(message, Tag.SIDE, _SIDES),
        "LIMIT_MAKER" if is_post_only and kind == "LIMIT" else kind,
        quantity,
        spend if quantity is None else None,
        price if kind == "LIMIT" else None,
        _chosen(message, Tag.TIME_IN_FORCE, _TIMES_IN_FORCE, default="0"),
        client_id,
        "fix",
    )
    return Asked(client_id, symbol, message.get(Tag.ACCOUNT), new)


def required(message: Message, tag: Tag) -> str:
    """The text of a field. Raises SessionRefusedError if there is none."""
    text = message.get(tag)
    if not text:
        raise SessionRefusedError(_wrong(message, tag))
    return text


def _chosen(
    message: Message, tag: Tag, values: Mapping[str, _Value], *, default: str | None = None
) -> _Value:
    code = message.get(tag) or default
    if code is None or code not in values:
        raise SessionRefusedError(_wrong(message, tag))
    return values[code]


def _wrong(message: Message, tag: Tag) -> Refusal:
    if message.get(tag) is None:
        return Refusal(REQUIRED_TAG_MISSING, "Required tag missing", tag)
    return Refusal(VALUE_INCORRECT, "Value is incorrect (out of range) for this tag", tag)
