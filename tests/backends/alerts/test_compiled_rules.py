"""Compiled rules in the programs that they are for: promtool, Prometheus, the collector."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode

from scripts.alertmanager import running_alertmanager
from scripts.collector import running_collector
from scripts.prometheus import running_prometheus
from tickspan.alerts.file import load_rules
from tickspan.analysis.rules.labels import labels_of
from tickspan.cli import main

pytestmark = pytest.mark.backends

BOT = Resource({"service.namespace": "desk", "service.name": "bot", "service.instance.id": "a"})
RULES = """
metrics: {desk.wait: {kind: histogram, unit: s}, desk.left: {kind: updowncounter, unit: By}}
rules:
  - {name: Slow, metric: desk.wait, by: [trading.venue.name], stat: p50, window: 5s, threshold: 100ms}
  - {name: Low, metric: desk.left, stat: last, condition: lt, threshold: 1KiB, scope: service, window: 5s}
  - {name: NoFault, metric: desk.wait, by: [trading.venue.name], stat: p50, window: 5s, threshold: 10s}
"""
EVENTS = """
rules:
  - {name: Failed, kind: event, span: order, where: {venue: [kraken, "3"]}, status: error, min_duration: 1s}
  - {name: Retried, kind: event, event: order.retry, where: {service.name: {not: test}}}
