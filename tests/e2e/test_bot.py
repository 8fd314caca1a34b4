"""A bot that knows nothing of telemetry, under OpenTelemetry's own launcher with our distribution."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from tickspan.received import ReceivedLog, ReceivedMetric, ReceivedSpan, Telemetry
from tickspan.testing.otlp import OtlpServer
from tickspan.testing.venue import Behaviour, Truth, VenueSimulator
from tickspan.testing.vocabulary import undeclared

pytestmark = pytest.mark.e2e

_TRADING_S = 3.0


@dataclass(frozen=True, slots=True)
class BotRun:
    """How the bot ended, what the venue knows, and what was received."""

    status: int
    printed: str
    truth: Truth = field(repr=False)
    spans: Sequence[ReceivedSpan] = field(repr=False)
    metrics: Sequence[ReceivedMetric] = field(repr=False)
    logs: Sequence[ReceivedLog] = field(repr=False)


@pytest.fixture(scope="module")
def bot_run(
    clean_environment: Mapping[str, str], redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> BotRun:
    """The demo's bot trades for some seconds under `opentelemetry-instrument`."""
    folder = tmp_path_factory.mktemp("bot")
    behaviour = Behaviour(symbols=("BTC/USDT", "ETH/USDT"), partials=(0.4, 0.6))
    with VenueSimulator(seed=7, behaviour=behaviour) as venue, OtlpServer() as server:
        config = folder / "bot.json"
        config.write_text(
            json.dumps(
                {
                    "exchange": venue.connect.ccxt_config(),
                    "database": f"sqlite+aiosqlite:///{folder / 'bot.sqlite'}",
                    "redis": redis_server,
                    "symbols": behaviour.symbols,
                    "seconds": _TRADING_S,
                }
            )
        )
        ended = subprocess.run(
            ["opentelemetry-instrument", sys.executable, "-m", "tickspan.demo.bot", str(config)],
            env={
                **clean_environment,
                "OTEL_PYTHON_DISTRO": "tickspan",
                "OTEL_EXPORTER_OTLP_ENDPOINT": server.endpoint,
                "OTEL_SERVICE_NAME": "bot",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        printed = ended.stdout + ended.stderr
        received = server.spans(), server.metrics(), server.logs()
        return BotRun(ended.returncode, printed, venue.truth(), *received)


def test_every_trading_name_is_declared(bot_run: BotRun):
    assert undeclared(Telemetry(tuple(bot_run.spans), tuple(bot_run.metrics), tuple(bot_run.logs))) == []


def test_neither_the_bot_nor_its_telemetry_prints_a_word(bot_run: BotRun):
    assert (bot_run.status, bot_run.printed) == (0, "")
    assert len(bot_run.truth.orders) > 0
    assert len(bot_run.truth.executions) == 2 * len(bot_run.truth.orders)


def test_each_order_with_its_executions_is_one_trace_and_each_trace_one_tick(bot_run: BotRun):
    traces = _spans_by_trace(bot_run.spans)
    told = {
        (*_values(spans, "trading.order.client_id"), *sorted(_values(spans, "trading.execution.id")))
        for spans in traces.values()
        if _values(spans, "trading.order.client_id")
    }
    fills: defaultdict[str, list[str]] = defaultdict(list)
    for fill in bot_run.truth.executions:
        fills[fill.client_id].append(str(fill.execution_id))
    assert told == {(order.client_id, *sorted(fills[order.client_id])) for order in bot_run.truth.orders}
    assert {_names(spans)["trading.feed.message"] for spans in _order_traces(bot_run)} == {1}


def test_an_orders_trace_holds_what_the_strategy_asked_of_redis_and_the_database(bot_run: BotRun):
    always = Counter(
        {
            "trading.feed.message": 1,
            "trading.strategy.decision": 1,
            "GET": 1,  # the limit
            "SELECT bot_fills": 1,  # the position
            "trading.order.submit binance": 1,
            "INSERT bot_orders": 1,
            "COMMIT": 1,
            "trading.order.event partially_filled": 1,
            "trading.order.event filled": 1,
            "trading.order.lifecycle": 1,
        }
    )
    # A fill that comes after its order was written down is booked by another task, from a queue.
    assert [names for names in map(_names, _order_traces(bot_run)) if not always <= names] == []
    assert len(_order_traces(bot_run)) == len(bot_run.truth.orders)


def test_every_order_and_fill_is_written_to_the_database_once(bot_run: BotRun):
    names = _names(bot_run.spans)
    assert (names["INSERT bot_orders"], names["INSERT bot_fills"], names["UPDATE bot_orders"]) == (
        len(bot_run.truth.orders),
        len(bot_run.truth.executions),
        len(bot_run.truth.orders),
    )


def test_every_span_of_an_orders_trace_hangs_below_its_tick(bot_run: BotRun):
    for spans in _order_traces(bot_run):
        known = {span.span_id for span in spans}
        assert [span.name for span in spans if span.parent_span_id not in known] == ["trading.feed.message"]


def test_statements_hold_names_and_never_values(bot_run: BotRun):
    texts = {span.name: span.attributes.get("db.query.text") for span in bot_run.spans}
    assert texts["UPDATE bot_orders"] == "UPDATE bot_orders SET status = ? WHERE bot_orders.id = ?"
    assert texts["GET"] == "GET ?"
    order_ids = [str(order.order_id) for order in bot_run.truth.orders]
    assert [text for text in texts.values() if any(order_id in str(text) for order_id in order_ids)] == []


def test_durations_of_both_databases_are_measured(bot_run: BotRun):
    points = [
        point
        for metric in bot_run.metrics
        if metric.name == "db.client.operation.duration"
        for point in metric.points
    ]
    assert {str(point.attributes["db.system.name"]) for point in points} == {"redis", "sqlite"}


def test_each_span_came_once_under_one_resource(bot_run: BotRun):
    assert len({(span.trace_id, span.span_id) for span in bot_run.spans}) == len(bot_run.spans)
    assert {str(span.resource["service.name"]) for span in bot_run.spans} == {"bot"}
    assert {str(span.resource["telemetry.distro.name"]) for span in bot_run.spans} == {"tickspan"}
    assert len({str(span.resource["service.instance.id"]) for span in bot_run.spans}) == 1


def _spans_by_trace(spans: Sequence[ReceivedSpan]) -> dict[str, list[ReceivedSpan]]:
    traces: defaultdict[str, list[ReceivedSpan]] = defaultdict(list)
    for span in spans:
        traces[span.trace_id].append(span)
    return dict(traces)


def _order_traces(bot_run: BotRun) -> list[list[ReceivedSpan]]:
    traces = _spans_by_trace(bot_run.spans).values()
    return [spans for spans in traces if _values(spans, "trading.order.client_id")]


def _values(spans: Sequence[ReceivedSpan], attribute: str) -> set[str]:
    return {str(span.attributes[attribute]) for span in spans if attribute in span.attributes}


def _names(spans: Sequence[ReceivedSpan]) -> Counter[str]:
    return Counter(span.name for span in spans)
