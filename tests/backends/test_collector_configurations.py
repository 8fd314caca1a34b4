"""Every combination of shipped layers in the real collector: valid, quiet, and through for every signal."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from grpc import StatusCode
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from scripts.collector import CONFIGURATIONS, Collector, running_collector
from scripts.collector_alerts import texts
from scripts.collector_config import COMBINATIONS, Combination
from scripts.otlp_client import export_spans, post
from scripts.prometheus import running_prometheus
from scripts.servers import free_port
from tickspan.received import Telemetry
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.backends

_HOST_METRICS = frozenset(
    {
        "system.cpu.utilization",
        "system.cpu.load_average.1m",
        "system.memory.utilization",
        "system.disk.io",
        "system.network.io",
    }
)
_WARNING = re.compile(r"\t(warn|error)\t|deprecated", re.IGNORECASE)
_NOT_BUILT = frozenset({"backends/clickhouse.yaml"})
"""Layers with components that the collector of the manifest lacks."""
_OF_THEIR_OWN = frozenset({"scale", "security", "backends/prometheus-remote-write.yaml"})
"""Layers that need another server or collector to talk to: tested further down, or in a file of their own."""


def _parameters(choose: Callable[[Combination], bool]) -> list[ParameterSet]:
    built = [one for one in COMBINATIONS if not _NOT_BUILT & _parts(one)]
    return [pytest.param(one, id=one.name) for one in built if choose(one)]


def _parts(combination: Combination) -> set[str]:
    """Its files and their folders."""
    return {*combination.files, *(file.split("/")[0] for file in combination.files)}


def _is_sampler(combination: Combination) -> bool:
    return "gateway/sampling.yaml" in combination.files and "gateway/ingest.yaml" not in combination.files


_FIRST = _parameters(lambda one: not (_OF_THEIR_OWN & _parts(one) or _is_sampler(one)))
_SAMPLERS = _parameters(lambda one: _is_sampler(one) and not _OF_THEIR_OWN & _parts(one))
_BY_THEMSELVES = _parameters(lambda one: bool(_OF_THEIR_OWN & _parts(one)))


@pytest.fixture(scope="module")
def stores_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stores(otelcol: Path, stores_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Where everything arrives, whatever store it was for."""
    configuration = Path(__file__).with_name("stores.yaml")
    ports = {"TICKSPAN_COLLECTOR_STORES_PORT": str(stores_port)}
    with running_collector(otelcol, configuration, tmp_path_factory.mktemp("stores"), ports) as running:
        yield running


@pytest.fixture
def addresses(stores: Collector, stores_port: int) -> Mapping[str, str]:
    """Variables that lead every exporter to `stores`."""
    url = f"http://127.0.0.1:{stores_port}"
    names = ("JAEGER", "TEMPO", "PROMETHEUS", "LOKI")
    return {
        **{f"TICKSPAN_COLLECTOR_{name}": url for name in names},
        "TICKSPAN_ALERTS_GATEWAY": stores.endpoint,
        "TICKSPAN_COLLECTOR_BACKEND": stores.endpoint,
        "TICKSPAN_COLLECTOR_SHARDS": "127.0.0.1",
        "TICKSPAN_COLLECTOR_SHARD_PORT": stores.grpc_endpoint.rpartition(":")[2],
        "TICKSPAN_COLLECTOR_SHARD_LIST": stores.grpc_endpoint.removeprefix("http://"),
        "TICKSPAN_COLLECTOR_ALERTS": str(CONFIGURATIONS / "gateway" / "alerts"),
        "TICKSPAN_COLLECTOR_DECISION_WAIT": "200ms",
    }


def _files(combination: Combination) -> list[Path]:
    return [CONFIGURATIONS / name for name in combination.files]


def _resource(sender: str) -> Resource:
    resource = Resource()
    resource.attributes.add(key="service.name").value.string_value = sender
    resource.attributes.add(key="host.name").value.string_value = "desk-1"
    return resource


def _spans(sender: str) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add(resource=_resource(sender)).scope_spans.add().spans.add(name="order")
    span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
    span.attributes.add(key="trading.order.client_id").value.string_value = "o-1"
    span.attributes.add(key="trading.order.retry.safe").value.bool_value = False
    return request


def _metrics(sender: str) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add(resource=_resource(sender)).scope_metrics.add()
    point = scope.metrics.add(name="orders").gauge.data_points.add(as_int=3)
    point.time_unix_nano = time.time_ns()
    return request


