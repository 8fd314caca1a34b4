"""What TWS clients ask for: the fields of a request as values, in the layout of server version 176."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation


class UnreadableError(ValueError):
    """A request's fields are not what its message asks for."""


class Fields:
    """A request's fields, read one after the other. Raises UnreadableError for what cannot be read."""

    def __init__(self, fields: Sequence[str]) -> None:
        self._fields = fields
        self._next = 0

    def text(self) -> str:
        """The next field."""
        if self._next >= len(self._fields):
            raise UnreadableError(f"expected more than {len(self._fields)} fields")
        self._next += 1
        return self._fields[self._next - 1]

    def skip(self, count: int) -> None:
        """Leave `count` fields out."""
        for _ in range(count):
            self.text()

    def whole(self) -> int:
        """The next field as a whole number; empty is 0."""
        text = self.text()
        try:
            return int(text or 0)
        except ValueError:
            raise UnreadableError(f"expected a whole number, got {text[:40]!r}") from None

    def decimal(self) -> Decimal | None:
        """The next field as a number; None if it is empty."""
        text = self.text()
        try:
            return Decimal(text) if text else None
        except InvalidOperation:
            raise UnreadableError(f"expected a number, got {text[:40]!r}") from None

    def flag(self) -> bool:
        """The next field as a truth value."""
        return self.text() in ("1", "True")


@dataclass(frozen=True, slots=True)
class Contract:
    """An instrument as a client names it."""

    con_id: int
    symbol: str
    kind: str
    """STK, CASH, CRYPTO…"""
    exchange: str
    currency: str


@dataclass(frozen=True, slots=True)
class Placement:
    """A `placeOrder`: a new order, or a change of one that has this id."""

    order_id: int
    contract: Contract
    action: str
    quantity: Decimal
    type: str
    limit_price: Decimal | None
    time_in_force: str
    account: str
    order_ref: str
    transmit: bool
    parent_id: int
    is_what_if: bool


def read_contract(fields: Fields) -> Contract:
    """The twelve fields of a contract."""
    con_id, symbol, kind = fields.whole(), fields.text(), fields.text()
    fields.skip(4)  # expiry, strike, right, multiplier
    exchange = fields.text()
    fields.skip(1)  # primary exchange
    currency = fields.text()
    fields.skip(2)  # local symbol, trading class
    return Contract(con_id, symbol, kind, exchange, currency)


def read_placement(fields: Fields) -> Placement:
    """A `placeOrder` behind its message id; combinations of legs are not read."""
    order_id, contract = fields.whole(), read_contract(fields)
    fields.skip(2)  # security id
    action, quantity, kind = fields.text(), fields.decimal(), fields.text()
    limit_price = fields.decimal()
    fields.skip(1)  # auxiliary price
    time_in_force = fields.text()
    fields.skip(1)  # one-cancels-all group
    account = fields.text()
    fields.skip(2)  # open or close, origin
    order_ref, transmit, parent_id = fields.text(), fields.flag(), fields.whole()
    if contract.kind == "BAG":
        raise UnreadableError("combinations are not traded here")
    return Placement(
        order_id,
        contract,
        action,
        quantity or Decimal(0),
        kind,
        limit_price,
        time_in_force or "DAY",
        account,
        order_ref,
        transmit,
        parent_id,
        _read_what_if(fields),
    )


def _read_what_if(fields: Fields) -> bool:
    """The flag that lies behind every optional block of an order, from the field after its parent."""
    fields.skip(6 + 8)  # block order to hidden; discretion to financial advisor's profile
    fields.skip(22)  # model code to volatility type
    if fields.text():  # delta neutral order type
        fields.skip(1 + 8)
    else:
        fields.skip(1)
    fields.skip(4 + 2)  # continuous update to trailing percent; scale levels
    if (fields.decimal() or 0) > 0:  # scale price increment
        fields.skip(7)
    fields.skip(3)  # scale table, active from, active until
    if fields.text():  # hedge type
        fields.skip(1)
    fields.skip(4)  # smart routing, clearing, not held
    if fields.flag():  # delta neutral contract
        fields.skip(3)
    if fields.text():  # algorithm
        fields.skip(2 * fields.whole())
    fields.skip(1)  # algorithm id
    return fields.flag()
