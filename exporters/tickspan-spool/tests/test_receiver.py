"""The receiver with the stock exporters and with plain HTTP."""

import errno
import gzip
import http.client
import json
import logging
import socket
import threading
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from tickspan_spool.receiver import Batch, Receiver, ReceiverStatistics, Response

pytestmark = pytest.mark.integration

_PROTOBUF = {"Content-Type": "application/x-protobuf"}
_COMPRESSIONS = [Compression.NoCompression, Compression.Gzip, Compression.Deflate]


@pytest.fixture
def batches() -> list[Batch]:
    return []


@pytest.fixture
def receiver(batches: list[Batch], capfd: pytest.CaptureFixture[str]) -> Iterator[Receiver]:
    threads = set(threading.enumerate())
    with Receiver(batches.append) as receiver:
        yield receiver
    assert set(threading.enumerate()) == threads
    assert capfd.readouterr() == ("", "")


def _connect(receiver: Receiver) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(receiver.endpoint).netloc, timeout=10)


def _ask(
    receiver: Receiver,
    body: bytes,
    headers: dict[str, str] = _PROTOBUF,
    path: str = "/v1/traces",
    method: str = "POST",
) -> tuple[int, str | None, bytes]:
    connection = _connect(receiver)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


def _spans(count: int = 1) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for index in range(count):
        scope.spans.add(name=f"order {index}")
    return request.SerializeToString()


@pytest.mark.parametrize("compression", _COMPRESSIONS)
def test_spans_of_the_stock_exporter_arrive(
    receiver: Receiver, batches: list[Batch], compression: Compression
):
    provider = TracerProvider()
    exporter = OTLPSpanExporter(f"{receiver.endpoint}/v1/traces", compression=compression)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for name in ("order 1", "order 2"):
        provider.get_tracer("bot").start_span(name).end()
    provider.shutdown()
    assert [_span_names(batch) for batch in batches] == [["order 1"], ["order 2"]]
    assert receiver.statistics().spans == 2


@pytest.mark.parametrize("compression", _COMPRESSIONS)
def test_metrics_of_the_stock_exporter_arrive(
    receiver: Receiver, batches: list[Batch], compression: Compression
):
    exporter = OTLPMetricExporter(f"{receiver.endpoint}/v1/metrics", compression=compression)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)])
    counter = provider.get_meter("bot").create_counter("orders")
    counter.add(1, {"side": "buy"})
    counter.add(1, {"side": "sell"})
    provider.shutdown()
    assert [(batch.signal, batch.records) for batch in batches] == [("metrics", 2)]
    assert receiver.statistics().metric_points == 2


@pytest.mark.parametrize("compression", _COMPRESSIONS)
def test_logs_of_the_stock_exporter_arrive(
    receiver: Receiver, batches: list[Batch], compression: Compression
):
    provider = LoggerProvider()
    exporter = OTLPLogExporter(f"{receiver.endpoint}/v1/logs", compression=compression)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("bot").emit(body="filled")
    provider.shutdown()
    assert [(batch.signal, batch.records) for batch in batches] == [("logs", 1)]
    assert b"filled" in batches[0].body
    assert receiver.statistics().log_records == 1


def test_a_json_sender_is_answered_in_json(receiver: Receiver, batches: list[Batch]):
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "hi"}}]}]}]})
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert _ask(receiver, body.encode(), headers, "/v1/logs") == (200, "application/json", b"{}")
    assert [(batch.signal, batch.records, batch.body) for batch in batches] == [("logs", 1, body.encode())]


def test_a_batch_holds_the_plain_body_and_the_headers_but_shows_neither(
    receiver: Receiver, batches: list[Batch]
):
    headers = {**_PROTOBUF, "Content-Encoding": "deflate", "X-Api-Key": "hunter2"}
    assert _ask(receiver, zlib.compress(_spans()), headers) == (200, "application/x-protobuf", b"")
    assert batches[0].body == _spans()
    assert batches[0].headers["x-api-key"] == "hunter2"
    assert repr(batches[0]) == "Batch(signal='traces', records=1)"


def test_a_chunked_body_is_read(receiver: Receiver, batches: list[Batch]):
    connection = _connect(receiver)
    body = gzip.compress(_spans(3))
    connection.request(
        "POST", "/v1/traces", iter([body[:5], body[5:]]), {**_PROTOBUF, "Content-Encoding": "gzip"}
    )
    assert connection.getresponse().status == 200
    connection.close()
    assert [batch.records for batch in batches] == [3]


def test_an_empty_request_is_accepted(receiver: Receiver, batches: list[Batch]):
    assert _ask(receiver, b"") == (200, "application/x-protobuf", b"")
    assert [batch.records for batch in batches] == [0]


