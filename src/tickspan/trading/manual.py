"""What a program may say itself: its decisions, checks and strategies, and orders at venues without a member.

`decision`, `risk_check` and `transaction` are context managers (`with`, `async with`) and decorators of plain
and coroutine functions. Wrong use fails where it is written; what happens at run time never raises.
"""

from __future__ import annotations

import functools
import inspect
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import Token
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from opentelemetry import _logs, metrics, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from tickspan.instrumentation import type_name
from tickspan.instrumentation.causes import cause_of_root
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.recording import clean_attributes
from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading.calls import OrderCall, open_call
from tickspan.trading.events import WARN, Events
from tickspan.trading.model import Attributes, OrderRequest
from tickspan.trading.moments import Clock
from tickspan.trading.registry import Orders
from tickspan.trading.scope import OpenDecision, current_strategy, next_annotations, open_decision
from tickspan.trading.tally import PLACE_KEYS
from tickspan.trading.ticks import current_tick
from tickspan.trading.transactions import trace_id_of

_SCOPE: Final = "tickspan.trading"
_BASIS_POINTS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)

F = TypeVar("F", bound=Callable[..., Any])


class _Section:
    """Something with a beginning and an end, in each of the ways Python can write that."""

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, traceback
        self._end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: F) -> F:
        """`function` with this section around each call."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                with self._again() as section:
                    return section.seen(await function(*args, **kwargs))

            return call_async  # pyright: ignore[reportReturnType] - the same signature, by `wraps`

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._again() as section:
                return section.seen(function(*args, **kwargs))

        return call  # pyright: ignore[reportReturnType] - the same signature, by `wraps`

    def _again(self) -> Self:
        """A section like this one, for one more call."""
        raise NotImplementedError

    def _begin(self) -> None:
        raise NotImplementedError

    def _end(self, error: BaseException | None) -> None:
        raise NotImplementedError

    def seen(self, result: Any) -> Any:
        """Look at what the decorated function returned, and hand it on."""
        return result


class _SpanSection(_Section):
    """A section that is a span, current while it lasts."""

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self._name = name
        self._attributes = attributes
        self._token: Token[Context] | None = None
        self._span: Span = trace.INVALID_SPAN

    @property
    def trace_id(self) -> str:
        """Of its trace, 32 hexadecimal digits; zeros without telemetry, and before it has begun."""
        return trace_id_of(self._span)

    def _begin(self) -> None:
        tracer = trace.get_tracer(_SCOPE)
        # Without a span above it, what is done for a tick belongs to the tick's trace, as its orders do.
        self._span = tracer.start_span(
            self._name, cause_of_root(), kind=SpanKind.INTERNAL, attributes=self._attributes
        )
        self._token = otel_context.attach(trace.set_span_in_context(self._span))

    def _end(self, error: BaseException | None) -> None:
        if self._token is not None:
            otel_context.detach(self._token)
            self._token = None
        if error is not None:
            self._fail(error)
        self._span.end()

    def _fail(self, error: BaseException) -> None:
        """Type only: an exception's text may hold anything."""
        self._span.set_attribute(ERROR_TYPE, type_name(error))
        self._span.set_status(Status(StatusCode.ERROR))


class transaction(_SpanSection):  # noqa: N801 - used like a function
    """A unit of work under a name of the program's own: `with transaction("rebalance", book="eu"):`."""

    def __init__(self, name: str, **attributes: Any) -> None:
        _check_name("transaction", name)
        super().__init__(name, clean_attributes(attributes))
        self._given = attributes

    def _again(self) -> transaction:  # pyright: ignore[reportIncompatibleMethodOverride] - Self of a leaf class
        return transaction(self._name, **self._given)


