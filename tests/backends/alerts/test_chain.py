"""The whole chain with real programs: a bot, its spool, collectors, stores, and one alert in three places.

The demo's bot trades at the simulated venue, which becomes slow and quick again. Its telemetry goes through
the collector beside it and the collector that is a gateway, as they are shipped: metrics to Prometheus, spans
to a store, and all that rules ask for to the alert gateway. All evaluators have their rules from one file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from alert_programs import Webhook, eventually, program, running_gateway
from tickspan_spool import agent

from scripts.alertmanager import Alertmanager
from scripts.collector import CONFIGURATIONS, Collector, running_collector
from scripts.collector_alerts import texts
from scripts.prometheus import Prometheus, running_prometheus
from scripts.servers import free_port
from tickspan.received import Telemetry
from tickspan.testing.venue import Behaviour, VenueSimulator

pytestmark = [pytest.mark.backends, pytest.mark.e2e]

_TO_FILE = Path(__file__).parent.parent / "otlp_to_file.yaml"
_TIERS = "process,agent,gateway,prometheus"
_SLOW_S = 0.3
_TRIES = 3
_RULES = """
version: 1
notifiers:
  pager: {{type: alertmanager, urls: ["{alertmanager}"]}}
rules:
  - name: SlowVenue
    metric: trading.wire_to_ack
    by: [trading.venue.name]
    stat: p99
    window: 6s
    condition: gt
    threshold: 100ms
    severity: error
  - name: DoubledOrder
    kind: event
    span: never
    window: 1m
"""
_PROMETHEUS = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
otlp: {{promote_resource_attributes: [host.name]}}
rule_files: [rules.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{target}"]}}]}}]}}
"""
_GATEWAY = ("common", "ingest", "sampling", "single", "alert_gateway")


@dataclass(slots=True)
class Chain:
    """What runs."""

    venue: VenueSimulator
    store: Collector
    prometheus: Prometheus
    alertmanager: Alertmanager
    webhook: Webhook
    gateway_lines: list[str]

    def changes(self, evaluator: str, state: str) -> list[float]:
        """When an evaluator of the bot's host told of a state, since 1970."""
        telemetry = self.store.wait_for(lambda _: True)
        return [
            log.time_ns / 1e9
            for log in telemetry.logs
            if log.event_name == "tickspan.alert.state_change"
            and (log.attributes["tickspan.alert.evaluator"], log.attributes["tickspan.alert.state"])
            == (evaluator, state)
        ]


@pytest.fixture
def chain(
    otelcol: Path,
    prometheus: Path,
    paging: Alertmanager,
    webhook: Webhook,
    redis_server: str,
    tmp_path: Path,
) -> Iterator[Chain]:
    rules = tmp_path / "alerts.yaml"
    rules.write_text(_RULES.format(alertmanager=paging.url))
    alerts = tmp_path / "ottl"
    alerts.mkdir()
    for name, text in texts(rules).items():
        (alerts / name).write_text(text)
    compiled = [sys.executable, "-m", "tickspan", "alerts", "compile", "--to", "prometheus", str(rules)]
    subprocess.run([*compiled, "-o", str(tmp_path / "rules.yaml")], check=True, capture_output=True)
    (tmp_path / "prometheus.yml").write_text(_PROMETHEUS.format(target=paging.url.removeprefix("http://")))
    folders = {name: tmp_path / name for name in ("store", "gateway", "agent", "bot")}
    for folder in folders.values():
        folder.mkdir()
    alert_port = free_port()
    with ExitStack() as running:
        enter = running.enter_context
        metrics = enter(running_prometheus(prometheus, tmp_path / "prometheus.yml", tmp_path))
        store = enter(running_collector(otelcol, _TO_FILE, folders["store"]))
        evaluator = enter(running_gateway(rules, tmp_path / "alerts", alert_port, "--tiers", _TIERS))
        layers = [CONFIGURATIONS / "gateway" / f"{name}.yaml" for name in _GATEWAY]
        layers += [alerts / "filter.yaml", CONFIGURATIONS / "backends" / "prometheus.yaml"]
        gateway = enter(
            running_collector(
                otelcol,
                layers,
                folders["gateway"],
                {
                    "TICKSPAN_COLLECTOR_BACKEND": store.endpoint,
                    "TICKSPAN_COLLECTOR_PROMETHEUS": metrics.url,
                    "TICKSPAN_COLLECTOR_ALERTS": str(alerts),
                    "TICKSPAN_COLLECTOR_DECISION_WAIT": "2s",
                    "TICKSPAN_ALERTS_GATEWAY": f"http://127.0.0.1:{alert_port}",
                },
            )
        )
        beside = enter(
            running_collector(
                otelcol,
                CONFIGURATIONS / "agent.yaml",
                folders["agent"],
                {"TICKSPAN_COLLECTOR_BACKEND": gateway.endpoint},
            )
        )
        symbols = ("BTC/USDT", "ETH/USDT")
        venue = enter(VenueSimulator(seed=7, behaviour=Behaviour(symbols=symbols, tick_interval_s=0.05)))
        configuration = folders["bot"] / "bot.json"
        configuration.write_text(
            json.dumps(
                {
                    "exchange": venue.connect.ccxt_config(),
                    "database": f"sqlite+aiosqlite:///{folders['bot']}/bot.sqlite",
                    "redis": redis_server,
                    "symbols": symbols,
                    "seconds": 300.0,
                }
            )
        )
        spool = folders["bot"] / "spool"
        running.callback(agent.stop, spool)
        command = ("-m", "tickspan", "run", "--", sys.executable, "-m", "tickspan.demo.bot", configuration)
        enter(
            program(
                *command,
                cwd=folders["bot"],
                OTEL_SERVICE_NAME="bot",
                OTEL_EXPORTER_OTLP_ENDPOINT=beside.endpoint,
                OTEL_METRIC_EXPORT_INTERVAL="1000",
                TICKSPAN_SPOOL_DIR=str(spool),
                TICKSPAN_ALERTS_FILE=str(rules),
                TICKSPAN_ALERTS_TIERS=_TIERS,
            )
        )
        yield Chain(venue, store, metrics, paging, webhook, evaluator.lines)


