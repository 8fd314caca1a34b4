"""What a simulated venue does to its clients: steady knobs and one-shot faults, as values."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Self


class Point(enum.Enum):
    """The moment at which a fault strikes."""

    REQUEST = "the next request, REST or WebSocket API"
    ORDER = "the next order placed"
    REPORT = "the next report of a fill"
    TICK = "the next tick of the market"


class Fault(enum.Enum):
    """Something that goes wrong once (`VenueSimulator.next`), or at a rate (`Behaviour.rates`)."""

    RATE_LIMIT_429 = "rate_limit_429"
    BAN_418 = "ban_418"
    REJECT = "reject"
    ACCEPT_THEN_504 = "accept_then_504"
    ACCEPT_THEN_RESET = "accept_then_reset"
    FILL_BEFORE_ACK = "fill_before_ack"
    LATE_FILL = "late_fill"
    DUPLICATE_EVENT = "duplicate_event"
    REORDER = "reorder"
    LOST_EVENT = "lost_event"
    SEQUENCE_GAP = "sequence_gap"
    MUTE = "mute"
    DISCONNECT = "disconnect"

    @classmethod
    def _missing_(cls, value: object) -> Fault:
        known = ", ".join(fault.value for fault in cls)
        raise ValueError(f"fault: expected one of {known}; got {value!r}")

    @property
    def point(self) -> Point:
        """Where this fault strikes."""
        return _FAULTS[self][0]

    @property
    def story(self) -> str:
        """What a client lives through, in one sentence."""
        return _FAULTS[self][1]


_FAULTS: dict[Fault, tuple[Point, str]] = {
    Fault.RATE_LIMIT_429: (Point.REQUEST, "HTTP 429 with Retry-After, `rate_limit_burst` times in a row"),
    Fault.BAN_418: (Point.REQUEST, "HTTP 418: the address is banned"),
    Fault.REJECT: (Point.ORDER, "the venue refuses the order; it never exists"),
    Fault.ACCEPT_THEN_504: (Point.ORDER, "the order lives, the answer is HTTP 504, status unknown"),
    Fault.ACCEPT_THEN_RESET: (Point.ORDER, "the order lives, the connection dies instead of an answer"),
    Fault.FILL_BEFORE_ACK: (Point.ORDER, "every fill is reported before the order is acknowledged"),
    Fault.LATE_FILL: (Point.ORDER, "one fill is reported `late_fill_s` after the order's last status"),
    Fault.DUPLICATE_EVENT: (Point.REPORT, "the same execution report arrives twice"),
    Fault.REORDER: (Point.REPORT, "the report arrives after the one that follows it"),
    Fault.LOST_EVENT: (Point.REPORT, "the report never arrives"),
    Fault.SEQUENCE_GAP: (Point.TICK, "update and trade ids jump: messages were lost"),
    Fault.MUTE: (Point.TICK, "all streams stay connected and silent for `mute_s`; what they missed is lost"),
    Fault.DISCONNECT: (Point.TICK, "every WebSocket breaks without a closing handshake"),
}


@dataclass(frozen=True, slots=True)
class Market:
    """A pair that the venue trades, with the filters it holds orders to."""

    base: str
    quote: str
    start_price: Decimal

    @classmethod
    def parse(cls, text: str) -> Self:
        """`"BTC/USDT"` (a usual price is known, else 100) or `"BTC/USDT=60000"`.

        Raises ValueError for anything else.
        """
        pair, equals, price = text.partition("=")
        base, slash, quote = pair.partition("/")
        if not (slash and base.isalnum() and quote.isalnum()) or not _is_positive(price if equals else "1"):
            raise ValueError(f"symbols: expected 'BTC/USDT' or 'BTC/USDT=60000', got {text!r}")
        return cls(base, quote, Decimal(price) if price else _USUAL_PRICES.get(base, Decimal(100)))

    @property
    def id(self) -> str:
        """The venue's name of the pair: `BTCUSDT`."""
        return self.base + self.quote

    @property
    def tick_size(self) -> Decimal:
        """Smallest step of a price: cents, and finer for what costs less than one."""
        if self.start_price >= 1:
            return Decimal("0.01")
        return Decimal("0.000001") if self.start_price >= Decimal("0.01") else Decimal("0.00000001")

    @property
    def step_size(self) -> Decimal:
        """Smallest step of a quantity, worth less than the quote's unit."""
        return Decimal("0.00001") if self.start_price >= Decimal(1000) else Decimal("0.001")

    @property
    def maximum_price(self) -> Decimal:
        """The most that an order may offer."""
        return self.start_price * 1_000_000

    @property
    def maximum_quantity(self) -> Decimal:
        """The most that one order may be for."""
        return (_LARGEST_ORDER / self.start_price).quantize(self.step_size)

    @property
    def minimum_notional(self) -> Decimal:
        """The least an order may be worth, in the quote asset."""
        return Decimal(5)


