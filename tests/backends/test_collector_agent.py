"""The agent's configuration in the real collector: valid, quiet, through for every signal, and durable."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_spool.receiver import ExportRequest

from scripts.collector import CONFIGURATIONS, running_collector
from scripts.servers import free_port
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
def test_the_collector_finds_the_configuration_valid(otelcol: Path):
    done = subprocess.run(
        [otelcol, "validate", "--config", _AGENT],
        env={**os.environ, "TICKSPAN_COLLECTOR_BACKEND": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


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
def test_one_request_of_each_signal_reaches_the_back_end_without_a_warning(otelcol: Path, tmp_path: Path):
    with (
        OtlpServer() as back_end,
        running_collector(
            otelcol, _AGENT, tmp_path, {"TICKSPAN_COLLECTOR_BACKEND": back_end.endpoint}
        ) as collector,
    ):
        for signal_name in _REQUESTS:
            _send(collector.endpoint, signal_name)
        back_end.wait_for(lambda server: bool(server.spans() and server.metrics() and server.logs()))
        names = (back_end.spans()[0].name, back_end.metrics()[0].name, back_end.logs()[0].body)
        log = collector.server.log.read_text()
    assert names == ("order", "orders", "filled")
    assert [line for line in log.splitlines() if re.search(r"\t(warn|error)\t|deprecated", line)] == []


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


def test_every_variable_of_the_configuration_is_explained_in_its_head():
    text = _AGENT.read_text()
    head = text[: text.index("\nextensions:")]
    assert sorted(set(_VARIABLE.findall(text))) == sorted(
        re.findall(r"^#   (TICKSPAN_\w+) ", head, re.MULTILINE)
    )


def test_the_memory_limiter_comes_first_and_every_listener_is_on_loopback():
    configuration = yaml.safe_load(_AGENT.read_text())
    pipelines = configuration["service"]["pipelines"]
    protocols = configuration["receivers"]["otlp"]["protocols"]
    listeners = [protocol["endpoint"] for protocol in protocols.values()]
    listeners.append(configuration["extensions"]["health_check"]["endpoint"])
    readers = configuration["service"]["telemetry"]["metrics"]["readers"]
    listeners += [reader["pull"]["exporter"]["prometheus"]["host"] + ":" for reader in readers]
    assert {name: pipeline["processors"][0] for name, pipeline in pipelines.items()} == dict.fromkeys(
        ("traces", "metrics", "logs"), "memory_limiter"
    )
    assert [listener.startswith("127.0.0.1:") for listener in listeners] == [True] * 4
