"""Every exchange class of ccxt: wrapped when it is first built, and afterwards as it was before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator
from tickspan_ccxt import CcxtInstrumentor
from tickspan_ccxt.patches import METHODS, camelcase

MakeVenue = Callable[..., VenueSimulator]
BASE: type = next(cls for cls in reversed(ccxt.Exchange.__mro__) if cls is not object)
FLAVOURS = (ccxt, ccxt.async_support, ccxt.pro)


def build(*names: str) -> None:
    """Each of the classes, or all, in each flavour; exchanges that never opened a session need no close."""
    for flavour in FLAVOURS:
        for name in names or flavour.exchanges:
            getattr(flavour, name)()


def classes() -> list[type]:
    """ccxt's own exchange classes."""
    found: list[type] = []
    pending: list[type] = [BASE]
    while pending:
        cls = pending.pop()
        found.append(cls)
        pending += [below for below in cls.__subclasses__() if below.__module__.startswith("ccxt.")]
    return sorted(set(found), key=repr)


def raw() -> dict[tuple[type, str], Any]:
    """Every attribute of every class, as the object that stands in its `__dict__`."""
    return {(cls, name): value for cls in classes() for name, value in vars(cls).items()}


def test_all_classes_unwrap_to_the_identical_objects(telemetry: Capture) -> None:
    build()
    before = raw()
    CcxtInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    build("binance", "kraken", "okx")
    during = raw()
    CcxtInstrumentor().uninstrument()
    after = raw()
    own = {(cls, name) for cls, name in before if name in METHODS}
    aliases = {(cls, name) for cls, name in before if name in {camelcase(method) for method in METHODS}}
    assert len(classes()) > 3 * 70
    assert [key for key in own | aliases if during[key] is before[key]] == []
    assert {key: value for key, value in before.items() if after.get(key) is not value} == {}
    assert after.keys() == before.keys()


def test_classes_first_built_while_instrumented_are_left_as_ccxt_would_have_built_them() -> None:
    program = """
import ccxt
from tickspan_ccxt import CcxtInstrumentor
CcxtInstrumentor().instrument()
class Mine(ccxt.kraken): pass
Mine()
assert hasattr(vars(Mine)["createOrder"], "__wrapped__")
CcxtInstrumentor().uninstrument()
assert vars(Mine)["createOrder"] is vars(ccxt.kraken)["create_order"]
assert vars(Mine)["safeOrder"] is ccxt.Exchange.safe_order
assert not hasattr(ccxt.kraken.create_order, "__wrapped__")
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.integration
def test_objects_built_before_the_instrumentor_was_on_are_told(
    make_venue: MakeVenue, telemetry: Capture
) -> None:
    venue = make_venue(fill_delay_s=60)
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    CcxtInstrumentor().instrument(tracer_provider=telemetry.tracer_provider)
    exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
    exchange.createOrder("BTC/USDT", "limit", "buy", 0.01, 50_000)
    CcxtInstrumentor().uninstrument()
    exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50_000)
    names = [span.name for span in telemetry.spans()]
    assert names.count("trading.order.submit binance") == 2
    assert len(venue.orders) == 3


@pytest.mark.integration
def test_one_wire_request_is_one_span_whatever_calls_whatever(told: Capture, make_venue: MakeVenue) -> None:
    venue = make_venue(fill_delay_s=60)

    class Cautious(ccxt.binance):
        def create_order(self, *args: Any, **kwargs: Any) -> Any:
            return super().create_order(*args, **kwargs)

    exchange = venue.connect.ccxt(Cautious({"enableRateLimit": False}))
    exchange.create_limit_buy_order("BTC/USDT", 0.01, 50_000)
    assert [span.name for span in told.spans()] == ["trading.order.submit binance"]


def test_an_edit_that_ccxt_makes_of_two_requests_is_one_internal_span_with_two_below(told: Capture) -> None:
    class Paper(ccxt.Exchange):
        def describe(self) -> Any:
            return self.deep_extend(super().describe(), {"id": "paper"})

        def create_order(self, symbol: Any, *args: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as it is called here
            return self.safe_order({"id": f"{args[2]}", "status": "open", "symbol": symbol})

        def cancel_order(self, order_id: Any, symbol: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as it is called here
            return self.safe_order({"id": order_id, "status": "canceled", "symbol": symbol})

    exchange = Paper()
    exchange.create_order("BTC/USDT", "limit", "buy", 1, 100)
    exchange.edit_order("1", "BTC/USDT", "limit", "buy", 2, 101)
    edit = next(span for span in told.spans() if span.name == "trading.order.replace paper")
    assert told.tree() == (
        "trading.order.submit paper\n"
        "  trading.order.replace paper\n"
        "    trading.order.cancel paper\n"
        "    trading.order.submit paper\n"
        "  trading.order.event canceled"
    )
    assert (edit.kind, edit.attributes["trading.order.emulated"]) == ("internal", True)


def test_a_batch_is_one_span_and_an_entry_per_order(told: Capture) -> None:
    class Batching(ccxt.Exchange):
        def describe(self) -> Any:
            return self.deep_extend(super().describe(), {"id": "batching"})

        def create_orders(self, orders: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as it is called here
            made = [{"id": order["params"]["clientOrderId"] + "-id", **order} for order in orders]
            return [
                self.safe_order({**order, "status": "closed", "filled": 1, "amount": 1}) for order in made
            ]

    order = {"symbol": "BTC/USDT", "type": "limit", "side": "buy", "amount": 1, "price": 2}
    Batching().create_orders([{**order, "params": {"clientOrderId": name}} for name in ("a", "b")])
    submit = told.spans()[0]
    events = [span for span in told.spans() if span.name == "trading.order.event filled"]
    assert submit.attributes["trading.order.batch_size"] == 2
    assert [span.attributes["trading.order.client_id"] for span in events] == ["a", "b"]
    assert [span.attributes["trading.order.venue_id"] for span in events] == ["a-id", "b-id"]
    assert {span.parent_id for span in events} == {submit.span_id}