def _logs(sender: str) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add(resource=_resource(sender)).scope_logs.add().log_records.add()
    record.event_name, record.body.string_value = "trading.order.unsafe_retry", "filled"
    return request


def _came(telemetry: Telemetry, sender: str) -> tuple[int, int, int]:
    """How many spans, metrics and log records of a sender there are."""
    spans = sum(span.resource.get("service.name") == sender for span in telemetry.spans)
    metrics = sum(metric.resource.get("service.name") == sender for metric in telemetry.metrics)
    logs = sum(log.resource.get("service.name") == sender for log in telemetry.logs)
    return spans, metrics, logs


def _warnings(collector: Collector) -> list[str]:
    return [line for line in collector.server.log.read_text().splitlines() if _WARNING.search(line)]


def _send_all(endpoint: str, sender: str) -> None:
    requests = (_spans(sender), _metrics(sender), _logs(sender))
    assert [post(endpoint, request) for request in requests] == [200, 200, 200]


@pytest.mark.parametrize("combination", _FIRST)
def test_what_comes_in_goes_through_without_a_warning(
    combination: Combination,
    otelcol: Path,
    stores: Collector,
    addresses: Mapping[str, str],
    tmp_path: Path,
):
    to_alerts = int("gateway/alert_gateway.yaml" in combination.files)
    # No rule of the default pack asks for spans; all metrics and the event of this record go to alerts too.
    expected = (1, 1 + to_alerts, 1 + to_alerts)
    with running_collector(otelcol, _files(combination), tmp_path, addresses) as collector:
        _send_all(collector.endpoint, combination.name)
        came = stores.wait_for(lambda telemetry: _came(telemetry, combination.name) == expected)
    assert (_warnings(collector), _came(came, combination.name)) == ([], expected)


@pytest.mark.parametrize("combination", _SAMPLERS)
def test_what_comes_to_a_sampler_goes_through_without_a_warning(
    combination: Combination,
    otelcol: Path,
    stores: Collector,
    addresses: Mapping[str, str],
    tmp_path: Path,
):
    port = str(free_port())
    environment = {**addresses, "TICKSPAN_COLLECTOR_SHARD_PORT": port}
    with running_collector(otelcol, _files(combination), tmp_path, environment) as collector:
        answer = export_spans(f"127.0.0.1:{port}", _spans(combination.name))
        came = stores.wait_for(lambda telemetry: _came(telemetry, combination.name) == (1, 0, 0))
    assert (answer, _warnings(collector), _came(came, combination.name)) == (StatusCode.OK, [], (1, 0, 0))


