"""Orders by a plain HTTP library, here httpx with two lines of signing: what is told of them, as a waterfall.

Needs `pip install tickspan[testing] tickspan-http httpx` and nothing else: the venue is simulated, and the
telemetry comes back to this program over OTLP. At a real venue its host is known; a simulator or a gateway of
your own is named in the setting `trading.hosts`.
"""

import os
import time
from urllib.parse import urlencode

import httpx
from opentelemetry import trace

import tickspan
from tickspan import trading
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.venue import VenueSimulator
from tickspan.testing.venue.credentials import Credentials
from tickspan.waterfall import order_traces, waterfall


def send(client: httpx.Client, account: Credentials, method: str, **fields: str) -> httpx.Response:
    """A signed request about one order."""
    query = urlencode({**fields, "timestamp": str(int(time.time() * 1000))})
    headers = {"X-MBX-APIKEY": account.api_key}
    return client.request(method, f"/api/v3/order?{query}&signature={account.sign(query)}", headers=headers)


def main() -> None:
    """One order that rests, is asked for and canceled, and one that is refused."""
    with VenueSimulator() as venue, OtlpServer() as server:
        os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", server.endpoint)
        hosts = [f"127.0.0.1:{venue.address[1]}=binance/simulated"]
        tickspan.init({"agent": "thread", "trading": {"hosts": hosts}}, service_name="http-orders")
        account = Credentials(venue.connect.api_key, venue.connect.secret)
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        with httpx.Client(base_url=venue.url) as client:
            send(client, account, "POST", **order, quantity="0.01", price="50000", newClientOrderId="mine-1")
            send(client, account, "GET", symbol="BTCUSDT", origClientOrderId="mine-1")
            send(client, account, "DELETE", symbol="BTCUSDT", origClientOrderId="mine-1")
            send(client, account, "POST", **order, quantity="0.01", price="1")
        trading.shutdown()
        trace.get_tracer_provider().force_flush()  # pyright: ignore[reportAttributeAccessIssue] - the SDK's
        for spans in order_traces(server.spans()):
            print(*waterfall(spans), "", sep="\n")


if __name__ == "__main__":
    main()
