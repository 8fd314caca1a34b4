"""What many orders have in common (venue, strategy, instrument, side, type), worked out once for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from opentelemetry.trace import SpanKind

from tickspan.config import TradingSettings
from tickspan.semconv import trading as names
from tickspan.trading.model import Attributes, AttributeValue, OrderRequest
from tickspan.trading.tally import Tallies, Tally

BACKTEST: Final = "backtest"
"""The environment in which orders are counted and not told."""
OTHER_SYMBOL: Final = "_other"
"""On measurements, every instrument above the limit."""
MAX_KINDS: Final = 1_024
"""Kinds that are remembered at once; an order keeps its own."""

METRIC_KEYS: Final = (
    names.VENUE_NAME,
    names.VENUE_ENVIRONMENT,
    names.CLIENT_LIBRARY,
    names.STRATEGY_ID,
    names.ORDER_OPERATION,
    names.ORDER_TYPE,
)
"""What a measurement keeps of its order: few values each, nothing that names one order or instrument."""

_Key = tuple[str | bool | None, ...]


class OrderKind:
    """What is known of an order operation beside its ids, sizes and fate.

    The mappings are attributes: of a call's span, of an order's other spans and events, of measurements.
    """

    __slots__ = (
        "account",
        "environment",
        "instrument",
        "is_untold",
        "library",
        "measured",
        "of_call",
        "of_order",
        "operation",
        "series",
        "side",
        "span_kind",
        "span_name",
        "strategy",
        "tally",
        "type",
        "venue",
    )

    def __init__(
        self,
        request: OrderRequest,
        environment: str,
        strategy: str | None,
        account: str | None,
        account_hash: str | None,
    ) -> None:
        self.account = account
        """By which this process tells accounts apart; never exported."""
        self.venue = request.venue
        self.environment = environment
        self.library = request.library
        self.strategy = strategy
        self.instrument = request.instrument
        self.operation = request.operation
        self.side = request.side
        self.type = request.type
        self.is_untold = False
        """Orders of this kind are counted only."""
        self.span_name = f"{names.SPAN_ORDER}.{request.operation.value} {request.venue}"
        self.span_kind = SpanKind.INTERNAL if request.emulated else SpanKind.CLIENT
        self.of_order = _present(
            {
                names.VENUE_NAME: request.venue,
                names.VENUE_ENVIRONMENT: environment,
                names.CLIENT_LIBRARY: request.library,
                names.STRATEGY_ID: strategy,
                names.INSTRUMENT_SYMBOL: request.instrument,
                names.ORDER_OPERATION: request.operation.value,
                names.ORDER_SIDE: request.side,
                names.ORDER_TYPE: request.type,
            }
        )
        self.of_call = self.of_order | _present(
            {
                names.ACCOUNT_HASH: account_hash,
                names.INSTRUMENT_VENUE_SYMBOL: request.venue_symbol,
                names.INSTRUMENT_CLASS: request.instrument_class,
                names.ORDER_TYPE_RAW: request.type_raw,
                names.ORDER_TIME_IN_FORCE: request.time_in_force,
                names.ORDER_EMULATED: request.emulated or None,
            }
        )
        self.measured = {key: self.of_order[key] for key in METRIC_KEYS if key in self.of_order}
        self.tally: Tally
        self.series: dict[object, Callable[..., None]] = {}
        """Series of measurements of this kind, as they were first needed."""

    def __repr__(self) -> str:
        return f"<OrderKind {self.operation.value} {self.venue} {self.instrument} {self.side} {self.type}>"


class OrderKinds:
    """The kinds of one registry. Two threads may make one kind twice, which harms nobody."""

    def __init__(self, settings: TradingSettings, tallies: Tallies) -> None:
        self._settings = settings
        self._tallies = tallies
        self._known: dict[_Key, OrderKind] = {}
        self._symbols: set[str] = set()

    def of(
        self, request: OrderRequest, strategy: str | None, account: str | None, account_hash: str | None
    ) -> OrderKind:
        """The kind of `request`; the same object for requests that differ in ids and sizes only."""
        environment = request.environment or self._settings.environment
        key = (
            request.operation,
            request.venue,
            request.library,
            environment,
            account,
            strategy,
            request.instrument,
            request.venue_symbol,
            request.instrument_class,
            request.side,
            request.type,
            request.type_raw,
            request.time_in_force,
            request.emulated,
        )
        known = self._known.get(key)
        return known if known is not None else self._made(key, request, environment, strategy, account_hash)

    def _made(
        self,
        key: _Key,
        request: OrderRequest,
        environment: str,
        strategy: str | None,
        account_hash: str | None,
    ) -> OrderKind:
        account = key[4]
        kind = OrderKind(
            request, environment, strategy, account if isinstance(account, str) else None, account_hash
        )
        kind.is_untold = environment == BACKTEST and not self._settings.backtest_traces
        symbol = self._symbol(request.instrument)
        if symbol is not None:
            kind.measured[names.INSTRUMENT_SYMBOL] = symbol
        kind.tally = self._tallies.of(kind.of_order)
        if len(self._known) >= MAX_KINDS:
            self._known.clear()
        self._known[key] = kind
        return kind

    def _symbol(self, instrument: str | None) -> str | None:
        """The instrument as measurements tell it: the first few by name, the others as one."""
        limit = self._settings.metric_symbols
        if instrument is None or limit <= 0:
            return None
        if instrument not in self._symbols:
            if len(self._symbols) >= limit:
                return OTHER_SYMBOL
            self._symbols.add(instrument)
        return instrument


def _present(known: Mapping[str, AttributeValue | None]) -> Attributes:
    return {key: value for key, value in known.items() if value is not None}
