"""The agent's configuration in the real collector: valid, quiet, through for every signal, and durable."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_spool.receiver import ExportRequest

from scripts.collector import CONFIGURATIONS, running_collector
from scripts.otlp_client import post
from scripts.servers import free_port
from tickspan.received import decode_traces
from tickspan.testing.otlp import OtlpServer

_AGENT = CONFIGURATIONS / "agent.yaml"
_VARIABLE = re.compile(r"\$\{env:(\w+)")


def _traces() -> ExportRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    scope.spans.add(name="order", trace_id=b"\1" * 16, span_id=b"\2" * 8)
    return request


def _metrics() -> ExportRequest:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="orders")
    metric.gauge.data_points.add(as_int=3)
    return request


def _logs() -> ExportRequest:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "filled"
    return request


_REQUESTS: dict[str, Callable[[], ExportRequest]] = {"traces": _traces, "metrics": _metrics, "logs": _logs}


def _send(endpoint: str, signal_name: str) -> None:
    request = Request(
        f"{endpoint}/v1/{signal_name}",
        data=_REQUESTS[signal_name]().SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
    )
    with urlopen(request, timeout=10) as answer:
        assert answer.status == 200


@pytest.mark.backends
def test_without_a_back_end_the_collector_says_what_is_missing(otelcol: Path):
    environment = {name: value for name, value in os.environ.items() if name != "TICKSPAN_COLLECTOR_BACKEND"}
    done = subprocess.run(
        [otelcol, "validate", "--config", _AGENT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "endpoint" in done.stderr


@pytest.mark.backends
def test_what_was_taken_during_an_outage_survives_the_death_of_the_collector(otelcol: Path, tmp_path: Path):
    port = free_port()
    environment = {"TICKSPAN_COLLECTOR_BACKEND": f"http://127.0.0.1:{port}"}
    with running_collector(otelcol, _AGENT, tmp_path, environment) as collector:
        for signal_name in _REQUESTS:
            _send(collector.endpoint, signal_name)
        os.kill(collector.server.pid, signal.SIGKILL)
    with OtlpServer(port=port) as back_end, running_collector(otelcol, _AGENT, tmp_path, environment):
        back_end.wait_for(lambda server: bool(server.spans() and server.metrics() and server.logs()), 30)
        counts = (len(back_end.spans()), len(back_end.metrics()), len(back_end.logs()))
    assert counts == (1, 1, 1)


def _padded_spans(count: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for _ in range(count):
        span = scope.spans.add(name="order", trace_id=os.urandom(16), span_id=os.urandom(8))
        span.attributes.add(key="padding").value.string_value = os.urandom(200).hex()
    return request


@pytest.mark.backends
def test_a_full_queue_survives_a_kill_and_nothing_that_was_taken_is_lost(otelcol: Path, tmp_path: Path):
    port = free_port()
    environment = {
        "TICKSPAN_COLLECTOR_BACKEND": f"http://127.0.0.1:{port}",
        "TICKSPAN_COLLECTOR_QUEUE_BYTES": str(4 << 20),
    }
    taken: set[str] = set()
    with running_collector(otelcol, _AGENT, tmp_path, environment) as collector:
        while post(collector.endpoint, request := _padded_spans(200)) == 200:
            taken |= {span.span_id for span in decode_traces(request)}
        os.kill(collector.server.pid, signal.SIGKILL)
    with OtlpServer(port=port) as back_end, running_collector(otelcol, _AGENT, tmp_path, environment):
        back_end.wait_for(lambda server: taken <= {span.span_id for span in server.spans()}, 30)
        came = {span.span_id for span in back_end.spans()}
    assert len(taken) > 5_000
    assert came == taken
