"""Each panel of each dashboard shows something when a real Prometheus has what the catalogue promises."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Meter, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from scripts.dashboards.board import Board, document, panels_of
from scripts.dashboards.boards import BOARDS
from scripts.prometheus import Prometheus, running_prometheus
from tickspan.semconv.catalogue import METRICS, Metric

pytestmark = pytest.mark.backends

_VALUES = {
    "db.system.name": "redis",
    "tickspan.cache.result": "hit",
    "tickspan.outcome": "dropped",
    "trading.order.operation": "new",
}
"""Attributes that panels choose by; others have any value."""
_CONFIGURATION = """
global: {scrape_interval: 1s, evaluation_interval: 1s}
otlp: {promote_resource_attributes: [host.name]}
storage: {tsdb: {out_of_order_time_window: 30m}}
rule_files: [rules.yaml]
"""
_RULES = """
groups:
  - name: planted
    rules:
      - {alert: Planted, expr: vector(1), labels: {severity: warning, job: bot}}
      - record: slo:sli_error:ratio_rate1h
        expr: label_replace(vector(0.01), "sloth_id", "a", "", "")
      - record: slo:sli_error:ratio_rate6h
        expr: label_replace(vector(0.01), "sloth_id", "a", "", "")
      - record: slo:error_budget:ratio
        expr: label_replace(vector(0.001), "sloth_id", "a", "", "")
"""


@pytest.fixture(scope="module")
def filled(prometheus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has every metric of the catalogue, each measured, and later measured again."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(_CONFIGURATION)
    (folder / "rules.yaml").write_text(_RULES)
    with running_prometheus(prometheus, folder / "prometheus.yml", folder) as running:
        exporter = OTLPMetricExporter(f"{running.otlp_endpoint}/v1/metrics")
        provider = MeterProvider(
            [PeriodicExportingMetricReader(exporter, export_interval_millis=float("inf"))],
            Resource({"service.name": "bot", "service.instance.id": "1", "host.name": "here"}),
            views=[
                View(
                    instrument_type=Histogram,
                    instrument_name="trading.*",
                    aggregation=ExponentialBucketHistogramAggregation(),
                )
            ],
        )
        meter = provider.get_meter("catalogue")
        measured = [measure for metric in METRICS.values() for measure in instruments(meter, metric)]
        for _ in range(2):
            for measure in measured:
                measure()
            assert provider.force_flush()
            time.sleep(1.1)  # Prometheus takes no second sample of one millisecond, and rates want some time
        running.wait_for("ALERTS and on () slo:error_budget:ratio")
        yield running
        provider.shutdown()


def instruments(meter: Meter, metric: Metric) -> Iterator[Any]:
    """What measures a metric once."""
    attributes = {name: _VALUES.get(name, "any") for name in metric.attributes}
    unit = "" if metric.name.startswith("otelcol_") else metric.unit
    match metric.instrument:
        case "counter":
            counter = meter.create_counter(metric.name, unit)
            yield lambda: counter.add(3, attributes)
        case "updowncounter":
            meter.create_observable_up_down_counter(
                metric.name, [lambda _: [Observation(3, attributes)]], unit
            )
        case "gauge":
            meter.create_observable_gauge(metric.name, [lambda _: [Observation(3, attributes)]], unit)
        case _:
            histogram = meter.create_histogram(metric.name, unit)
            yield lambda: histogram.record(0.02, attributes)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_each_query_of_each_panel_returns_a_series(filled: Prometheus, board: Board) -> None:
    empty: dict[str, str] = {}
    for panel in panels_of(document(board)):
        for target in panel["targets"]:
            expression = chosen(target["expr"], {"job": ".*", "instance": ".*", "venue": ".*"})
            if not filled.query(expression):
                empty[panel["title"]] = expression
    assert empty == {}


def test_choices_have_values(filled: Prometheus) -> None:
    for board in BOARDS:
        for variable in document(board)["templating"]["list"]:
            if variable["type"] != "query":
                continue
            question = chosen(variable["definition"], {"job": ".*"})
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", question).groups()  # pyright: ignore[reportOptionalMemberAccess]
            assert [
                one["metric"]
                for one in filled.query(f"count by ({label}) ({selector})")
                if label in one["metric"]
            ]


def chosen(text: str, variables: Mapping[str, str]) -> str:
    """Grafana's variables, replaced."""
    text = re.sub(r"\$__(rate_interval|range)", "1m", text)
    return re.sub(r"\$(\w+)", lambda found: variables[found[1]], text)
