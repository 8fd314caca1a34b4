"""The parameters of one request: read by name and type, with Binance's error for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from tickspan.testing.venue.binance.errors import BinanceError, illegal, missing

_MOST_DIGITS = 20  # before or after the point; what is longer is no amount of anything


class Parameters:
    """Text by name. Reading raises BinanceError where Binance would refuse."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def text(self, name: str, default: str = "") -> str:
        """The value, or `default` if it was not sent."""
        return self.values.get(name, default)

    def required(self, name: str) -> str:
        """The value; -1102 if it was not sent."""
        value = self.values.get(name, "")
        if not value:
            raise missing(name)
        return value

    def choice(self, name: str, choices: tuple[str, ...], refused: BinanceError) -> str:
        """One of `choices`; `refused` for another value, -1102 for none."""
        value = self.required(name)
        if value not in choices:
            raise refused
        return value

    def whole(self, name: str) -> int | None:
        """A whole number, or None; -1100 for anything else."""
        value = self.values.get(name, "")
        if not value:
            return None
        if not value.removeprefix("-").isdecimal():
            raise illegal(name)
        return int(value)

    def decimal(self, name: str) -> Decimal | None:
        """An exact number, or None; -1100 for anything else."""
        value = self.values.get(name, "")
        if not value:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise illegal(name) from None
        if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
            raise illegal(name)
        return number
