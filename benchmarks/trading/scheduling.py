"""Turns of the schedules, each in a child of the nursery: a client, a venue, a seed, and what was told."""

from __future__ import annotations

import importlib
import logging
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any, Final

from benchmarks.trading.families.family import KNOBS, Family
from tickspan.received import ReceivedSpan
from tickspan.semconv import trading as names
from tickspan.testing.capture import Capture, capture
from tickspan.testing.reconciliation import reconcile, traces_of, traces_of_orders
from tickspan.testing.venue import Behaviour, Truth, VenueSimulator

FAMILIES: Final[Mapping[str, str]] = {
    "ccxt.pro, REST": "ccxt_pro:REST",
    "ccxt.pro, WebSocket": "ccxt_pro:WEBSOCKET",
    "python-binance, REST": "python_binance:REST",
    "python-binance, WebSocket": "python_binance:WEBSOCKET",
    "python-binance, futures": "python_binance:FUTURES",
    "alpaca-py": "alpaca_py:ALPACA",
    "QuickFIX": "fix:QUICKFIX",
    "simplefix": "fix:SIMPLEFIX",
    "ib_async": "ib:IB_ASYNC",
    "ib_insync": "ib:IB_INSYNC",
}
_SETTINGS: Final[Mapping[str, Any]] = {
    "lifecycle_delay_s": 3600,
    "waiting_s": 3600,
    "ack_deadline_s": 3600,
    "environment": "simulated",
    "quantities": "full",
}
_LIFE: Final = "trading.order.lifecycle"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A schedule: what the venue did, and how it was told."""

    seed: int
    orders: int
    executions: int
    matched: int
    """Executions told in the one trace of their own order."""
    told: int
    """Executions told, wherever, however often."""
    unmatched: int
    """Reports of which nobody knew the order."""
    totals_wrong: int
    """Orders whose life ends with another filled quantity than the venue's."""
    fills_counted: float
    """What the counter of fills says."""
    orders_in_one_trace: int
    own_errors: int
    """Exceptions of ours that a guard has swallowed."""
    faults: Mapping[str, int]
    """How often each struck."""

    @property
    def shortfalls(self) -> list[str]:
        """What must not be, in words."""
        claims = {
            "executions are in their order's trace": (self.matched, self.executions),
            "executions are told": (self.told, self.executions),
            "orders are in one trace": (self.orders_in_one_trace, self.orders),
            "fills are counted": (self.fills_counted, self.executions),
            "reports are of no order": (self.unmatched, 0),
            "orders end with a wrong quantity": (self.totals_wrong, 0),
            "exceptions of ours": (self.own_errors, 0),
        }
        return [
            f"{found:g} {words}, not {true:g}" for words, (found, true) in claims.items() if found != true
        ]


def play(family: str, seeds: list[int]) -> list[dict[str, Any]]:
    """Each seed's schedule in turn: the verdict on it, or why there is none (`failed`)."""
    logging.disable(logging.CRITICAL)  # libraries tell of every fault
    module, _, name = FAMILIES[family].partition(":")
    chosen = getattr(importlib.import_module(f"benchmarks.trading.families.{module}"), name)
    return [_verdict(chosen, seed) for seed in seeds]


def _verdict(family: Family, seed: int) -> dict[str, Any]:
    try:
        return asdict(_played(family, seed))
    except Exception as error:  # noqa: BLE001 - a schedule's top: the other seeds go on
        traceback.print_exc()
        return {"seed": seed, "failed": f"{type(error).__name__}: {error}"}


def _played(family: Family, seed: int) -> Verdict:
    from tickspan import trading

    knobs: dict[str, Any] = {**KNOBS, **family.knobs, "rates": family.rates}
    behaviour = Behaviour(**knobs)
    instrumentor = _instrumentor(family)
    venue = VenueSimulator(dialect=family.dialect, seed=seed, behaviour=behaviour)
    struck = _struck(venue)
    with capture(is_strict=False) as told, venue:
        instrumentor.instrument(
            tracer_provider=told.tracer_provider,
            meter_provider=told.meter_provider,
            logger_provider=told.logger_provider,
            settings={**_SETTINGS, **family.settings},
            skip_dep_check=True,
        )
        try:
            family.play(venue, told, seed)
        finally:
            trading.shutdown()
            own_errors = sum(hook.errors for hook in instrumentor.statistics())
            instrumentor.uninstrument()
        return judged(
            seed,
            venue.truth(),
            _plain(family, told),
            _fills(told),
            struck,
            own_errors=own_errors,
            adds_up=family.adds_up,
        )