def test_one_connection_serves_many_requests(receiver: Receiver):
    connection = _connect(receiver)
    statuses: list[int] = []
    for _ in range(5):
        connection.request("POST", "/v1/traces", _spans(), _PROTOBUF)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200] * 5
    counts = receiver.statistics()
    assert (counts.connections, counts.requests, counts.spans) == (1, 5, 5)


def test_a_sender_that_waits_for_100_continue_gets_it(receiver: Receiver):
    with _raw(receiver) as connection:
        connection.sendall(
            _head("Content-Type: application/json", "Content-Length: 2", "Expect: 100-continue")
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n")
        connection.sendall(b"{}")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_statistics_tell_what_came_and_survive_the_stop():
    receiver = Receiver().start()
    body = gzip.compress(_spans(2))
    _ask(receiver, body, {**_PROTOBUF, "Content-Encoding": "gzip"})
    _ask(receiver, b"\xff")
    _ask(receiver, b"", path="/")
    receiver.stop()
    assert receiver.statistics() == ReceiverStatistics(
        connections=3,
        requests=3,
        refused={"malformed": 1, "path": 1},
        spans=2,
        metric_points=0,
        log_records=0,
        wire_bytes=len(body),
        body_bytes=len(_spans(2)),
    )
    assert repr(receiver) == "<Receiver stopped, 3 requests, 2 refused>"


def test_a_scripted_answer_goes_to_the_sender_and_the_batch_nowhere(batches: list[Batch]):
    script = iter([Response(503, {"Retry-After": "7"}, b"later"), Response(200, body=b"\x0a\x00"), None])
    with Receiver(batches.append, answer=lambda _: next(script)) as receiver:
        answers = [_ask(receiver, _spans(count)) for count in (1, 2, 3)]
        refused = receiver.statistics().refused
    assert [(status, body) for status, _, body in answers] == [
        (503, b"later"),
        (200, b"\x0a\x00"),
        (200, b""),
    ]
    assert [batch.records for batch in batches] == [2, 3]
    assert refused == {"scripted": 1}


def test_a_failing_consumer_is_logged_and_its_sender_gets_500(caplog: pytest.LogCaptureFixture):
    def fail(_: Batch) -> None:
        raise ZeroDivisionError

    with Receiver(fail) as receiver, caplog.at_level(logging.ERROR):
        status, content_type, body = _ask(receiver, _spans())
        refused = receiver.statistics().refused
    assert (status, content_type, b"consumer failed" in body) == (500, "application/x-protobuf", True)
    assert [record.message for record in caplog.records] == [
        "on_batch or answer failed for a batch of 1 traces"
    ]
    assert refused == {"fault": 1}


def test_calls_of_the_consumer_never_overlap():
    inside = threading.Lock()
    overlaps: list[bool] = []

    def consume(_: Batch) -> None:
        overlaps.append(not inside.acquire(blocking=False))
        threading.Event().wait(0.01)
        inside.release()

    with Receiver(consume) as receiver:
        senders = [threading.Thread(target=_ask, args=(receiver, _spans())) for _ in range(8)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert overlaps == [False] * 8


def test_a_busy_port_is_said_in_one_line():
    with Receiver() as first:
        port = urlsplit(first.endpoint).port
        assert port
        with pytest.raises(
            OSError, match=f"cannot listen on 127.0.0.1 port {port}: .*in use.*another port"
        ) as caught:
            Receiver(port=port).start()
    assert caught.value.errno == errno.EADDRINUSE


def test_a_receiver_starts_again_on_its_port():
    with Receiver() as first:
        port = urlsplit(first.endpoint).port
        assert port
        _ask(first, _spans())
    with Receiver(port=port) as second:
        assert _ask(second, _spans())[0] == 200


def test_a_receiver_that_does_not_listen_says_so():
    receiver = Receiver()
    receiver.stop()
    with pytest.raises(RuntimeError, match="does not listen"):
        _ = receiver.endpoint
    with receiver, pytest.raises(RuntimeError, match="already listens"):
        receiver.start()


def test_stopping_ends_connections_that_only_wait():
    threads = set(threading.enumerate())
    receiver = Receiver().start()
    idle, half = _raw(receiver), _raw(receiver)
    half.sendall(_head("Content-Type: application/json", "Content-Length: 100"))
    _ask(receiver, b"")  # by now the two are accepted
    receiver.stop()
    assert set(threading.enumerate()) == threads
    assert idle.recv(10) == b""
    idle.close()
    half.close()


def _span_names(batch: Batch) -> list[str]:
    assert isinstance(batch.message, ExportTraceServiceRequest)
    return [span.name for span in batch.message.resource_spans[0].scope_spans[0].spans]


def _raw(receiver: Receiver) -> socket.socket:
    where = urlsplit(receiver.endpoint)
    return socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=10)


def _head(*lines: str) -> bytes:
    return "\r\n".join(("POST /v1/logs HTTP/1.1", "Host: x", *lines, "", "")).encode()
