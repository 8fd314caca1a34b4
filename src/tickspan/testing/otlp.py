"""OtlpServer: a back end for tests and for the demo, which keeps what it receives and can be asked for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tickspan_spool.receiver import Batch, Limits, Receiver, ReceiverStatistics, Response

from tickspan.received import (
    ReceivedLog,
    ReceivedMetric,
    ReceivedSpan,
    decode_requests,
)

_GIBIBYTE = 1 << 30


class OtlpServer:
    """An in-process OTLP/HTTP server that decodes and keeps spans, metrics and log records.

    Use `endpoint` as `OTEL_EXPORTER_OTLP_ENDPOINT`. What is kept stays readable after `stop()`.

    Example:
        >>> with OtlpServer() as server:
        ...     run_the_bot(OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
        ...     server.wait_for(lambda server: len(server.spans()) == 3, timeout_s=5)
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        answer: Callable[[Batch], Response | None] | None = None,
        keep_bytes: int = _GIBIBYTE,
    ) -> None:
        """Make a server that does not listen yet.

        Args:
            host: the address to listen on.
            port: 0 lets the system choose.
            limits: what one sender may ask for.
            answer: scripts the answers, see `Receiver`; refused batches are not kept.
            keep_bytes: decompressed bodies to keep; more are refused with 429 and counted.
        """
        self._receiver = Receiver(self._keep, host=host, port=port, limits=limits, answer=self._decide)
        self._script = answer
        self._keep_bytes = keep_bytes
        self._kept_bytes = 0
        self._changed = threading.Condition()
        self._bodies: list[bytes] = []
        self._spans: list[ReceivedSpan] = []
        self._metrics: list[ReceivedMetric] = []
        self._logs: list[ReceivedLog] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        with self._changed:
            counts = f"{len(self._spans)} spans, {len(self._metrics)} metrics, {len(self._logs)} logs"
        return f"<OtlpServer {counts}, {self._receiver!r}>"

    @property
    def endpoint(self) -> str:
        """The base URL, such as "http://127.0.0.1:40321". Raises RuntimeError when not started."""
        return self._receiver.endpoint

    def start(self) -> Self:
        """Listen. Raises OSError when the address cannot be had."""
        self._receiver.start()
        return self

    def stop(self) -> None:
        """Stop listening and join all threads."""
        self._receiver.stop()

    def spans(self) -> list[ReceivedSpan]:
        """All spans, in the order in which they came."""
        with self._changed:
            return list(self._spans)

    def metrics(self) -> list[ReceivedMetric]:
        """All metrics, one for each export, in the order in which they came."""
        with self._changed:
            return list(self._metrics)

    def logs(self) -> list[ReceivedLog]:
        """All log records, in the order in which they came."""
        with self._changed:
            return list(self._logs)

    def bodies(self) -> list[bytes]:
        """All request bodies after decompression: the place to search for what must not have left."""
        with self._changed:
            return list(self._bodies)

    def statistics(self) -> ReceiverStatistics:
        """What was received and refused."""
        return self._receiver.statistics()

    def clear(self) -> None:
        """Forget what was kept; the statistics stay."""
        with self._changed:
            for kept in (self._bodies, self._spans, self._metrics, self._logs):
                kept.clear()
            self._kept_bytes = 0

    def wait_for(self, predicate: Callable[[OtlpServer], bool], timeout_s: float = 10.0) -> None:
        """Block until `predicate(self)` holds; it is asked again after each batch.

        Raises:
            TimeoutError: with the state of the server when the time is up.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self), timeout_s):
                raise TimeoutError(f"waited {timeout_s:g} s for telemetry that did not come: {self!r}")

    def _decide(self, batch: Batch) -> Response | None:
        scripted = self._script(batch) if self._script else None
        with self._changed:
            is_full = self._kept_bytes + len(batch.body) > self._keep_bytes
        return Response(429) if scripted is None and is_full else scripted

    def _keep(self, batch: Batch) -> None:
        decoded = decode_requests([batch.message])
        with self._changed:
            self._bodies.append(batch.body)
            self._kept_bytes += len(batch.body)
            self._spans += decoded.spans
            self._metrics += decoded.metrics
            self._logs += decoded.logs
            self._changed.notify_all()