def judged(
    seed: int,
    truth: Truth,
    spans: list[ReceivedSpan],
    fills: float,
    faults: Mapping[str, int],
    *,
    own_errors: int = 0,
    adds_up: bool = False,
) -> Verdict:
    """What was told, held against what the venue knows; `adds_up` as in `Family`."""
    found = reconcile(truth, spans)
    return Verdict(
        seed=seed,
        orders=found.orders,
        executions=found.executions,
        matched=found.executions_in_their_orders_trace,
        told=sum(names.EXECUTION_ID in span.attributes for span in spans),
        unmatched=sum(span.attributes.get(names.ORDER_MATCHED) is False for span in spans),
        totals_wrong=(_chains_wrong if adds_up else _totals_wrong)(truth, spans),
        fills_counted=fills,
        orders_in_one_trace=found.orders_in_one_trace,
        own_errors=own_errors,
        faults=dict(faults),
    )


def _totals_wrong(truth: Truth, spans: list[ReceivedSpan]) -> int:
    """Orders without a life, with more than one, or with one that says another quantity than the venue."""
    lives = [span for span in spans if span.name == _LIFE]
    by_client = _by(lives, names.ORDER_CLIENT_ID)
    by_venue = _by(lives, names.ORDER_VENUE_ID)
    wrong = 0
    for order in truth.orders:
        own = by_client.get(order.client_id) or by_venue.get(str(order.order_id)) or []
        wrong += [_filled(life) for life in own] != [order.filled_quantity]
    return wrong


def _chains_wrong(truth: Truth, spans: list[ReceivedSpan]) -> int:
    """Chains of replacements, a trace each, whose last life says another quantity than all of them filled."""
    traces = traces_of_orders(spans)
    filled: dict[str, Decimal] = {}
    for order in truth.orders:
        for trace_id in traces_of(order, traces):
            filled[trace_id] = filled.get(trace_id, Decimal(0)) + order.filled_quantity
    lives: dict[str, list[Decimal]] = {}
    for span in spans:
        if span.name == _LIFE:
            lives.setdefault(span.trace_id, []).append(_filled(span))
    return sum(max(lives.get(trace_id, []), default=None) != total for trace_id, total in filled.items())


def _filled(life: ReceivedSpan) -> Decimal:
    return Decimal(str(life.attributes.get(names.ORDER_FILLED_QUANTITY, "0")))


def _by(spans: list[ReceivedSpan], key: str) -> dict[str, list[ReceivedSpan]]:
    found: dict[str, list[ReceivedSpan]] = {}
    for span in spans:
        if key in span.attributes:
            found.setdefault(str(span.attributes[key]), []).append(span)
    return found


def _plain(family: Family, told: Capture) -> list[ReceivedSpan]:
    """The spans, with the venue's own numbers of executions."""
    return [
        replace(
            span,
            attributes={
                **span.attributes,
                names.EXECUTION_ID: family.execution_number(str(span.attributes[names.EXECUTION_ID])),
            },
        )
        if names.EXECUTION_ID in span.attributes
        else span
        for span in told.sink.telemetry().spans
    ]


def _fills(told: Capture) -> float:
    return sum(point.value for point in told.points(names.METRIC_ORDER_FILLS))


def _instrumentor(family: Family) -> Any:
    module, _, name = family.instrumentor.partition(":")
    return getattr(importlib.import_module(module), name)()


def _struck(venue: VenueSimulator) -> Counter[str]:
    """Counts the faults of a venue as they strike."""
    script, struck = venue._exchange.script, Counter[str]()  # noqa: SLF001 - it tells nobody
    strike = script.strike

    def counting(point: Any) -> Any:
        fault = strike(point)
        if fault is not None:
            struck[fault.value] += 1
        return fault

    script.strike = counting  # pyright: ignore[reportAttributeAccessIssue]
    return struck
