"""Receiver: listens for OTLP/HTTP and hands decoded batches on."""

from __future__ import annotations

import contextlib
import logging
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from hmac import compare_digest
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from .batch import Batch, Response
from .connection import Connection
from .limits import Limits
from .refusal import Reason, Refusal
from .statistics import ReceiverStatistics, Tally

_LOGGER = logging.getLogger(__name__)
_POLL_S = 0.5
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_FIRST_ERROR_STATUS = 300


class Receiver:
    """An OTLP/HTTP server for traces, metrics and logs, safe against any bytes that may come.

    Protobuf and JSON bodies, plain or with gzip or deflate, on `/v1/traces`, `/v1/metrics` and `/v1/logs`.
    Works in threads of its own, one for each connection; `stop()` leaves none behind.

    Example:
        >>> with Receiver(on_batch=lambda batch: print(batch.signal)) as receiver:
        ...     print(receiver.endpoint)
        http://127.0.0.1:40321
    """

    def __init__(
        self,
        on_batch: Callable[[Batch], None] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: Limits | None = None,
        answer: Callable[[Batch], Response | None] | None = None,
        token: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Make a receiver that does not listen yet.

        Args:
            on_batch: gets each accepted batch before its sender gets the answer, in a connection's thread;
                calls never overlap. An exception of it is logged and answered with 500.
            host: the address to listen on; anything but loopback lets other machines send.
            port: 0 lets the system choose.
            limits: what one sender may ask for.
            answer: decides the answer to a decoded batch; None means "accept". A batch that is answered with
                a status beyond 2xx does not go to `on_batch`.
            token: without it as bearer token a sender is answered with 401; "" lets everybody in.
            tls: for https; its certificate is loaded.
        """
        self._on_batch = on_batch
        self._answer = answer
        self._address = (host, port)
        self._delivering = threading.Lock()
        self._limits = limits or Limits()
        self._token = token
        self._tls = tls
        self._tally = Tally()
        self._decoding = threading.Lock()
        self._listener: _Listener | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = self.endpoint if self._listener else "stopped"
        counts = self._tally.snapshot()
        return f"<Receiver {state}, {counts.requests} requests, {sum(counts.refused.values())} refused>"

    @property
    def endpoint(self) -> str:
        """The base URL, such as "http://127.0.0.1:40321". Raises RuntimeError when not started."""
        if self._listener is None:
            raise RuntimeError(
                "the receiver does not listen: use it in a `with` block, or call start() first"
            )
        host, port = self._listener.server_address[:2]
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{host}]:{port}" if ":" in str(host) else f"{scheme}://{host}:{port}"

    @property
    def limits(self) -> Limits:
        """What one sender may ask for."""
        return self._limits

    @property
    def tally(self) -> Tally:
        """The counters; `statistics()` is the form for readers."""
        return self._tally

    def start(self) -> Self:
        """Listen. Raises OSError when the address cannot be had, RuntimeError when already started."""
        if self._listener is not None:
            raise RuntimeError(f"the receiver already listens on {self.endpoint}")
        host, port = self._address
        try:
            self._listener = _Listener(host, port, self)
        except OSError as error:
            reason = (
                f"cannot listen on {host} port {port}: {error.strerror}; choose another port, or 0 for any"
            )
            raise OSError(error.errno, reason) from None
        self._listener.start()
        return self

    def stop(self) -> None:
        """Close the listener, let requests under way end (`Limits.stop_timeout_s`), join all threads."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def statistics(self) -> ReceiverStatistics:
        """All counters at one moment; they survive `stop()`."""
        return self._tally.snapshot()

    @property
    def tls(self) -> ssl.SSLContext | None:
        """For https."""
        return self._tls

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        """Whether a sender with these headers may send; takes the same time for every wrong token."""
        if not self._token:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and compare_digest(given.strip().encode(), self._token.encode())

    def decoding(self) -> contextlib.AbstractContextManager[object]:
        """Held while a body is inflated and decoded, so that memory is bounded by one of them."""
        return self._decoding

    def accept(self, batch: Batch, wire_bytes: int) -> Response | None:
        """Take a batch, or say how to answer instead. Raises Refusal (500) when the consumer failed."""
        try:
            scripted = self._answer(batch) if self._answer else None
            if scripted is not None and scripted.status >= _FIRST_ERROR_STATUS:
                self._tally.refused(Reason.SCRIPTED)
                return scripted
            self._deliver(batch)
        except Exception as error:  # the consumer's: the sender must get an answer and the thread must live
            _LOGGER.exception("on_batch or answer failed for a batch of %d %s", batch.records, batch.signal)
            raise Refusal(
                Reason.FAULT, HTTPStatus.INTERNAL_SERVER_ERROR, "the receiver's consumer failed"
            ) from error
        self._tally.accepted(batch, wire_bytes)
        return scripted

    def _deliver(self, batch: Batch) -> None:
        if self._on_batch is not None:
            with self._delivering:
                self._on_batch(batch)


class _Listener(socketserver.TCPServer):
    """The listening socket, its accept thread and the threads of its connections."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, receiver: Receiver) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Connection)  # pyright: ignore[reportArgumentType] - built by process_request
        self._receiver = receiver
        self._workers: dict[threading.Thread, socket.socket] = {}
        self._accepting = threading.Thread(
            target=self.serve_forever, args=(_POLL_S,), name="tickspan-receiver", daemon=True
        )

    def start(self) -> None:
        self._accepting.start()

    def stop(self) -> None:
        with contextlib.suppress(OSError):  # wakes the accept loop at once on Linux; elsewhere it polls
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self._accepting.join()
        self.server_close()
        self._end_workers()

    def get_request(self) -> tuple[Any, Any]:
        """The next connection; one that is not yet secured where TLS is spoken."""
        connection, address = super().get_request()
        tls = self._receiver.tls
        if tls is None:
            return connection, address
        try:
            return tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address
        except OSError:
            connection.close()
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        self._receiver.tally.connected()
        self._workers = {worker: open_ for worker, open_ in self._workers.items() if worker.is_alive()}
        if len(self._workers) >= self._receiver.limits.connections:
            self._turn_away(request)
            return
        worker = threading.Thread(
            target=self._serve,
            args=(request, client_address),
            name="tickspan-receiver-connection",
            daemon=True,
        )
        self._workers[worker] = request
        worker.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address
        _LOGGER.exception("a connection could not be served")  # noqa: LOG004 - called in an except block

    def _turn_away(self, request: socket.socket) -> None:
        self._receiver.tally.refused(Reason.CONNECTIONS)
        request.settimeout(0)
        with contextlib.suppress(OSError):
            request.send(_BUSY)
        self.shutdown_request(request)

    def _serve(self, connection: socket.socket, address: object) -> None:
        try:
            self._greet(connection)
            Connection(connection, address, self._receiver)
        except OSError:
            pass  # the sender went away while it was answered
        except Exception:  # a thread's top
            _LOGGER.exception("a connection broke")
        finally:
            self.shutdown_request(connection)

    def _greet(self, connection: socket.socket) -> None:
        """Shake hands, where TLS is spoken: in the connection's thread. Raises OSError when it fails."""
        if isinstance(connection, ssl.SSLSocket):
            connection.settimeout(self._receiver.limits.request_timeout_s)
            connection.do_handshake()

    def _end_workers(self) -> None:
        """Senders get no further request in; an answer under way is still written."""
        for connection in self._workers.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + self._receiver.limits.stop_timeout_s
        for worker in self._workers:
            worker.join(max(0.0, deadline - time.monotonic()))
