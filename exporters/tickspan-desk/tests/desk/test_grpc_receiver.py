"""OTLP over gRPC: a stock exporter's batches, and hostile senders."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from tickspan_desk.grpc_receiver import GrpcReceiver
from tickspan_spool.receiver import Batch, Limits
from tickspan_spool.sender import Destination, OutcomeKind, open_channel

from .conftest import logs, traces

pytestmark = pytest.mark.integration

_TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class Desk:
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.fault: Exception | None = None

    def take(self, batch: Batch) -> None:
        if self.fault is not None:
            raise self.fault
        self.batches.append(batch)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def receiver(desk: Desk) -> Iterator[GrpcReceiver]:
    with GrpcReceiver(desk.take, limits=Limits(wire_bytes=64 << 10, records=500)) as receiver:
        yield receiver


def _call(
    receiver: GrpcReceiver, method: str, body: bytes, compression: grpc.Compression | None = None
) -> str:
    """The status's name."""
    with grpc.insecure_channel(receiver.endpoint.removeprefix("http://")) as channel:
        call = channel.unary_unary(method)
        try:
            call(body, timeout=10, compression=compression)
        except grpc.RpcError as error:
            return error.code().name  # type: ignore[attr-defined]
    return "OK"


def test_a_batch_is_the_same_as_over_http(receiver: GrpcReceiver, desk: Desk):
    body = traces("buy", "sell")
    assert [_call(receiver, _TRACES, body), _call(receiver, _LOGS, logs("filled"))] == ["OK", "OK"]
    told = [(batch.signal, batch.body, batch.records) for batch in desk.batches]
    assert told == [("traces", body, 2), ("logs", logs("filled"), 1)]


def test_our_own_sender_is_answered(receiver: GrpcReceiver, desk: Desk):
    destination = Destination("traces", receiver.endpoint, "grpc", compression="gzip")
    channel = open_channel(destination)
    outcome = channel.send(traces("buy"), 1)
    channel.close()
    assert (outcome.kind, [batch.records for batch in desk.batches]) == (OutcomeKind.DELIVERED, [1])


def test_the_stub_of_the_stock_exporter_is_answered(receiver: GrpcReceiver, desk: Desk):
    request = ExportTraceServiceRequest.FromString(traces("buy"))
    with grpc.insecure_channel(receiver.endpoint.removeprefix("http://")) as channel:
        answer = TraceServiceStub(channel).Export(request, timeout=10, compression=grpc.Compression.Gzip)
    assert (answer, [batch.message for batch in desk.batches]) == (ExportTraceServiceResponse(), [request])


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        (_TRACES, b"\xff\xff\xff\xff", "INVALID_ARGUMENT"),
        (_TRACES, b"\x0a\x7f", "INVALID_ARGUMENT"),
        (_TRACES, b"\x0a\x00" * 40_000, "RESOURCE_EXHAUSTED"),
        (_TRACES, bytes(100_000), "RESOURCE_EXHAUSTED"),
        (_TRACES.replace("Export", "Import"), b"", "UNIMPLEMENTED"),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"", "UNIMPLEMENTED"),
    ],
)
def test_a_hostile_sender_gets_an_answer(
    receiver: GrpcReceiver, desk: Desk, method: str, body: bytes, status: str
):
    statuses = [_call(receiver, method, body), _call(receiver, _TRACES, traces("buy"))]
    assert (statuses, [batch.records for batch in desk.batches]) == ([status, "OK"], [1])


def test_many_spans_that_are_small_on_the_wire_are_refused(receiver: GrpcReceiver, desk: Desk):
    names = [str(number) for number in range(501)]
    assert _call(receiver, _TRACES, traces(*names)[: 64 << 10]) in {"RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"}
    assert desk.batches == []


def test_a_bomb_is_not_inflated(receiver: GrpcReceiver, desk: Desk):
    bomb = b"\xfa\x01\x80\x80\x80\x02" + bytes(4 << 20)
    assert _call(receiver, _TRACES, bomb, grpc.Compression.Gzip) == "RESOURCE_EXHAUSTED"
    assert desk.batches == []


def test_bytes_that_are_no_http2_do_no_harm(receiver: GrpcReceiver, desk: Desk):
    host, port = receiver.endpoint.removeprefix("http://").split(":")
    for junk in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
    ):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(junk)
    assert (_call(receiver, _TRACES, traces("buy")), len(desk.batches)) == ("OK", 1)


def test_a_fault_of_the_consumer_is_told_to_the_sender(receiver: GrpcReceiver, desk: Desk):
    desk.fault = OSError("the disk is full")
    assert _call(receiver, _TRACES, traces("buy")) == "INTERNAL"


def _threads() -> Counter[str]:
    return Counter(thread.name for thread in threading.enumerate())


def test_no_thread_is_left(desk: Desk):
    before = _threads()
    with GrpcReceiver(desk.take) as receiver:
        _call(receiver, _TRACES, traces("buy"))
    deadline_s = time.monotonic() + 5.0  # gRPC's own last thread is told of the end, and not awaited
    while (left := _threads() - before) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert left == Counter()


def test_a_port_that_is_taken_is_an_error(receiver: GrpcReceiver, desk: Desk):
    port = int(receiver.endpoint.rpartition(":")[2])
    with pytest.raises(OSError, match="cannot listen"):
        GrpcReceiver(desk.take, port=port).start()
