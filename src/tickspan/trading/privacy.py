"""What of an order may leave the process: sizes, prices and account numbers are kept back by default."""

from __future__ import annotations

import hashlib
import hmac
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tickspan.config import Quantities
from tickspan.semconv import trading as names
from tickspan.trading.model import decimal_text

_SIZES: Final = frozenset(
    {
        names.ORDER_QUANTITY,
        names.ORDER_FILLED_QUANTITY,
        names.ORDER_LEAVES_QUANTITY,
        names.EXECUTION_QUANTITY,
    }
)
_NUMBER: Final = re.compile(r"\d(?:[\d_,.:]*\d)?")
_STEPS: Final = (Decimal(5), Decimal(2), Decimal(1))


def quantity_attributes(values: Mapping[str, Decimal | None], mode: Quantities) -> dict[str, str]:
    """Sizes and prices as attributes: none, sizes in 1-2-5 steps without prices, or all."""
    if mode is Quantities.OFF:
        return {}
    known = {name: value for name, value in values.items() if value is not None}
    if mode is Quantities.FULL:
        return {name: decimal_text(value) for name, value in known.items()}
    return {name: decimal_text(bucket(value)) for name, value in known.items() if name in _SIZES}


def reject_text(message: str, mode: Quantities) -> str:
    """A refusal's text with `?` for each number, unless all quantities may leave.

    Venues quote balances, prices and sizes there, in forms that no rule can tell from other numbers.
    """
    return message if mode is Quantities.FULL else _NUMBER.sub("?", message)


def bucket(value: Decimal) -> Decimal:
    """The largest of 1, 2, 5 times a power of ten that is not above the magnitude of `value`; 0 is 0."""
    if not value:
        return Decimal(0)
    unit = Decimal(1).scaleb(value.adjusted())
    step = next(step for step in _STEPS if step * unit <= abs(value))
    return (step * unit).copy_sign(value)


def account_hash(account: str, salt: bytes) -> str:
    """Twelve hex digits by which an account is recognised and not told."""
    return sys.intern(hmac.new(salt, account.encode(), hashlib.sha256).hexdigest()[:12])
