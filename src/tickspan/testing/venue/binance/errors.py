"""Binance's error form: code, message and HTTP status of everything that the venue refuses."""

from __future__ import annotations

from collections.abc import Mapping

from tickspan.testing.venue.orders import Reason


class BinanceError(Exception):
    """An answer that is no success. `status` is HTTP's, also in the WebSocket API."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: object = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.data = data

    def body(self) -> dict[str, object]:
        """`{"code": -2010, "msg": "..."}`, with `data` where a partial failure has some."""
        body: dict[str, object] = {"code": self.code, "msg": self.message}
        return body if self.data is None else {**body, "data": self.data}


class ConnectionBrokenError(Exception):
    """There is no answer: the connection has to be cut."""


_REFUSALS = {
    Reason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Reason.PRICE_FILTER: (-1013, "Filter failure: PRICE_FILTER"),
    Reason.LOT_SIZE: (-1013, "Filter failure: LOT_SIZE"),
    Reason.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    Reason.FUNDS: (-2010, "Account has insufficient balance for requested action."),
    Reason.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    Reason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Reason.UNKNOWN_ORDER: (-2013, "Order does not exist."),
    Reason.NOT_OPEN: (-2011, "Unknown order sent."),
    Reason.SCRIPTED: (-2010, "New order rejected."),
}


def refusal(reason: Reason) -> BinanceError:
    """What Binance says for `reason`."""
    return BinanceError(400, *_REFUSALS[reason])


def missing(name: str) -> BinanceError:
    """A mandatory parameter is not there, or cannot be read."""
    message = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return BinanceError(400, -1102, message)


def illegal(name: str) -> BinanceError:
    """A parameter has characters it may not have."""
    return BinanceError(400, -1100, f"Illegal characters found in parameter '{name}'.")


def too_much_weight(limit: int, retry_after_s: int) -> BinanceError:
    """The weight budget is used up."""
    message = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return BinanceError(429, -1003, message, headers={"Retry-After": str(retry_after_s)})


def too_many_orders(limit: int, interval: str, retry_after_s: int) -> BinanceError:
    """The order budget is used up."""
    message = f"Too many new orders; current limit is {limit} orders per {interval}."
    return BinanceError(429, -1015, message, headers={"Retry-After": str(retry_after_s)})


def banned(until_ms: int, retry_after_s: int) -> BinanceError:
    """The address sent too much after it had been told to stop."""
    message = (
        f"Way too much request weight used; IP banned until {until_ms}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )
    return BinanceError(418, -1003, message, headers={"Retry-After": str(retry_after_s)})


UNKNOWN_OUTCOME = (
    504,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
)
UNSUPPORTED = (-1020, "This operation is not supported.")