_LARGEST_ORDER = Decimal(100_000_000)  # in the quote asset
_USUAL_PRICES = {"BTC": Decimal(60_000), "ETH": Decimal(3_000), "SOL": Decimal(150), "DOGE": Decimal("0.15")}


def _is_positive(text: str) -> bool:
    return _is_amount(text) and Decimal(text) > 0


def _is_amount(text: str) -> bool:
    try:
        return Decimal(text) >= 0
    except ArithmeticError:
        return False


def _knob(default: Any, story: str) -> Any:
    return field(default=default, metadata={"story": story})


def _no_rates() -> Mapping[Fault, float]:
    return {}


def _usual_balances() -> Mapping[str, str]:
    return {"USDT": "10000000", "BTC": "100", "ETH": "1000", "SOL": "10000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The steady knobs. Durations are seconds, rates chances between 0 and 1 per strike.

    Raises TypeError for an unknown knob and ValueError for a bad value; both name what is accepted.
    """

    ack_delay_s: float = _knob(0.0, "from an order's arrival to its acknowledgement")
    fill_delay_s: float = _knob(0.01, "from the acknowledgement to the first fill; negative: before it")
    fill_gap_s: float = _knob(0.005, "between two fills of one order")
    partials: tuple[float, ...] = _knob((1.0,), "shares of the quantity, one fill each; they sum to 1")
    symbols: tuple[str, ...] = _knob(
        ("BTC/USDT", "ETH/USDT", "SOL/USDT"), "what is traded, a start price after '=' if wished"
    )
    tick_interval_s: float = _knob(0.05, "between two ticks of a market; 0: only when told to tick")
    tick_burst: int = _knob(1, "ticks sent back to back per interval")
    clock_skew_s: float = _knob(0.0, "how far the venue's clock is ahead of this machine's")
    fee_rate: float = _knob(0.001, "commission as a share of what is received")
    fee_asset: str = _knob("", "asset that fees are charged in, which may be unknown to the venue's own list")
    server_assigned_ids: bool = _knob(
        default=False, story="ignore the clients' order ids and give out own ones"
    )
    late_fill_s: float = _knob(0.05, "how long after an order's last status a late fill is reported")
    mute_s: float = _knob(2.0, "how long a mute lasts")
    rate_limit_burst: int = _knob(1, "requests in a row that a rate limit turns away")
    weight_limit_1m: int = _knob(6_000, "request weight per minute before HTTP 429")
    order_limit_10s: int = _knob(100, "orders per ten seconds before HTTP 429")
    order_limit_1d: int = _knob(200_000, "orders per day before HTTP 429")
    rates: Mapping[Fault, float] = field(
        default_factory=_no_rates, metadata={"story": "chance of each fault, per strike"}
    )
    balances: Mapping[str, str] = field(
        default_factory=_usual_balances, metadata={"story": "what the account owns at the start"}
    )

    def __new__(cls, **knobs: object) -> Self:
        """Name all knobs when one is unknown: a misspelt fault injection must not pass as none."""
        known = [knob.name for knob in fields(cls)]
        unknown = sorted(knobs.keys() - known)
        if unknown:
            raise TypeError(f"Behaviour: expected knobs of {', '.join(known)}; got {', '.join(unknown)}")
        return object.__new__(cls)

    def __post_init__(self) -> None:
        _require(_sums_to_one(self.partials), self, "partials", "shares above 0 that sum to 1")
        _require(bool(self.symbols), self, "symbols", "at least one, such as 'BTC/USDT'")
        for name in _NOT_NEGATIVE:
            _require(getattr(self, name) >= 0, self, name, "0 or more")
        for name in _COUNTS:
            _require(getattr(self, name) >= 1, self, name, "a whole number, 1 or more")
        _require(all(0 <= rate <= 1 for rate in self.rates.values()), self, "rates", "chances from 0 to 1")
        _require(all(map(_is_amount, self.balances.values())), self, "balances", "amounts, 0 or more")
        self.markets()

    def markets(self) -> tuple[Market, ...]:
        """The markets of `symbols`, in that order."""
        return tuple(Market.parse(symbol) for symbol in self.symbols)


_NOT_NEGATIVE = ("ack_delay_s", "fill_gap_s", "tick_interval_s", "late_fill_s", "mute_s", "fee_rate")
_COUNTS = ("tick_burst", "rate_limit_burst", "weight_limit_1m", "order_limit_10s", "order_limit_1d")
_ROUNDING = 1e-9


def _sums_to_one(shares: tuple[float, ...]) -> bool:
    return all(share > 0 for share in shares) and abs(sum(shares) - 1) < _ROUNDING


def _require(holds: bool, behaviour: Behaviour, name: str, expected: str) -> None:
    if not holds:
        raise ValueError(f"Behaviour.{name}: expected {expected}; got {getattr(behaviour, name)!r}")