@pytest.mark.parametrize("combination", [*_FIRST, *_SAMPLERS, *_BY_THEMSELVES])
def test_the_collector_finds_a_combination_valid(
    combination: Combination, otelcol: Path, addresses: Mapping[str, str]
):
    secured = {f"TICKSPAN_COLLECTOR_{name}_FILE": "/dev/null" for name in ("CERT", "KEY", "TOKEN")}
    command = [otelcol, "validate", *(part for file in _files(combination) for part in ("--config", file))]
    done = subprocess.run(
        command, env={**os.environ, **addresses, **secured}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_metrics_reach_prometheus_by_remote_write(otelcol: Path, prometheus: Path, tmp_path: Path):
    files = _files(next(one for one in COMBINATIONS if one.name == "agent, remote write"))
    configuration = CONFIGURATIONS / "prometheus" / "prometheus.yml"
    (tmp_path / "prometheus").mkdir()
    with running_prometheus(prometheus, configuration, tmp_path / "prometheus") as server:
        environment = {
            "TICKSPAN_COLLECTOR_PROMETHEUS": server.url,
            "TICKSPAN_COLLECTOR_BACKEND": "http://127.0.0.1:9",
        }
        with running_collector(otelcol, files, tmp_path, environment) as collector:
            assert post(collector.endpoint, _metrics("by remote write")) == 200
            series = server.wait_for('orders{job="by remote write"}')
            warnings = _warnings(collector)  # before its end, which this exporter reports as an error
    assert ([one["value"][1] for one in series], warnings) == (["3"], [])


def test_metrics_reach_prometheus_by_otlp(otelcol: Path, prometheus: Path, tmp_path: Path):
    files = [CONFIGURATIONS / "agent.yaml", CONFIGURATIONS / "backends" / "prometheus.yaml"]
    configuration = CONFIGURATIONS / "prometheus" / "prometheus.yml"
    (tmp_path / "prometheus").mkdir()
    with running_prometheus(prometheus, configuration, tmp_path / "prometheus") as server:
        environment = {
            "TICKSPAN_COLLECTOR_PROMETHEUS": server.url,
            "TICKSPAN_COLLECTOR_BACKEND": "http://127.0.0.1:9",
        }
        with running_collector(otelcol, files, tmp_path, environment) as collector:
            assert post(collector.endpoint, _metrics("by OTLP")) == 200
            series = server.wait_for('orders{job="by OTLP"}')
    assert ([one["metric"] for one in series], _warnings(collector)) == (
        [{"__name__": "orders", "job": "by OTLP", "host_name": "desk-1"}],
        [],
    )


def test_the_collector_measures_the_host_and_says_which(otelcol: Path, tmp_path: Path):
    files = [CONFIGURATIONS / name for name in ("agent.yaml", "agent/host_metrics.yaml")]
    with OtlpServer() as store:
        environment = {
            "TICKSPAN_COLLECTOR_BACKEND": store.endpoint,
            "TICKSPAN_COLLECTOR_HOST_INTERVAL": "1s",
        }
        with running_collector(otelcol, files, tmp_path, environment) as collector:
            store.wait_for(lambda server: {metric.name for metric in server.metrics()} >= _HOST_METRICS)
        hosts = {str(metric.resource["host.name"]) for metric in store.metrics()}
    assert (hosts, _warnings(collector)) == ({socket.gethostname()}, [])


def test_deltas_of_other_senders_are_added_up(otelcol: Path, tmp_path: Path):
    files = [CONFIGURATIONS / name for name in ("agent.yaml", "agent/cumulative.yaml")]
    with OtlpServer() as store:
        environment = {"TICKSPAN_COLLECTOR_BACKEND": store.endpoint}
        with running_collector(otelcol, files, tmp_path, environment) as collector:
            for number in (1, 2):
                assert post(collector.endpoint, _delta(number)) == 200
                store.wait_for(lambda server, came=number: len(server.metrics()) == came)
        metrics = store.metrics()
    assert [(metric.temporality, metric.points[0].value) for metric in metrics] == [
        ("cumulative", 1),
        ("cumulative", 3),
    ]


def _delta(value: int) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add(resource=_resource("bot")).scope_metrics.add().metrics.add(name="n")
    metric.sum.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    metric.sum.is_monotonic = True
    now = time.time_ns()
    metric.sum.data_points.add(as_int=value, start_time_unix_nano=now - 1, time_unix_nano=now)
    return request


_RULES = """
version: 1
rules:
  - {name: Retry, kind: event, span: order, where: {trading.order.retry.safe: "false"}, window: 1m}
  - {name: Unknown, kind: event, event: trading.order.unknown, window: 1m}
"""


def test_the_alert_gateway_gets_metrics_and_only_what_event_rules_ask_for(otelcol: Path, tmp_path: Path):
    (tmp_path / "rules.yaml").write_text(_RULES)
    (tmp_path / "filter.yaml").write_text(texts(tmp_path / "rules.yaml")["filter.yaml"])
    layers = ("gateway/common.yaml", "gateway/ingest.yaml", "gateway/alert_gateway.yaml")
    files = [*(CONFIGURATIONS / name for name in layers), tmp_path / "filter.yaml"]
    safe, unknown = _spans("safe"), _logs("unknown")
    safe.resource_spans[0].scope_spans[0].spans[0].attributes[1].value.bool_value = True
    unknown.resource_logs[0].scope_logs[0].log_records[0].event_name = "trading.order.unknown"
    with OtlpServer() as alerts, OtlpServer() as store:
        environment = {
            "TICKSPAN_COLLECTOR_BACKEND": store.endpoint,
            "TICKSPAN_ALERTS_GATEWAY": alerts.endpoint,
            "TICKSPAN_COLLECTOR_SHARDS": "127.0.0.1",
        }
        with running_collector(otelcol, files, tmp_path, environment) as collector:
            requests = (safe, _spans("unsafe"), _metrics("bot"), _logs("retry"), unknown)
            assert {post(collector.endpoint, request) for request in requests} == {200}
            alerts.wait_for(lambda server: bool(server.spans() and server.metrics() and server.logs()))
            store.wait_for(lambda server: len(server.logs()) == 2)
        came = [*alerts.spans(), *alerts.metrics(), *alerts.logs()]
    assert [one.resource["service.name"] for one in came] == ["unsafe", "bot", "unknown"]
