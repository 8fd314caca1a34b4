"""The example bot, by either launcher and either protocol, through the real collector: its file, decoded.

The bot has no line about telemetry. What really happened is counted at the venue.
"""

import json
import os
import subprocess
import sys
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, quote

import pytest
from tickspan_spool import agent

from scripts.collector import Collector, running_collector
from tickspan.received import Telemetry, read_json_lines
from tickspan.testing.venue import Behaviour, Truth, VenueSimulator

pytestmark = [pytest.mark.backends, pytest.mark.e2e]

_BIN = Path(sys.executable).parent
_OURS = (_BIN / "tickspan", "run", "--")
_UPSTREAMS = (_BIN / "opentelemetry-instrument",)
_WAYS = [
    pytest.param((_OURS, "http/protobuf"), id="tickspan run, OTLP/HTTP"),
    pytest.param((_OURS, "grpc"), id="tickspan run, OTLP/gRPC"),
    pytest.param((_UPSTREAMS, "http/protobuf"), id="opentelemetry-instrument, OTLP/HTTP"),
]
_TO_FILE = Path(__file__).with_name("otlp_to_file.yaml")
_TRADING_S = 6.0


@dataclass(frozen=True, slots=True)
class Run:
    """A bot's run: how it ended, what the venue knows, what the collector wrote."""

    status: int
    printed: str
    truth: Truth = field(repr=False)
    telemetry: Telemetry = field(repr=False)
    written: bytes = field(repr=False)


@pytest.fixture(scope="module", params=_WAYS)
def run(
    request: pytest.FixtureRequest,
    otelcol: Path,
    redis_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """The bot trades for some seconds and ends, then the collector ends: everything is in its file."""
    launcher, protocol = request.param
    folder = tmp_path_factory.mktemp("bot")
    spool = folder / "spool"
    behaviour = Behaviour(symbols=("BTC/USDT", "ETH/USDT"), partials=(0.4, 0.6))
    with (
        VenueSimulator(seed=7, behaviour=behaviour) as venue,
        running_collector(otelcol, _TO_FILE, folder) as collector,
    ):
        configuration = {
            "exchange": venue.connect.ccxt_config(),
            "database": f"sqlite+aiosqlite:///{folder / 'bot.sqlite'}",
            "redis": redis_server,
            "symbols": behaviour.symbols,
            "seconds": _TRADING_S,
        }
        bot = folder / "bot.json"
        bot.write_text(json.dumps(configuration))
        done = subprocess.run(
            [*launcher, sys.executable, "-m", "tickspan.demo.bot", bot],
            env=_environment(collector, protocol, spool),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        truth = venue.truth()
        assert agent.drain(spool, 20.0)
        assert agent.stop(spool)
    output = collector.output
    return Run(
        done.returncode, done.stdout + done.stderr, truth, read_json_lines(output), output.read_bytes()
    )


def test_the_bot_trades_and_neither_it_nor_its_telemetry_prints_a_word(run: Run):
    assert (run.status, run.printed) == (0, "")
    assert len(run.truth.orders) >= 3
    assert len(run.truth.executions) == 2 * len(run.truth.orders)


def test_each_order_is_in_one_trace_with_all_its_executions(run: Run):
    traces = _traces_by(run.telemetry, "trading.order.client_id")
    fills = _traces_by(run.telemetry, "trading.execution.id")
    orders = {order.client_id: traces[order.client_id] for order in run.truth.orders}
    executions = {str(fill.execution_id): fill.client_id for fill in run.truth.executions}
    assert {len(trace_ids) for trace_ids in orders.values()} == {1}
    assert {
        execution_id: orders[client_id] & fills[execution_id]
        for execution_id, client_id in executions.items()
    } == {execution_id: orders[client_id] for execution_id, client_id in executions.items()}


def test_there_are_as_many_order_traces_as_triggering_ticks(run: Run):
    traces = _traces_by(run.telemetry, "trading.order.client_id")
    order_traces = set[str]().union(*(traces[order.client_id] for order in run.truth.orders))
    ticks = [span.trace_id for span in run.telemetry.spans if span.name == "trading.feed.message"]
    assert sorted(order_traces) == sorted(ticks)


def test_orders_statements_and_cache_calls_are_recorded_once_each_under_one_resource(run: Run):
    spans = run.telemetry.spans
    resources = {json.dumps(span.resource, sort_keys=True, default=str) for span in spans}
    assert Counter(Counter(span.span_id for span in spans).values()) == {1: len(spans)}
    # SQLAlchemy asks the driver itself, below its own events, when it connects first.
    members = {"tickspan_ccxt", "tickspan_dbapi", "tickspan_redis", "tickspan_sqlalchemy"}
    assert {span.scope for span in spans} == members
    assert {str(span.attributes.get("db.system.name")) for span in spans} == {"None", "redis", "sqlite"}
    assert len(resources) == 1
    assert _named(spans[0].resource) == {"service.name": "bot", "telemetry.distro.name": "tickspan"}


def test_metrics_of_the_same_run_are_there(run: Run):
    names = {metric.name for metric in run.telemetry.metrics}
    assert {"db.client.operation.duration", "trading.order.duration"} <= names
    services = {str(metric.resource["service.name"]) for metric in run.telemetry.metrics}
    assert services == {"bot", "tickspan-agent"}  # the agent tells of the host, and of itself


def test_no_key_secret_or_signature_reaches_the_collector_in_any_encoding(run: Run):
    secrets = _secrets(run.truth)
    assert len(secrets) > 2
    assert [secret for secret in secrets if any(form in run.written for form in _forms(secret))] == []


def _environment(collector: Collector, protocol: str, spool: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TICKSPAN_"))}
    return {
        **kept,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_endpoint if protocol == "grpc" else collector.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_SERVICE_NAME": "bot",
        "TICKSPAN_SPOOL_DIR": str(spool),
    }


def _traces_by(telemetry: Telemetry, attribute: str) -> defaultdict[str, set[str]]:
    traces: defaultdict[str, set[str]] = defaultdict(set)
    for span in telemetry.spans:
        traces[str(span.attributes.get(attribute))].add(span.trace_id)
    return traces


def _named(resource: Mapping[str, object]) -> dict[str, object]:
    return {name: resource.get(name) for name in ("service.name", "telemetry.distro.name")}


def _secrets(truth: Truth) -> set[str]:
    """The venue's key and secret, and each signature that it received."""
    texts = [text for request in truth.requests for text in (request.query, request.body)]
    signatures = {value for text in texts for value in parse_qs(text).get("signature", [])}
    return {"simulated-venue-key", "simulated-venue-secret", *signatures}


def _forms(secret: str) -> set[bytes]:
    """As it is, in hex, percent-encoded, and what base64 makes of it at each of three offsets."""
    raw = secret.encode()
    inner = {_base64_of(raw, shift) for shift in range(3)}
    return {raw, raw.hex().encode(), quote(secret, safe="").encode(), *inner}


def _base64_of(raw: bytes, shift: int) -> bytes:
    """The characters that depend on `raw` alone when `shift` bytes stand before it."""
    encoded = b64encode(b"\0" * shift + raw)
    return encoded[(8 * shift + 5) // 6 : 8 * (shift + len(raw)) // 6]
