"""What the comparison with stock OpenTelemetry counts."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from tickspan.received import ReceivedSpan, ReceivedStatus, Value
from tickspan.testing.venue import Execution, Request, Side, Status, Truth, VenueOrder

FILE = Path(__file__).parents[3] / "benchmarks" / "baseline" / "measure.py"

ORDER = VenueOrder(
    order_id=1,
    client_id="x-1",
    symbol="BTCUSDT",
    side=Side.BUY,
    type="MARKET",
    time_in_force="GTC",
    quantity=Decimal(1),
    quote_quantity=Decimal(0),
    price=Decimal(0),
    filled_quantity=Decimal(1),
    filled_quote=Decimal(100),
    status=Status.FILLED,
    created_ms=0,
    updated_ms=0,
    via="rest",
    replaces=None,
    working_price=Decimal(100),
    is_maker=False,
)
ORDER_2 = replace(ORDER, order_id=2, client_id="y-2")
FILL = Execution(
    execution_id=70,
    order_id=1,
    client_id="x-1",
    symbol="BTCUSDT",
    side=Side.BUY,
    quantity=Decimal(1),
    price=Decimal(100),
    fee=Decimal(0),
    fee_asset="BTC",
    is_maker=False,
    time_ms=0,
)
REQUEST = Request("GET", "/api", "signature=c0ffee00&timestamp=1", (), "", 0)
TRUTH = Truth((ORDER,), (FILL,), (REQUEST,), (), 0)
TICK = "trading.feed.message"


@pytest.fixture(scope="module")
def measure() -> Any:
    """The module, which stands beside the script that uses it and belongs to no package."""
    spec = importlib.util.spec_from_file_location("baseline_measure", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def span(trace: str, name: str, attributes: Mapping[str, Value] | None = None) -> ReceivedSpan:
    return ReceivedSpan(
        name, SpanKind.CLIENT, trace, "s", None, 0, 1, attributes or {}, (), (), ReceivedStatus(), "", {}
    )


def joined(measure: Any, *spans: ReceivedSpan) -> tuple[int, int, int]:
    outcome = measure.measure(measure.Evidence(TRUTH, spans, (), ("key", "s3cret"), ""))
    return outcome.orders_found, outcome.orders_joined, outcome.executions_joined


def test_an_order_in_one_trace_with_its_tick_and_its_fills_is_joined(measure: Any):
    spans = span("a", TICK), span("a", "submit", {"id": "x-1"}), span("a", "event", {"fill": "70"})
    assert joined(measure, *spans) == (1, 1, 1)


def test_an_order_without_its_tick_is_found_but_not_joined(measure: Any):
    assert joined(measure, span("a", "submit", {"id": "x-1"}), span("a", "event", {"fill": "70"})) == (
        1,
        0,
        1,
    )


def test_an_order_whose_fill_is_elsewhere_is_not_joined(measure: Any):
    spans = span("a", TICK), span("a", "submit", {"id": "x-1"}), span("b", "event", {"fill": "70"})
    assert joined(measure, *spans) == (1, 0, 0)


def test_an_order_in_two_traces_is_not_joined(measure: Any):
    spans = (
        span("a", TICK),
        span("a", "submit", {"id": "x-1"}),
        span("b", "event", {"id": "x-1", "fill": "70"}),
    )
    assert joined(measure, *spans) == (1, 0, 1)


def test_one_giant_trace_joins_nothing(measure: Any):
    truth = Truth((ORDER, ORDER_2), (), (), (), 0)
    spans = span("a", TICK), span("a", "submit", {"id": "x-1"}), span("a", "submit", {"id": "y-2"})
    outcome = measure.measure(measure.Evidence(truth, spans, (), ("key", "s3cret"), ""))
    assert (outcome.orders_found, outcome.orders_joined) == (2, 0)


def test_secrets_are_found_as_they_are_and_encoded(measure: Any):
    bodies = (b"...c0ffee00...", b"..." + b"s3cret".hex().encode())
    outcome = measure.measure(measure.Evidence(TRUTH, (), bodies, ("key", "s3cret"), ""))
    assert (outcome.secrets_sent, outcome.secrets_found) == (3, 2)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT a FROM t WHERE b = ?", False),
        ("SELECT a FROM t2 WHERE b = $1", False),
        ("SELECT a FROM t WHERE b = 'x'", True),
        ("SELECT a FROM t LIMIT 10", True),
        ("CREATE TABLE t (a VARCHAR(20))", False),
    ],
)
def test_a_literal_is_a_quoted_string_or_a_number_of_a_statement_about_data(
    measure: Any, statement: str, expected: bool
):
    assert measure.has_literal(statement) is expected


def test_both_spellings_of_a_statement_and_of_a_submission_count(measure: Any):
    spans = (
        span("a", "SELECT", {"db.system": "sqlite", "db.statement": "SELECT 1"}),
        span("a", "SELECT", {"db.system.name": "sqlite", "db.query.text": "SELECT ?"}),
        span("a", "GET", {"db.system": "redis", "db.statement": "GET ?"}),
        span("a", "POST", {"http.method": "POST", "http.url": "http://venue/api/v3/order"}),
        span("a", "trading.order.submit binance"),
    )
    outcome = measure.measure(measure.Evidence(TRUTH, spans, (), ("key", "s3cret"), "one line\n"))
    assert (
        outcome.statements,
        outcome.statements_with_literals,
        outcome.redis_calls,
        outcome.submissions,
        outcome.errors_on_stderr,
    ) == (2, 1, 1, 2, 1)