class risk_check(_SpanSection):  # noqa: N801 - used like a function
    """A check before an order: `False`, `.reject()` or an exception in `reject_on` is a reject, no error.

    An order that fails unsent because of a check inside its call is refused by it: origin `client_risk`.
    """

    def __init__(self, name: str, *, reject_on: tuple[type[Exception], ...] = ()) -> None:
        _check_name("risk_check", name)
        super().__init__(f"{names.SPAN_RISK_CHECK} {name}", {names.RISK_CHECK_NAME: name})
        self._check = name
        self._reject_on = reject_on
        self._is_rejected = False
        self._started_ns = 0

    def reject(self) -> None:
        """The check says no."""
        self._is_rejected = True

    def _again(self) -> risk_check:  # pyright: ignore[reportIncompatibleMethodOverride] - Self of a leaf class
        return risk_check(self._check, reject_on=self._reject_on)

    def seen(self, result: Any) -> Any:
        """A check that returned `False` has rejected."""
        self._is_rejected = self._is_rejected or result is False
        return result

    def _begin(self) -> None:
        self._started_ns = time.monotonic_ns()
        super()._begin()

    def _end(self, error: BaseException | None) -> None:
        if error is not None and isinstance(error, self._reject_on):
            self._is_rejected, error = True, None
        outcome = "error" if error is not None else "reject" if self._is_rejected else "pass"
        self._span.set_attribute(names.RISK_CHECK_OUTCOME, outcome)
        super()._end(error)
        known: Attributes = {names.RISK_CHECK_NAME: self._check, names.RISK_CHECK_OUTCOME: outcome}
        strategy_id = current_strategy.get()
        if strategy_id is not None:
            known[names.STRATEGY_ID] = strategy_id
        _check_duration().record((time.monotonic_ns() - self._started_ns) / 1e9, known)
        call = open_call()
        if self._is_rejected and call is not None:
            call.refused_by = self._check


class decision(_Section):  # noqa: N801 - used like a function
    """The strategy's part before an order; a span only when an order follows inside it, or with `keep`."""

    def __init__(self, name: str = "decision", *, strategy: str | None = None, keep: bool = False) -> None:
        _check_name("decision", name)
        self._name = name
        self._strategy = strategy
        self._keep = keep
        self._span: transaction | None = None
        self._decision_token: Token[OpenDecision | None] | None = None
        self._strategy_token: Token[str | None] | None = None

    def _again(self) -> decision:  # pyright: ignore[reportIncompatibleMethodOverride] - Self of a leaf class
        return decision(self._name, strategy=self._strategy, keep=self._keep)

    def _begin(self) -> None:
        if self._strategy is not None:
            self._strategy_token = current_strategy.set(self._strategy)
        if self._keep:
            known = {names.STRATEGY_ID: self._strategy} if self._strategy is not None else {}
            self._span = transaction(self._name, **known)
            self._span.__enter__()
        else:
            self._decision_token = open_decision.set(OpenDecision(self._name, Clock().monotonic_ns()))

    def _end(self, error: BaseException | None) -> None:
        if self._span is not None:
            self._span.__exit__(type(error) if error is not None else None, error, None)
        if self._decision_token is not None:
            open_decision.reset(self._decision_token)
        if self._strategy_token is not None:
            current_strategy.reset(self._strategy_token)