def traces_of_orders(telemetry: Telemetry) -> dict[str, set[str]]:
    """The trace ids under which each order was told."""
    traces: dict[str, set[str]] = {}
    for span in telemetry.spans:
        if "trading.order.client_id" in span.attributes:
            order = str(span.attributes["trading.order.client_id"])
            traces.setdefault(order, set()).add(span.trace_id)
    return traces


def breach(chain: Chain, pages: int) -> tuple[float, float]:
    """Let the venue be slow until everybody has told of it, then quick; seconds to process and gateway.

    It is one alert in the meantime, with one page and one end; `pages` came before.
    """
    fired = [line for line in chain.gateway_lines if " firing SlowVenue" in line]
    told = len(chain.changes("process", "firing"))
    chain.venue.answer_after(_SLOW_S)
    before = len(chain.venue.orders)
    eventually(lambda: len(chain.venue.orders) > before, what="a slow order")
    arrived_s = time.time()

    def fires() -> bool:
        return len([line for line in chain.gateway_lines if " firing SlowVenue" in line]) > len(fired)

    eventually(fires, what="the gateway's")
    in_gateway_s = time.time()
    chain.prometheus.wait_for('ALERTS{alertname="SlowVenue",alertstate="firing"}')
    eventually(
        lambda: len(chain.changes("process", "firing")) > told, what="the process's event in the store"
    )
    in_process_s = chain.changes("process", "firing")[told]
    eventually(lambda: len(chain.webhook.posts) > pages, what="a page")
    assert [alert["labels"]["alertname"] for alert in chain.alertmanager.alerts()] == ["SlowVenue"]

    chain.venue.answer_after(0.0)
    eventually(lambda: len(chain.webhook.posts) > pages + 1, what="the end")
    time.sleep(5.0)  # nothing comes after the end
    assert chain.webhook.statuses()[pages:] == [("firing", "SlowVenue"), ("resolved", "SlowVenue")]
    assert chain.alertmanager.alerts() == []
    slow_at_s = first_slow_answer(chain, arrived_s)
    return in_process_s - slow_at_s, in_gateway_s - slow_at_s


def first_slow_answer(chain: Chain, since_s: float) -> float:
    """When the bot had heard of the first slow acknowledgement, by the span of that request."""

    def ends(told: Telemetry) -> list[float]:
        return [
            span.end_ns / 1e9
            for span in told.spans
            if span.name.startswith("trading.order.submit")
            and span.end_ns / 1e9 > since_s
            and span.end_ns - span.start_ns >= _SLOW_S * 1e9
        ]

    return min(ends(chain.store.wait_for(lambda told: bool(ends(told)))))


def test_a_slow_venue_is_one_alert_that_the_process_sees_first_and_prometheus_ends(chain: Chain) -> None:
    eventually(lambda: len(chain.venue.orders) > 3, what="orders")
    measured = "trading_wire_to_ack_seconds or trading_wire_to_ack_seconds_count"
    chain.prometheus.wait_for(measured, timeout_s=30)
    assert chain.webhook.posts == []
    before = {order.client_id for order in chain.venue.orders}
    delays: list[tuple[float, float]] = []
    while len(delays) < _TRIES:  # ten programs share the machine
        in_process_s, in_gateway_s = breach(chain, 2 * len(delays))
        delays.append((in_process_s, in_gateway_s))
        if in_process_s <= 1.1 and in_gateway_s <= 5.0:  # 1 s until metrics are collected, 3 s, the way
            break
    else:
        pytest.fail(f"seconds to process and gateway: {delays}")
    traces = traces_of_orders(chain.store.wait_for(lambda told: before <= traces_of_orders(told).keys()))
    assert {order: len(traces[order]) for order in before} == dict.fromkeys(before, 1)
