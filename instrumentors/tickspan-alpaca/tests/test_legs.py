"""Orders that bring others with them: one request, an entry for each, and every report in the one trace.

The simulated venue has no such orders: the answer is the documented one, from a server of the test's own.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from tickspan import trading
from tickspan.testing.capture import Capture

pytestmark = pytest.mark.integration


def order(name: str, kind: str, side: str, status: str, **more: Any) -> dict[str, Any]:
    at = "2026-03-16T18:38:01.942282123Z"
    return {
        "id": f"61e69015-8549-4bfd-b9c3-{name.encode().hex():0>12}",
        "client_order_id": f"the venue's name of {name}",
        "created_at": at,
        "updated_at": at,
        "submitted_at": at,
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "asset_class": "us_equity",
        "symbol": "AAPL",
        "qty": "2",
        "filled_qty": "0",
        "order_class": "bracket",
        "order_type": kind,
        "type": kind,
        "side": side,
        "time_in_force": "day",
        "status": status,
        "extended_hours": False,
        "legs": None,
        **more,
    }


LEGS = [order("profit", "limit", "sell", "held"), order("loss", "stop", "sell", "held")]
BRACKET = order("entry", "market", "buy", "pending_new", legs=LEGS)


def update(event: str, of: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A trade update that is the end of an order."""
    ended = {**of, "status": "filled" if event == "fill" else event, **more}
    fill = {"execution_id": f"execution of {of['client_order_id']}", "qty": "2", "price": "190"}
    data = {
        "event": event,
        "order": ended,
        "timestamp": of["created_at"],
        **(fill if event == "fill" else {}),
    }
    return {"stream": "trade_updates", "data": data}


class _Venue(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps(BRACKET).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it has there
        pass


@pytest.fixture
def url() -> Generator[str]:
    """A server that answers every POST with the bracket."""
    server = HTTPServer(("127.0.0.1", 0), _Venue)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_leg_of_a_bracket_is_an_order_of_the_one_call(told: Capture, url: str) -> None:
    from alpaca.trading.client import TradingClient
    from alpaca.trading.requests import MarketOrderRequest
    from alpaca.trading.stream import TradingStream

    client: Any = TradingClient("key", "secret", url_override=url)
    stream: Any = TradingStream("key", "secret", raw_data=True)
    request: Any = {
        "symbol": "AAPL",
        "qty": 2,
        "side": "buy",
        "time_in_force": "day",
        "order_class": "bracket",
        "take_profit": {"limit_price": 200},
        "stop_loss": {"stop_price": 180},
    }
    client.submit_order(MarketOrderRequest(**request))
    client._session.close()
    for message in (
        update("fill", BRACKET, filled_qty="2", filled_avg_price="190"),
        update("fill", LEGS[0], filled_qty="2", filled_avg_price="200"),
        update("canceled", LEGS[1]),
    ):
        asyncio.run(stream._dispatch(message))
    trading.shutdown()
    submit = told.spans()[0]
    lives = [span for span in told.spans() if span.name == "trading.order.lifecycle"]
    assert told.tree() == (
        "trading.order.submit alpaca\n"
        "  trading.order.event filled\n"
        "  trading.order.event filled\n"
        "  trading.order.event canceled\n"
        "  trading.order.lifecycle\n"
        "  trading.order.lifecycle\n"
        "  trading.order.lifecycle"
    )
    assert submit.attributes["trading.order.batch_size"] == 3
    assert sorted(
        (life.attributes["trading.order.type"], life.attributes["trading.order.status"]) for life in lives
    ) == [
        ("limit", "filled"),
        ("market", "filled"),
        ("stop", "canceled"),
    ]