class strategy:  # noqa: N801 - used like a function
    """Orders from here on in this context are this strategy's; as `with strategy("mm-1"):` until its end."""

    def __init__(self, id: str) -> None:  # noqa: A002 - the word users know
        _check_name("strategy", id)
        self._token = current_strategy.set(id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        current_strategy.reset(self._token)


def annotate_order(**attributes: Any) -> None:
    """Say something of an order under names of the program's own: `annotate_order(signal="breakout")`.

    Inside an order call it stands on the call's span, before one on the next order's of this context.

    Raises:
        TypeError: nothing is said.
    """
    if not attributes:
        raise TypeError("annotate_order: needs at least one attribute, got none")
    # A setting alone decides about sizes and prices.
    given = {key: value for key, value in attributes.items() if key not in names.QUANTITY_ATTRIBUTES}
    known: Mapping[str, Any] = clean_attributes(given)
    call = open_call()
    if call is not None:
        call.annotate(known)
    else:
        next_annotations.set({**(next_annotations.get() or {}), **known})


def kill_switch(reason: str) -> None:
    """The program has stopped trading: an event in the current trace."""
    _check_text("kill_switch", "reason", reason)
    known: Attributes = {names.KILL_SWITCH_REASON: reason}
    strategy_id = current_strategy.get()
    if strategy_id is not None:
        known[names.STRATEGY_ID] = strategy_id
    body = f"Trading is stopped: {reason}"
    _events().emit(names.EVENT_KILL_SWITCH, WARN, known, body=body, context=otel_context.get_current())


def record_slippage(bps: float, *, benchmark: str) -> None:
    """How much worse than `benchmark` a fill was, in basis points; negative is better.

    Histograms take no negative values: the distance is measured, under the direction that it has.

    It counts for the venue of the open order call, else of the tick at hand. What is no finite number is left
    out.
    """
    _check_text("record_slippage", "benchmark", benchmark)
    if not _is_finite(bps):
        return
    call, tick = open_call(), current_tick()
    known: Attributes = {
        names.SLIPPAGE_BENCHMARK: benchmark,
        names.SLIPPAGE_DIRECTION: "favorable" if bps < 0 else "adverse",
    }
    if call is not None:
        known |= {key: call.kind.of_order[key] for key in PLACE_KEYS if key in call.kind.of_order}
    else:
        strategy_id = current_strategy.get()
        known |= {names.VENUE_NAME: tick.venue} if tick is not None else {}
        known |= {names.STRATEGY_ID: strategy_id} if strategy_id is not None else {}
    _slippage().record(abs(float(bps)), known)


@contextmanager
def order_span(request: OrderRequest) -> Generator[OrderCall]:
    """An order operation at a venue that has no member: what happens inside it is the call.

    Say what is known with `OrderCall.mark`, `.enrich` and `.acknowledge`; without an answer the order counts
    as acknowledged when the block ends. An exception fails it (its fate is unknown once `Point.SENT` is
    marked) and goes on. Reports that come later go to `own_orders().observe`.
    """
    call = own_orders().begin(request)
    call.resume()
    try:
        yield call
    except BaseException as error:
        call.fail_with(error)
        raise
    call.acknowledge()


@functools.cache
def own_orders() -> Orders:
    """The registry of orders that the program tells of itself; it uses the global providers."""
    return Orders(
        trace.get_tracer(_SCOPE), metrics.get_meter(_SCOPE), logger=_logs.get_logger(_SCOPE), name="own"
    )


@functools.cache
def _events() -> Events:
    return Events(_logs.get_logger(_SCOPE), Clock())


@functools.cache
def _check_duration() -> Histogram:
    return metrics.get_meter(_SCOPE).create_histogram(
        names.METRIC_RISK_CHECK_DURATION,
        unit="s",
        description="How long a check before an order took",
        explicit_bucket_boundaries_advisory=SECONDS_FROM_10_US,
    )


@functools.cache
def _slippage() -> Histogram:
    return metrics.get_meter(_SCOPE).create_histogram(
        names.METRIC_SLIPPAGE,
        unit="{basis_point}",
        description="How far the fill was from a benchmark",
        explicit_bucket_boundaries_advisory=_BASIS_POINTS,
    )


def forget_providers() -> None:
    """Ask the global providers again when something is told next: for tests that replace them."""
    for kept in (own_orders, _events, _check_duration, _slippage):
        kept.cache_clear()


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_name(what: str, name: object) -> None:
    _check_text(what, "name", name)


def _check_text(what: str, argument: str, text: object) -> None:
    if not isinstance(text, str) or not text:
        raise TypeError(f"{what}: {argument} must be a non-empty str, got {text!r}")
