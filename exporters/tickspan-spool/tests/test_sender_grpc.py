"""The gRPC channel against a real server: the same bytes, OTLP's table, keys and sizes."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")

from google.protobuf.any_pb2 import Any as AnyMessage  # noqa: E402 - behind the skip
from google.protobuf.duration_pb2 import Duration  # noqa: E402
from google.rpc.error_details_pb2 import RetryInfo  # noqa: E402
from google.rpc.status_pb2 import Status  # noqa: E402
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: E402
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from tickspan_spool.sender import Channel, Destination, Outcome, OutcomeKind, open_channel  # noqa: E402

pytestmark = pytest.mark.integration

_DELIVERED = Outcome(OutcomeKind.DELIVERED)

Handler = Callable[[bytes, Any], bytes]
Serve = Callable[..., str]
Open = Callable[..., Channel]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def calls() -> list[tuple[str, bytes, dict[str, str]]]:
    """Method, body and metadata of each call that came."""
    return []


@pytest.fixture
def serve(stack: ExitStack, calls: list[tuple[str, bytes, dict[str, str]]]) -> Serve:
    """Starts a server that answers by a function; gives its address."""

    def start(handler: Handler, credentials: Any = None, options: list[tuple[str, int]] | None = None) -> str:
        server: Any = grpc.server(futures.ThreadPoolExecutor(2), options=options or [])
        server.add_generic_rpc_handlers((_Generic(handler, calls),))
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        return f"127.0.0.1:{port}"

    return start


@pytest.fixture
def open_grpc(stack: ExitStack) -> Open:
    def open_one(target: str, **settings: Any) -> Channel:
        channel = open_channel(Destination("traces", target, protocol="grpc", **settings), environ={})
        stack.callback(channel.close)
        return channel

    return open_one


class _Generic(grpc.GenericRpcHandler):
    def __init__(self, handler: Handler, calls: list[tuple[str, bytes, dict[str, str]]]) -> None:
        self._handler = handler
        self._calls = calls

    def service(self, handler_call_details: Any) -> Any:
        method, metadata = handler_call_details.method, dict(handler_call_details.invocation_metadata)

        def answer(body: bytes, context: Any) -> bytes:
            self._calls.append((method, body, metadata))
            return self._handler(body, context)

        return grpc.unary_unary_rpc_method_handler(answer)


def _accept(_body: bytes, _context: Any) -> bytes:
    return b""


def _refuse(code: Any, message: str, details: bytes = b"") -> Handler:
    def answer(_body: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", details),) if details else ())
        context.abort(code, message)
        return b""

    return answer


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_a_request_is_the_bytes_that_were_given(
    serve: Serve, open_grpc: Open, calls: list[tuple[str, bytes, dict[str, str]]], compression: str
):
    channel = open_grpc(f"http://{serve(_accept)}", headers={"api-key": "k"}, compression=compression)
    channel.use_headers({"x-late": "1"})
    assert [channel.send(b"spans" * 1000, 1), channel.send(b"", 0)] == [_DELIVERED, _DELIVERED]
    methods = [call[0] for call in calls]
    assert methods == ["/opentelemetry.proto.collector.trace.v1.TraceService/Export"] * 2
    assert [call[1] for call in calls] == [b"spans" * 1000, b""]
    metadata = calls[0][2]
    assert (metadata["api-key"], metadata["x-late"]) == ("k", "1")
    assert metadata["user-agent"].startswith("OTel-OTLP-Exporter-tickspan/")


def test_a_partial_success_is_read(serve: Serve, open_grpc: Open):
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="old")
    body = ExportTraceServiceResponse(partial_success=partial).SerializeToString()

    def answer(_body: bytes, _context: Any) -> bytes:
        return body

    channel = open_grpc(serve(answer), insecure=True)
    assert channel.send(b"x", 3) == Outcome(
        OutcomeKind.DELIVERED, rejected=2, explanation="accepted, but 2 of 3 records rejected: old"
    )


def test_codes_and_retry_info_reach_the_table(serve: Serve, open_grpc: Open):
    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=3)))
    details = Status(code=8, details=[packed]).SerializeToString()
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    outcomes = [
        open_grpc(serve(handler), insecure=True).send(b"x", 1)
        for handler in (
            _refuse(exhausted, "quota", details),
            _refuse(exhausted, "quota"),
            _refuse(grpc.StatusCode.INVALID_ARGUMENT, "no"),
            _refuse(grpc.StatusCode.UNAUTHENTICATED, "who are you"),
            _refuse(grpc.StatusCode.ABORTED, "again"),
        )
    ]
    assert outcomes == [
        Outcome(OutcomeKind.RETRY, wait_s=3.0, explanation="answered RESOURCE_EXHAUSTED: quota"),
        Outcome(OutcomeKind.PAUSED, explanation="answered RESOURCE_EXHAUSTED: quota"),
        Outcome(OutcomeKind.DEAD, explanation="answered INVALID_ARGUMENT: no"),
        Outcome(OutcomeKind.PAUSED, explanation="answered UNAUTHENTICATED: who are you"),
        Outcome(OutcomeKind.RETRY, explanation="answered ABORTED: again"),
    ]


def test_a_message_beyond_the_servers_limit_is_split(serve: Serve, open_grpc: Open):
    target = serve(_accept, options=[("grpc.max_receive_message_length", 1000)])
    channel = open_grpc(target, insecure=True)
    assert channel.send(b"x" * 2000, 2).kind is OutcomeKind.SPLIT
    assert channel.send(b"x" * 900, 1) == _DELIVERED


def test_a_server_that_does_not_answer_is_left_at_the_deadline(serve: Serve, open_grpc: Open):
    release = threading.Event()

    def hang(_body: bytes, _context: Any) -> bytes:
        release.wait(10)
        return b""

    channel = open_grpc(serve(hang), insecure=True, timeout_s=0.3)
    outcome = channel.send(b"x", 1)
    release.set()
    assert (outcome.kind, outcome.is_ambiguous) == (OutcomeKind.RETRY, True)
    assert outcome.explanation.startswith("answered DEADLINE_EXCEEDED")
    assert channel.send(b"x", 1) == _DELIVERED


def test_a_server_that_comes_back_is_found_at_once(serve: Serve, open_grpc: Open):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
    channel = open_grpc(place, insecure=True)
    outcome = channel.send(b"x", 1)
    assert (outcome.kind, outcome.is_ambiguous) == (OutcomeKind.RETRY, False)
    server: Any = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((_Generic(_accept, []),))
    server.add_insecure_port(place)
    server.start()
    again = channel.send(b"x", 1)
    server.stop(None).wait()
    assert again == _DELIVERED


def test_a_header_that_grpc_cannot_send_is_told_without_its_value(serve: Serve, open_grpc: Open):
    channel = open_grpc(serve(_accept), insecure=True, headers={"api-key": "sécret"})
    assert channel.send(b"x", 1) == Outcome(
        OutcomeKind.RETRY,
        explanation="gRPC takes header values of printable ASCII only, not those of ['api-key']",
    )


def test_a_missing_certificate_file_is_named(open_grpc: Open, tmp_path: Path):
    missing = str(tmp_path / "ca.pem")
    assert open_grpc("https://127.0.0.1:1", certificate=missing).send(b"x", 1) == Outcome(
        OutcomeKind.RETRY, explanation=f"TLS file {missing}: No such file or directory"
    )


def test_tls_with_both_certificates(serve: Serve, open_grpc: Open, tmp_path: Path):
    certificate, key = _self_signed(tmp_path)
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        root_certificates=certificate.read_bytes(),
        require_client_auth=True,
    )
    target = f"https://{serve(_accept, credentials)}"
    ours = {"client_certificate": str(certificate), "client_key": str(key)}
    assert open_grpc(target, certificate=str(certificate), **ours).send(b"x", 1) == _DELIVERED
    stranger = open_grpc(target, certificate=str(certificate)).send(b"x", 1)
    distrusting = open_grpc(target, **ours).send(b"x", 1)
    assert (stranger.kind, distrusting.kind) == (OutcomeKind.RETRY, OutcomeKind.RETRY)


def _self_signed(directory: Path) -> tuple[Path, Path]:
    certificate, key = directory / "me.crt", directory / "me.key"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=me "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return certificate, key
