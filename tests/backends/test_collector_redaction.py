"""The second net for secrets: what a gateway lets through of telemetry that was not cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from scripts.collector import CONFIGURATIONS, Collector, running_collector
from scripts.otlp_client import post
from tickspan.received import Telemetry

pytestmark = pytest.mark.backends

_SECRET = "hunter2hunter2hunter2"
_TEXTS = {
    "bearer": f"sent Bearer {_SECRET}",
    "basic": f"authorization: Basic {_SECRET}=",
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.{_SECRET}.{_SECRET}",
    "pem": f"-----BEGIN PRIVATE KEY-----\n{_SECRET}\n{_SECRET}\n-----END PRIVATE KEY-----",
    "url": f"postgresql://bot:{_SECRET}@db.example.com/trades",
    "assigned": f'failed with {{"api_key": "{_SECRET}", "side": "buy"}}',
    "query": f"GET /orders?symbol=BTC&signature={_SECRET}&side=buy",
    "issuer": f"sk_live_{_SECRET}",
    "telegram": f"12345678:AA{_SECRET}{_SECRET}",
}
"""Texts of any place with a secret in them, by what tells that it is one."""
_KEYS = (
    "password",
    "db.password",
    "x_api_key",
    "apiKey",
    "api-secret",
    "listenKey",
    "http.request.header.authorization",
    "http.response.header.set-cookie",
    "exchange.secret",
    "order.signature",
    "session_token",
)
"""Keys whose values are secrets, whatever they look like."""
_HARMLESS = {
    "trading.order.client_id": "x-A6SIDXVS1d2f9a0b4c3e4f5a",
    "trading.order.venue_id": "28457631920",
    "gen_ai.usage.output_tokens": "7",
    "db.query.text": "SELECT token FROM sessions WHERE id = ?",
    "url.full": "https://api.example.com/v3/order?symbol=BTCUSDT",
    "tickspan.alert.fingerprint": "00c0ffee00c0ffee",
}
"""What only looks like it."""


def _text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def _planted() -> list[KeyValue]:
    """Every secret under every key or in every form: as text, in a list, in a map."""
    texts = [KeyValue(key=f"text.{name}", value=_text(text)) for name, text in _TEXTS.items()]
    keys = [KeyValue(key=key, value=_text(_SECRET)) for key in _KEYS]
    listed = AnyValue(array_value=ArrayValue(values=[_text(_TEXTS["bearer"])]))
    fields = KeyValueList(values=[KeyValue(key="note", value=_text(_TEXTS["jwt"]))])
    nested = [KeyValue(key="list", value=listed), KeyValue(key="map", value=AnyValue(kvlist_value=fields))]
    pin = KeyValue(key="account.password", value=AnyValue(int_value=4242424242))
    return [*texts, *keys, *nested, pin]


def _harmless() -> list[KeyValue]:
    return [KeyValue(key=key, value=_text(value)) for key, value in _HARMLESS.items()]


def _traces() -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.extend(_planted())
    scope = of_resource.scope_spans.add()
    scope.scope.attributes.extend(_planted())
    span = scope.spans.add(name=f"GET /x?token={_SECRET}", trace_id=b"\1" * 16, span_id=b"\2" * 8)
    span.attributes.extend([*_planted(), *_harmless()])
    span.status.code, span.status.message = Status.STATUS_CODE_ERROR, _TEXTS["assigned"]
    event = span.events.add(name=f"password={_SECRET}")
    event.attributes.extend(_planted())
    scope.spans.add(name="create_order", trace_id=b"\1" * 16, span_id=b"\3" * 8)
    return request


def _metrics() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    of_resource.resource.attributes.extend(_planted())
    metric = of_resource.scope_metrics.add().metrics.add(name="orders")
    metric.gauge.data_points.add(as_int=1).attributes.extend([*_planted(), *_harmless()])
    return request


def _logs() -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    record = scope.log_records.add(body=_text("; ".join(_TEXTS.values())))
    record.attributes.extend([*_planted(), *_harmless()])
    scope.log_records.add(body=AnyValue(kvlist_value=KeyValueList(values=_planted())))
    scope.log_records.add(body=_text("order filled"))
    return request


@pytest.fixture(scope="module")
def passed(otelcol: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Telemetry, bytes]]:
    """What a gateway sent on, decoded and as it was written."""
    folder = tmp_path_factory.mktemp("gateway")
    to_file = Path(__file__).with_name("otlp_to_file.yaml")
    files = [CONFIGURATIONS / name for name in ("gateway/common.yaml", "gateway/ingest.yaml")]
    with running_collector(otelcol, to_file, tmp_path_factory.mktemp("store")) as store:
        environment = {
            "TICKSPAN_COLLECTOR_BACKEND": store.endpoint,
            "TICKSPAN_COLLECTOR_SHARDS": "127.0.0.1",
            "TICKSPAN_COLLECTOR_SHARD_PORT": store.grpc_endpoint.rpartition(":")[2],
        }
        with running_collector(otelcol, files, folder, environment) as gateway:
            answers = [post(gateway.endpoint, request) for request in (_traces(), _metrics(), _logs())]
            assert answers == [200, 200, 200]
            yield _all_of(store), store.output.read_bytes()


def _all_of(store: Collector) -> Telemetry:
    return store.wait_for(lambda came: (len(came.spans), len(came.metrics), len(came.logs)) == (2, 1, 3))


def test_no_secret_passes_anywhere(passed: tuple[Telemetry, bytes]):
    written = passed[1]
    assert (_SECRET.encode() in written, b"4242424242" in written) == (False, False)


def test_what_only_looks_like_a_secret_passes_as_it_is(passed: tuple[Telemetry, bytes]):
    telemetry = passed[0]
    places = (
        telemetry.spans[0].attributes,
        telemetry.metrics[0].points[0].attributes,
        telemetry.logs[0].attributes,
    )
    assert [{key: place[key] for key in _HARMLESS} for place in places] == [_HARMLESS] * 3


def test_names_and_messages_stay_but_for_the_secret(passed: tuple[Telemetry, bytes]):
    loud, plain = passed[0].spans
    assert (loud.name, loud.status.description, loud.events[0].name, plain.name) == (
        "GET /x?****",
        'failed with {"****", "side": "buy"}',
        "****",
        "create_order",
    )


def test_a_span_without_a_secret_gets_no_attribute(passed: tuple[Telemetry, bytes]):
    assert dict(passed[0].spans[1].attributes) == {}


def test_what_was_masked_is_counted_where_it_was(passed: tuple[Telemetry, bytes]):
    span, planted = passed[0].spans[0], len(_planted())
    # its name and its message count too
    assert span.attributes["redaction.masked.count"] == planted + 2
    assert span.resource["redaction.masked.count"] == planted
    assert passed[0].logs[2].body == "order filled"
