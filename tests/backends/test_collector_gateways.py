"""Two tiers of gateways: whole traces whatever way their spans came, and the right ones kept."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from scripts.collector import CONFIGURATIONS, Collector, running_collector
from scripts.collector_alerts import texts
from scripts.otlp_client import post
from scripts.servers import free_port
from tickspan.received import ReceivedSpan, Telemetry

pytestmark = pytest.mark.backends

_TO_FILE = Path(__file__).with_name("otlp_to_file.yaml")
_INGEST = ("gateway/common.yaml", "gateway/ingest.yaml", "gateway/static_shards.yaml")
_SAMPLING = ("gateway/common.yaml", "gateway/sampling.yaml")
_RULES = """
version: 1
rules:
  - name: UnsafeRetry
    kind: event
    span: step 2
    where: {trading.order.retry.safe: "false"}
    window: 1m
"""
_SPANS = 4
_KINDS: Mapping[str, int] = {"order": 500, "alert": 50, "error": 50, "rest": 400}
_TRACES_A_REQUEST = 50
_KEPT_PERCENT = 20


def _attribute(key: str, text: str) -> KeyValue:
    attribute = KeyValue(key=key)
    attribute.value.string_value = text
    return attribute


def _span(kind: str, trace_id: bytes, number: int) -> Span:
    """The third span of a trace tells what is special about it."""
    span = Span(name=f"step {number}", trace_id=trace_id, span_id=os.urandom(8))
    span.attributes.append(_attribute("kind", kind))
    if number == 2 and kind == "order":
        span.attributes.append(_attribute("trading.order.client_id", "o-1"))
    elif number == 2 and kind == "alert":
        span.attributes.add(key="trading.order.retry.safe").value.bool_value = False
    elif number == 2 and kind == "error":
        span.status.code = Status.STATUS_CODE_ERROR
    return span


def _requests(traces: Sequence[tuple[str, bytes]], number: int) -> Iterator[ExportTraceServiceRequest]:
    """One span of each trace, in requests of some traces."""
    for start in range(0, len(traces), _TRACES_A_REQUEST):
        request = ExportTraceServiceRequest()
        of_resource = request.resource_spans.add()
        of_resource.resource.attributes.append(_attribute("service.name", "bot"))
        part = traces[start : start + _TRACES_A_REQUEST]
        of_resource.scope_spans.add().spans.extend(_span(kind, id_, number) for kind, id_ in part)
        yield request


@dataclass(frozen=True, slots=True)
class Kept:
    """What two samplers sent on, apart, and what was sent to them."""

    shards: tuple[Telemetry, Telemetry]
    sent: Mapping[str, str]
    """The kind of each trace, by id."""
    logs: tuple[str, ...]
    """What agent and gateways wrote."""

    def ids(self, kind: str) -> set[str]:
        return {trace_id for trace_id, of in self.sent.items() if of == kind}

    @property
    def spans(self) -> list[ReceivedSpan]:
        return [span for shard in self.shards for span in shard.spans]


def _metric_total(telemetry: Telemetry, name: str) -> int:
    """The newest value of each series of a counter, added up."""
    points = [point for metric in telemetry.metrics if metric.name == name for point in metric.points]
    newest = {json.dumps(dict(point.attributes), sort_keys=True): point for point in points}
    return int(sum(point.value or 0 for point in newest.values()))


@pytest.fixture(scope="module")
def kept(otelcol: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Half of each trace's spans comes by an agent and one gateway, the other half by another gateway."""
    traces = [(kind, os.urandom(16)) for kind, count in _KINDS.items() for _ in range(count)]
    ports = [free_port(), free_port()]
    alerts = tmp_path_factory.mktemp("alerts")
    (alerts / "rules.yaml").write_text(_RULES)
    (alerts / "policy.yaml").write_text(texts(alerts / "rules.yaml")["policy.yaml"])
    logs: list[Path] = []
    with ExitStack() as running:

        def start(name: str, files: Sequence[Path], **variables: str) -> Collector:
            folder = tmp_path_factory.mktemp(name)
            environment = {f"TICKSPAN_COLLECTOR_{key}": value for key, value in variables.items()}
            collector = running.enter_context(running_collector(otelcol, files, folder, environment))
            logs.append(collector.server.log)
            return collector

        stores = [start(f"store-{port}", [_TO_FILE]) for port in ports]
        for port, store in zip(ports, stores, strict=True):
            start(
                f"sampler-{port}",
                [CONFIGURATIONS / name for name in _SAMPLING],
                BACKEND=store.endpoint,
                SHARD_PORT=str(port),
                ALERTS=str(alerts),
                DECISION_WAIT="6s",
                KEPT_PERCENT=str(_KEPT_PERCENT),
                INSTANCE=f"sampler-{port}",
            )
        shards = ",".join(f"127.0.0.1:{port}" for port in ports)
        files = [CONFIGURATIONS / name for name in _INGEST]
        first, second = (
            start(f"ingest-{name}", files, SHARD_LIST=shards, BACKEND=stores[0].endpoint) for name in "ab"
        )
        agent = start("agent", [CONFIGURATIONS / "agent.yaml"], BACKEND=first.endpoint)
        ways = (agent.endpoint, second.endpoint, agent.endpoint, second.endpoint)
        requests = [list(_requests(traces, number)) for number in range(_SPANS)]
        with ThreadPoolExecutor(4) as pool:
            answers = [
                pool.map(post, repeat(way), of_way) for way, of_way in zip(ways, requests, strict=True)
            ]
            assert {answer for of_way in answers for answer in of_way} == {200}
        for store in stores:
            # Every ten seconds, and the first time a series is told it is 0.
            store.wait_for(lambda told: _metric_total(told, "traces.span.metrics.calls") > 0, timeout_s=60)
    # The samplers have ended: what waited for its decision was decided.
    telemetry = [store.wait_for(lambda telemetry: bool(telemetry.spans)) for store in stores]
    sent = {id_.hex(): kind for kind, id_ in traces}
    return Kept((telemetry[0], telemetry[1]), sent, tuple(log.read_text() for log in logs))