"""
PROMETHEUS = """
global: {{evaluation_interval: 200ms}}
otlp: {{promote_resource_attributes: [host.name]}}
rule_files: [{rules}]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["{alertmanager}"]}}]}}]}}
"""


def compiled(folder: Path, rules: str, *options: str) -> Path:
    (folder / "alerts.yaml").write_text(rules)
    output = folder / f"compiled{len(options)}.yaml"
    assert main(["alerts", "compile", str(folder / "alerts.yaml"), *options, "-o", str(output)]) == 0
    return output


def test_promtool_finds_no_fault_in_the_default_pack(promtool: Path, tmp_path: Path):
    output = tmp_path / "rules.yaml"
    assert main(["alerts", "compile", "default", "--to", "prometheus", "-o", str(output)]) == 0
    done = subprocess.run([promtool, "check", "rules", output], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SUCCESS" in done.stdout


def test_promtool_and_our_engine_agree_on_the_unit_tests_of_the_default_pack(
    promtool: Path, capsys: pytest.CaptureFixture[str]
):
    status = main(["alerts", "test", "default", "--oracle", str(promtool), "--json"])
    (told,) = json.loads(capsys.readouterr().out)["files"]
    assert (status, told["problems"], told["failures"], told["oracle"]) == (0, [], [], "")
    assert told["tests"] > 20


@pytest.mark.parametrize("is_native", [True, False])
def test_metrics_by_otlp_fire_in_prometheus_as_the_alerts_that_we_would_make(
    prometheus: Path, alertmanager: Path, tmp_path: Path, *, is_native: bool
):
    rules = compiled(tmp_path, RULES, "--to", "prometheus")
    with running_alertmanager(alertmanager, tmp_path) as pager:
        configuration = tmp_path / "prometheus.yaml"
        address = pager.url.removeprefix("http://")
        configuration.write_text(PROMETHEUS.format(rules=rules, alertmanager=address))
        flags = ("--enable-feature=native-histograms",)
        with running_prometheus(prometheus, configuration, tmp_path, flags) as server:
            exporter = OTLPMetricExporter(
                f"{server.otlp_endpoint}/v1/metrics",
                preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()}
                if is_native
                else None,
            )
            reader = PeriodicExportingMetricReader(exporter, export_interval_millis=200)
            meters = MeterProvider([reader], resource=BOT)
            meter = meters.get_meter("desk")
            meter.create_up_down_counter("desk.left", "By").add(100, {"cpu": 1})
            wait = meter.create_histogram(
                "desk.wait", "s", explicit_bucket_boundaries_advisory=[0.00001, 0.1, 1, 5]
            )

            def are_both_there(alerts: Sequence[object]) -> bool:
                wait.record(0.5, {"trading.venue.name": "kraken"})
                return len(alerts) >= 2

            alerts = pager.wait_for(are_both_there)
            meters.shutdown()
    found = {tuple(sorted(alert["labels"].items())) for alert in alerts}
    slow, low, _ = load_rules(tmp_path / "alerts.yaml").rules
    sender = (("job", "desk/bot"),)
    assert found == {
        labels_of(slow, (("instance", "a"), *sender, ("trading_venue_name", "kraken"))),
        labels_of(low, sender),
    }


def test_the_filter_passes_what_event_rules_ask_for_and_nothing_else(otelcol: Path, tmp_path: Path):
    layer = yaml.safe_load(compiled(tmp_path, EVENTS, "--to", "ottl").read_text())
    configuration = _collector({"filter/alerts": layer["processors"]["filter/alerts"]})
    (tmp_path / "collector.yaml").write_text(yaml.safe_dump(configuration))
    with running_collector(otelcol, tmp_path / "collector.yaml", tmp_path) as collector:
        _record(collector.endpoint)
        told = collector.wait_for(lambda telemetry: len(telemetry.spans) >= 2 and len(telemetry.logs) >= 1)
        log = collector.server.log_tail()
    assert sorted(str(span.attributes["n"]) for span in told.spans) == ["1", "2"]
    assert [record.attributes["n"] for record in told.logs] == [1]
    assert "deprecated" not in log
    assert "error" not in log.lower().replace('"error_mode"', "")


def test_tail_sampling_takes_the_policy_and_keeps_the_traces_that_alert(otelcol: Path, tmp_path: Path):
    policy = yaml.safe_load(compiled(tmp_path, EVENTS, "--to", "ottl", "--policy", "--lossy").read_text())
    sampling = {"decision_wait": "500ms", "policies": [policy]}
    (tmp_path / "collector.yaml").write_text(
        yaml.safe_dump(_collector({"tail_sampling": sampling}, logs=False))
    )
    with running_collector(otelcol, tmp_path / "collector.yaml", tmp_path) as collector:
        _record(collector.endpoint, logs=False)
        told = collector.wait_for(lambda telemetry: len(telemetry.spans) >= 2)
    assert sorted(str(span.attributes["n"]) for span in told.spans) == ["1", "2"]


def _collector(processors: dict[str, object], *, logs: bool = True) -> dict[str, object]:
    """The collector of the other tests, with processors."""
    configuration = yaml.safe_load((Path(__file__).parents[1] / "otlp_to_file.yaml").read_text())
    pipelines = configuration["service"]["pipelines"]
    used = ("traces", "logs") if logs else ("traces",)
    configuration["service"]["pipelines"] = {
        name: {**pipelines[name], "processors": list(processors)} for name in used
    }
    return {**configuration, "processors": processors}


def _record(endpoint: str, *, logs: bool = True) -> None:
    """Spans 1 and 2 and log event 1 are asked for; all others miss it by one thing."""
    traces = TracerProvider(resource=BOT)
    traces.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    tracer = traces.get_tracer("desk")

    def span(number: int, name: str, venue: object, seconds: float, status: StatusCode) -> None:
        started = tracer.start_span(name, attributes={"n": number, "venue": venue}, start_time=10**18)  # type: ignore[dict-item]  # any type is meant
        started.set_status(status)
        started.end(10**18 + int(seconds * 1e9))

    span(1, "order", "kraken", 1.0, StatusCode.ERROR)
    span(2, "order", 3, 2.0, StatusCode.ERROR)
    span(3, "order", "kraken", 0.9, StatusCode.ERROR)
    span(4, "order", "kraken", 1.0, StatusCode.OK)
    span(5, "order", "binance", 1.0, StatusCode.ERROR)
    span(6, "fill", "kraken", 1.0, StatusCode.ERROR)
    traces.shutdown()
    if logs:
        _emit(endpoint, BOT, lambda logger: logger(1, "order.retry"))
        _emit(endpoint, BOT, lambda logger: logger(2, "order.new"))
        _emit(endpoint, Resource({"service.name": "test"}), lambda logger: logger(3, "order.retry"))


def _emit(endpoint: str, resource: Resource, say: Callable[[Callable[[int, str], None]], None]) -> None:
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    logger = provider.get_logger("desk")
    say(lambda number, name: logger.emit(event_name=name, attributes={"n": number}))
    provider.shutdown()
