"""Alpaca's error form: HTTP status, code and message of everything that the venue refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tickspan.testing.venue.orders import Reason


class AlpacaError(Exception):
    """An answer that is no success, in JSON."""

    def __init__(
        self, status: int, code: int, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """`{"code": 40310000, "message": "insufficient buying power"}`."""
        return {"code": self.code, "message": self.message}


class GatewayError(Exception):
    """What stands before the venue answers in its place: a page, no JSON, and no header of the venue's."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.page = (
            f"<html>\n<head><title>{status} {title}</title></head>\n"
            f"<body><center><h1>{status} {title}</h1></center></body>\n</html>\n"
        )


class ConnectionBrokenError(Exception):
    """There is no answer: the connection has to be cut."""


_REFUSALS: Final[Mapping[Reason, tuple[int, int, str]]] = {
    Reason.UNKNOWN_SYMBOL: (422, 42210000, "asset not found"),
    Reason.PRICE_FILTER: (
        422,
        42210000,
        "invalid limit_price: sub-penny increment does not fulfill minimum pricing criteria",
    ),
    Reason.LOT_SIZE: (422, 42210000, "invalid qty: must fit the asset's min_trade_increment"),
    Reason.NOTIONAL: (403, 40310000, "cost basis must be >= minimal amount of order 5"),
    Reason.FUNDS: (403, 40310000, "insufficient buying power"),
    Reason.DUPLICATE_ID: (422, 40010001, "client_order_id must be unique"),
    Reason.WOULD_TAKE: (422, 42210000, "order would take liquidity"),
    Reason.UNKNOWN_ORDER: (404, 40410000, "order not found"),
    Reason.NOT_OPEN: (422, 42210000, "order is not cancelable"),
    Reason.SCRIPTED: (403, 40310000, "new orders are rejected by user request"),
}


def refusal(reason: Reason) -> AlpacaError:
    """What Alpaca says for `reason`."""
    return AlpacaError(*_REFUSALS[reason])


def not_open(status: str) -> AlpacaError:
    """The order has ended before."""
    return AlpacaError(422, 42210000, f'order is already in "{status}" state')


def too_little(requested: str, available: str) -> AlpacaError:
    """There is less to sell than was asked."""
    message = f"insufficient qty available for order (requested: {requested}, available: {available})"
    return AlpacaError(403, 40310000, message)


def invalid(name: str, value: object) -> AlpacaError:
    """A field that cannot be read, or whose value the venue does not know."""
    return AlpacaError(422, 40010001, f"invalid {name}: {value}")


def missing(name: str) -> AlpacaError:
    """A field that has to be there."""
    return AlpacaError(422, 40010001, f"{name} is required")


def not_found(what: str, name: str) -> AlpacaError:
    """Nothing is called that."""
    return AlpacaError(404, 40410000, f"{what} not found for {name}")


def too_many_requests(retry_after_s: int) -> AlpacaError:
    """The budget of the minute is used up."""
    return AlpacaError(429, 42910000, "rate limit exceeded", headers={"Retry-After": str(retry_after_s)})


UNAUTHORIZED: Final = (401, 40110000, "request is not authorized")
NO_SUCH_ENDPOINT: Final = (404, 40410000, "endpoint not found")
