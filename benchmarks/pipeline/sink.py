"""The sink: OTLP over HTTP and gRPC and Datadog's agent protocol, in a process of its own.

It keeps the bodies as they come, and decodes and compares only when asked, after the contenders' clocks have
stopped: what a receiver's decoding costs is nobody's latency.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from benchmarks.sidebyside.lines import answer, questions

from .comparing import Comparing

_OTLP: Final = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}
_DATADOG: Final = {"/v0.4/traces": "datadog-4", "/v0.5/traces": "datadog-5"}
_GRPC: Final = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
}
_POLL_S: Final = 0.02


class Kept:
    """Bodies that have come and were not looked at yet; safe for use by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bodies: list[tuple[str, bytes]] = []

    def add(self, kind: str, body: bytes) -> None:
        """Keep one."""
        with self._lock:
            self._bodies.append((kind, body))

    def take(self) -> list[tuple[str, bytes]]:
        """All that came since the last time."""
        with self._lock:
            bodies, self._bodies = self._bodies, []
        return bodies


def main(protocol: str = "http", port: str = "0") -> None:
    """Say the endpoints; then answer what has come, as soon as it is as much as expected.

    `port` is that of `protocol`, "http" or "grpc"; the system chooses the other one.
    """
    kept = Kept()
    comparing = Comparing()
    asked = {protocol: int(port)}
    with _http(kept, asked.get("http", 0)) as http_port, _grpc(kept, asked.get("grpc", 0)) as grpc_port:
        answer({"http": f"http://127.0.0.1:{http_port}", "grpc": grpc_port and f"127.0.0.1:{grpc_port}"})
        for question in questions():
            answer(_ANSWERS[question.pop("ask")](kept, comparing, **question))


def _clear(kept: Kept, comparing: Comparing) -> None:
    """Forget all."""
    kept.take()
    comparing.clear()


def _await(kept: Kept, comparing: Comparing, signal: str, count: int, patience_s: float) -> dict[str, Any]:
    """What has come of a signal, when it is `count` or when nothing more came for `patience_s`."""
    quiet_since = time.monotonic()
    while True:
        bodies = kept.take()
        for kind, body in bodies:
            comparing.take(kind, body)
        if bodies:
            quiet_since = time.monotonic()
        if comparing.count(signal) >= count or time.monotonic() - quiet_since > patience_s:
            return comparing.findings(signal, count)
        time.sleep(_POLL_S)


_ANSWERS: Final[dict[str, Callable[..., Any]]] = {"clear": _clear, "await": _await}


@contextlib.contextmanager
def _http(kept: Kept, port: int) -> Generator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self._body()
            kind = _OTLP.get(self.path) or _DATADOG.get(self.path)
            if kind is None:
                self._answer(404, b"")
                return
            kept.add(kind, body)
            self._answer(200, b"{}" if self.path in _DATADOG else b"")

        do_PUT = do_POST  # noqa: N815 - the name that the base class looks for

        def do_GET(self) -> None:
            # An agent says what it can; contenders that do not ask lose nothing.
            known = b'{"endpoints": ["/v0.4/traces", "/v0.5/traces"], "client_drop_p0s": false}'
            self._answer(200 if self.path == "/info" else 404, known)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Say nothing: what came is told when asked."""

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            chunks: list[bytes] = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)

        def _answer(self, status: int, body: bytes) -> None:
            kind = "Content-Type: application/json"
            head = f"HTTP/1.1 {status} -\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="bench-sink", daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def _grpc(kept: Kept, port: int) -> Generator[int]:
    """A port, or 0 where there is no grpcio."""
    try:
        import grpc
    except ImportError:
        yield 0
        return

    class Service(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> Any:
            kind = _GRPC.get(handler_call_details.method)
            if kind is None:
                return None

            def export(body: bytes, context: Any) -> bytes:
                del context
                kept.add(kind, body)
                return b""

            return grpc.unary_unary_rpc_method_handler(export)  # without codecs: bytes in, bytes out

    server: Any = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Service(),))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield bound
    finally:
        server.stop(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
