"""gRPC server: the same back end as `Server` over OTLP/gRPC; grpcio is imported when one is made."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from tickspan_spool.receiver import Batch, Limits, Signal, decode

from .answers import ACCEPT, Answer, Script

CODES: Final = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
    16: "UNAUTHENTICATED",
}
RETRY_INFO: Final = "retry-info"
"""Header of an `Answer` that becomes a `google.rpc.RetryInfo`: seconds, or "noise"."""
_LIMITS: Final = Limits(wire_bytes=64 * 2**20, inflated_bytes=64 * 2**20)
_HEADERS: Final = {"content-type": "application/x-protobuf"}
_PACKAGE: Final = "/opentelemetry.proto.collector"
_METHODS: Final[dict[str, Signal]] = {
    f"{_PACKAGE}.trace.v1.TraceService/Export": "traces",
    f"{_PACKAGE}.metrics.v1.MetricsService/Export": "metrics",
    f"{_PACKAGE}.logs.v1.LogsService/Export": "logs",
}


class GrpcServer:
    """Listens on loopback. Statuses of the script are codes of gRPC, 200 is OK."""

    def __init__(self, on_batch: Callable[[Batch, int], None], script: Script) -> None:
        self._grpc: Any = importlib.import_module("grpc")
        self._on_batch = on_batch
        self._script = script
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._first: dict[str, float] = {}
        self._is_healed = threading.Event()
        self.unreadable = 0
        options = (("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0))
        self._server: Any = self._grpc.server(ThreadPoolExecutor(8), options=options)
        self._server.add_generic_rpc_handlers((_Handlers(self._grpc, self._export),))
        self.address: tuple[str, int] = ("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop(0.2).wait(5.0)

    def __repr__(self) -> str:
        return f"<GrpcServer on port {self.address[1]}, {sum(self._numbers.values())} calls>"

    def begin(self) -> None:
        """Nothing depends on when the faults begin."""

    def heal(self) -> None:
        """Accept everything from now on."""
        self._is_healed.set()

    def _export(self, signal: Signal, body: bytes, context: Any) -> bytes:
        try:
            batch = decode(signal, _HEADERS, body, _LIMITS)
        except Exception as error:
            self.unreadable += 1
            context.abort(self._grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise
        answer = ACCEPT if self._is_healed.is_set() else self._scripted(signal)
        if answer.max_records is not None and batch.records <= answer.max_records:
            answer = ACCEPT
        if answer.takes:
            with self._lock:
                self._on_batch(batch, answer.rejects)
        time.sleep(answer.delay_s)
        if answer.status in CODES:
            self._refuse(answer, context)
        return answer.body

    def _scripted(self, signal: Signal) -> Answer:
        with self._lock:
            number = self._numbers.get(signal, 0)
            self._numbers[signal] = number + 1
            elapsed_s = time.monotonic() - self._first.setdefault(signal, time.monotonic())
        return self._script.answer(number, elapsed_s)

    def _refuse(self, answer: Answer, context: Any) -> None:
        details = _details(answer.headers.get(RETRY_INFO))
        if details is not None:
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(
            getattr(self._grpc.StatusCode, CODES[answer.status]), answer.body.decode() or "scripted"
        )


class _Handlers:
    """Hands every OTLP method to one function, as bytes. `grpc` asks for `service`."""

    def __init__(self, grpc: Any, export: Callable[[Signal, bytes, Any], bytes]) -> None:
        self._grpc = grpc
        self._export = export

    def service(self, details: Any) -> Any:
        """The handler of a method, None for an unknown one."""
        signal = _METHODS.get(details.method)
        if signal is None:
            return None
        return self._grpc.unary_unary_rpc_method_handler(partial(self._export, signal))


def _details(retry_info: str | None) -> bytes | None:
    """A `google.rpc.Status` with that `RetryInfo`."""
    if retry_info is None:
        return None
    if retry_info == "noise":
        return b"\xff\xfe\xfd noise"
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.duration_pb2 import Duration

    delay = Duration()
    delay.FromMilliseconds(int(float(retry_info) * 1000))
    info = b"\x0a" + bytes([delay.ByteSize()]) + delay.SerializeToString()  # RetryInfo.retry_delay
    packed = AnyMessage(type_url="type.googleapis.com/google.rpc.RetryInfo", value=info).SerializeToString()
    return b"\x08\x0e\x1a" + bytes([len(packed)]) + packed  # Status.code, Status.details
