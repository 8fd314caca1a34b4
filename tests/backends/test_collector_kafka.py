"""Agents to Kafka, Kafka to gateways: every signal through, and traces whole."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from scripts.collector import CONFIGURATIONS, Collector, running_collector
from scripts.collector_config import COMBINATIONS
from scripts.kafka_broker import running_kafka
from scripts.otlp_client import post
from tickspan.received import Telemetry

pytestmark = pytest.mark.backends

_TO_FILE = Path(__file__).with_name("otlp_to_file.yaml")
_TOPICS = ("desk_spans", "desk_metrics", "desk_logs")
_SPANS, _TRACES = 4, 200


def _files(name: str) -> list[Path]:
    combination = next(one for one in COMBINATIONS if one.name == name)
    return [CONFIGURATIONS / file for file in combination.files]


def _spans(trace_ids: Sequence[bytes]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for trace_id in trace_ids:
        scope.spans.add(name="trading.order", trace_id=trace_id, span_id=os.urandom(8))
    return request


def _metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="orders")
    metric.gauge.data_points.add(as_int=3)
    return request


def _logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "filled"
    return request


def test_two_gateways_of_a_group_share_whole_traces_without_a_warning(
    otelcol: Path, kafka: Path, tmp_path: Path
):
    trace_ids = [os.urandom(16) for _ in range(_TRACES)]
    with ExitStack() as running:
        broker = running.enter_context(running_kafka(kafka, _TOPICS, tmp_path))

        def start(name: str, files: Sequence[Path], variables: Mapping[str, str]) -> Collector:
            (tmp_path / name).mkdir()
            environment = {f"TICKSPAN_COLLECTOR_{key}": value for key, value in variables.items()}
            return running.enter_context(running_collector(otelcol, files, tmp_path / name, environment))

        hop = {"KAFKA": broker.url, "KAFKA_INSECURE": "true", "KAFKA_TOPICS": "desk"}
        stores = [start(f"store-{name}", [_TO_FILE], {}) for name in "ab"]
        agent = start("agent", _files("agent, Kafka"), hop)
        gateway = {
            **hop,
            "ALERTS": str(CONFIGURATIONS / "gateway" / "alerts"),
            "DECISION_WAIT": "2s",
        }
        gateways = [
            start(
                f"gateway-{number}",
                _files("single, Kafka"),
                {**gateway, "BACKEND": store.endpoint, "INSTANCE": f"gateway-{number}"},
            )
            for number, store in enumerate(stores)
        ]
        for one in gateways:
            _wait_for_line(one, '"added": "desk_spans[')
        requests = [*(_spans(trace_ids) for _ in range(_SPANS)), _metrics(), _logs()]
        assert {post(agent.endpoint, request) for request in requests} == {200}
        came = _wait_for_all(stores)
        logs = [one.server.log.read_text() for one in (agent, *gateways)]
    counts = [Counter(span.trace_id for span in telemetry.spans) for telemetry in came]
    assert sum(counts, Counter()) == dict.fromkeys((trace_id.hex() for trace_id in trace_ids), _SPANS)
    assert counts[0].keys() & counts[1].keys() == set()
    assert min(len(count) for count in counts) > 0
    lines = [line for log in logs for line in log.splitlines()]
    assert [line for line in lines if "\twarn\t" in line or "\terror\t" in line] == []


def _wait_for_line(collector: Collector, part: str, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while part not in collector.server.log.read_text():
        assert time.monotonic() < deadline, collector.server.log_tail()
        time.sleep(0.05)


def _wait_for_all(stores: Sequence[Collector]) -> list[Telemetry]:
    """What the stores hold when all spans, the metric and the record are there."""

    def rest(last: Telemetry) -> list[Telemetry]:
        return [*(store.wait_for(lambda _: True) for store in stores[:-1]), last]

    def are_complete(last: Telemetry) -> bool:
        parts = rest(last)
        spans = sum(len(part.spans) for part in parts)
        names = [metric.name for part in parts for metric in part.metrics]
        return spans >= _SPANS * _TRACES and "orders" in names and any(part.logs for part in parts)

    return rest(stores[-1].wait_for(are_complete, 40))