def test_no_trace_is_split_and_no_span_is_lost_or_doubled(kept: Kept):
    counts = [Counter(span.trace_id for span in shard.spans) for shard in kept.shards]
    assert counts[0].keys() & counts[1].keys() == set()
    assert {count for shard in counts for count in shard.values()} == {_SPANS}
    assert len({span.span_id for span in kept.spans}) == len(kept.spans)
    assert min(len(shard) for shard in counts) > 200


@pytest.mark.parametrize("kind", ["order", "alert", "error"])
def test_all_traces_with_an_order_an_alert_or_an_error_are_kept(kept: Kept, kind: str):
    came = {span.trace_id for span in kept.spans}
    assert kept.ids(kind) - came == set()


def test_of_the_rest_about_the_wanted_share_is_kept(kept: Kept):
    came = {span.trace_id for span in kept.spans} & kept.ids("rest")
    assert 0.1 < len(came) / _KINDS["rest"] < 0.3


def test_metrics_of_spans_count_the_dropped_ones_too(kept: Kept):
    totals = [_metric_total(shard, "traces.span.metrics.calls") for shard in kept.shards]
    assert sum(totals) == len(kept.sent) * _SPANS


def test_durations_of_spans_are_in_seconds_and_say_which_sampler_saw_them(kept: Kept):
    metrics = [
        metric
        for shard in kept.shards
        for metric in shard.metrics
        if metric.name == "traces.span.metrics.duration"
    ]
    assert {(metric.unit, metric.kind) for metric in metrics} == {("s", "histogram")}
    assert len({str(metric.resource["service.instance.id"]) for metric in metrics}) == 2


def test_no_gateway_wrote_a_warning(kept: Kept):
    lines = [line for log in kept.logs for line in log.splitlines()]
    assert [line for line in lines if "\twarn\t" in line or "\terror\t" in line] == []


def test_spans_for_a_sampler_that_is_away_wait_on_disk_and_none_is_lost(otelcol: Path, tmp_path: Path):
    here, away = tmp_path / "here", tmp_path / "away"
    here.mkdir()
    away.mkdir()
    port = str(free_port())
    traces = [("order", os.urandom(16)) for _ in range(300)]
    wanted = {trace_id.hex() for _, trace_id in traces}
    files = [CONFIGURATIONS / name for name in _INGEST]
    with running_collector(otelcol, _TO_FILE, here) as sampler:
        environment = {
            "TICKSPAN_COLLECTOR_BACKEND": sampler.endpoint,
            "TICKSPAN_COLLECTOR_SHARD_LIST": f"{sampler.grpc_endpoint.removeprefix('http://')},127.0.0.1:{port}",
        }
        with running_collector(otelcol, files, tmp_path, environment) as gateway:
            assert {post(gateway.endpoint, request) for request in _requests(traces, 0)} == {200}
            sampler.wait_for(lambda telemetry: len(telemetry.spans) > 75)
            os.kill(gateway.server.pid, signal.SIGKILL)
        with (
            running_collector(otelcol, _TO_FILE, away, {"TICKSPAN_COLLECTOR_GRPC_PORT": port}) as other,
            running_collector(otelcol, files, tmp_path, environment),
        ):
            other.wait_for(lambda telemetry: _trace_ids(telemetry) >= wanted - _trace_ids(_now(sampler)))
            parts = (_trace_ids(_now(sampler)), _trace_ids(_now(other)))
    assert (parts[0] | parts[1], parts[0] & parts[1]) == (wanted, set())
    assert min(map(len, parts)) > 75


def _now(collector: Collector) -> Telemetry:
    return collector.wait_for(lambda _: True)


def _trace_ids(telemetry: Telemetry) -> set[str]:
    return {span.trace_id for span in telemetry.spans}
