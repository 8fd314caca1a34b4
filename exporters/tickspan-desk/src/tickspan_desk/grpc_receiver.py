"""GrpcReceiver: OTLP over gRPC, with the limits of the HTTP receiver and the same batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import grpc
from tickspan_spool.receiver import Batch, Limits, Signal
from tickspan_spool.receiver import decode as decode_batch
from tickspan_spool.receiver.refusal import Refusal

__all__ = ["GrpcReceiver"]

_LOGGER = logging.getLogger(__name__)
_SERVICES: Final[Mapping[str, Signal]] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}
_PROTOBUF: Final = {"content-type": "application/x-protobuf"}
_THREADS: Final = 4
_CALLS: Final = 64
"""At once; more are refused with RESOURCE_EXHAUSTED."""
_STOPPING_S: Final = 0.5


class GrpcReceiver:
    """Listens on loopback. `on_batch` is called in threads of its own, possibly several at a time."""

    def __init__(
        self,
        on_batch: Callable[[Batch], None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self._on_batch = on_batch
        self._host, self._port = host, port
        self._limits = limits or Limits()
        self._server: Any = None
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<GrpcReceiver {self.endpoint if self._server else 'stopped'}>"

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://{self._host}:{self._port}"

    def start(self) -> Self:
        """Listen. Raises OSError when the port cannot be had."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tickspan-desk-grpc")
        server: Any = grpc.server(
            self._pool,
            handlers=[_Handlers(self._take)],
            maximum_concurrent_rpcs=_CALLS,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", self._limits.wire_bytes),
                ("grpc.max_metadata_size", 16 * 1024),
                ("grpc.max_connection_idle_ms", 120_000),
            ],
        )
        try:
            self._port = server.add_insecure_port(f"{self._host}:{self._port}")
        except RuntimeError:
            self._pool.shutdown()
            raise OSError(f"cannot listen on {self._host} port {self._port}") from None
        server.start()
        self._server = server
        return self

    def stop(self) -> None:
        """Let calls under way end for half a second, and end all threads."""
        if self._server is not None:
            self._server.stop(_STOPPING_S).wait()
            self._server = None
        if self._pool is not None:
            self._pool.shutdown()

    def _take(self, signal: Signal, wire: bytes, context: Any) -> bytes:
        """The empty answer, which means that everything was taken."""
        try:
            batch = decode_batch(signal, _PROTOBUF, wire, self._limits)
        except Refusal as refusal:
            is_large = refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if is_large else grpc.StatusCode.INVALID_ARGUMENT
            context.abort(code, refusal.message)
            raise
        try:
            self._on_batch(batch)
        except Exception:
            _LOGGER.exception("a batch of %d %s could not be taken", batch.records, signal)
            context.abort(grpc.StatusCode.INTERNAL, "the receiver's consumer failed")
            raise
        return b""


class _Handlers(grpc.GenericRpcHandler):
    """The three services by their paths; bodies stay bytes until they are counted."""

    def __init__(self, take: Callable[[Signal, bytes, Any], bytes]) -> None:
        self._methods = {
            f"/{service}/Export": grpc.unary_unary_rpc_method_handler(partial(take, signal))
            for service, signal in _SERVICES.items()
        }

    def service(self, handler_call_details: Any) -> Any:
        """The handler; None for a path that is none of OTLP's, which is answered UNIMPLEMENTED."""
        return self._methods.get(handler_call_details.method)
