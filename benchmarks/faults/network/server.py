"""Server: an OTLP/HTTP back end that decodes what it gets and answers by script, politely or not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from tickspan_spool.receiver import Batch, Limits, Signal, decode

from .answers import ACCEPT, OK, Answer, Script, http_bytes

_TICK_S: Final = 0.05
_IDLE_S: Final = 30.0
_HEAD_BYTES: Final = 65536
_LIMITS: Final = Limits(
    wire_bytes=128 * 2**20, inflated_bytes=256 * 2**20, records=1_000_000, values=20_000_000
)
_PATHS: Final[dict[str, Signal]] = {
    "/v1/traces": "traces",
    "/v1/metrics": "metrics",
    "/v1/logs": "logs",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Listens on loopback, one thread a connection. What it accepts goes to `on_batch`, one at a time."""

    def __init__(
        self,
        on_batch: Callable[[Batch, int], None],
        script: Script,
        tls: Callable[[float], ssl.SSLContext] | None = None,
    ) -> None:
        """Make it.

        Args:
            on_batch: gets an accepted batch and the number of its records to leave out.
            script: of the answers.
            tls: the context for a connection that comes so many seconds after the start.
        """
        self._on_batch = on_batch
        self._script = script
        self._tls = tls
        self._delivering = threading.Lock()
        self._first: dict[str, float] = {}
        self._numbers: dict[str, int] = {}
        self._is_closed = threading.Event()
        self._is_healed = threading.Event()
        self._began: float | None = None
        self.unreadable = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TICK_S)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._thread = threading.Thread(target=self._accept, name="faults-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed.set()
        self._thread.join(5.0)
        self._listener.close()

    def __repr__(self) -> str:
        return f"<Server on port {self.address[1]}, {sum(self._numbers.values())} requests>"

    @property
    def requests(self) -> int:
        """How many have come."""
        return sum(self._numbers.values())

    def begin(self) -> None:
        """The clock of its certificates starts now."""
        self._began = time.monotonic()

    def heal(self) -> None:
        """Accept everything from now on."""
        self._is_healed.set()

    def _elapsed_s(self) -> float:
        if self._is_healed.is_set():
            return float("inf")
        return 0.0 if self._began is None else time.monotonic() - self._began

    def _accept(self) -> None:
        while not self._is_closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # nobody came in time
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="faults-served", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_IDLE_S)
        with contextlib.suppress(OSError, ValueError):  # the client went away, or speaks something else
            if self._tls is not None:
                connection = self._tls(self._elapsed_s()).wrap_socket(connection, server_side=True)
            while not self._is_closed.is_set() and self._exchange(connection):
                pass
        with contextlib.suppress(OSError):
            connection.close()

    def _exchange(self, connection: socket.socket) -> bool:
        """One request and its answer; False when the connection is over."""
        request = _read(connection)
        if request is None:
            return False
        answer = self._answer(request)
        if answer.delay_s:
            self._is_closed.wait(answer.delay_s)
        if answer.status == 0 and not answer.raw:
            return False
        connection.sendall(http_bytes(answer))
        return not answer.raw and request.headers.get("connection", "").lower() != "close"

    def _answer(self, request: Request) -> Answer:
        signal = _PATHS.get(request.path)
        if signal is None:
            return Answer(404)
        try:
            batch = decode(signal, request.headers, request.body, _LIMITS)
        except Exception as error:  # noqa: BLE001 - a sender that sends nonsense is a finding, not an end
            self.unreadable += 1
            return Answer(400, body=str(error).encode())
        answer = ACCEPT if self._is_healed.is_set() else self._scripted(signal)
        if answer.max_records is not None and batch.records <= answer.max_records:
            answer = ACCEPT
        if answer.takes or (answer.status == OK and not batch.records):
            with self._delivering:
                self._on_batch(batch, answer.rejects)
        return answer

    def _scripted(self, signal: Signal) -> Answer:
        with self._delivering:
            number = self._numbers.get(signal, 0)
            self._numbers[signal] = number + 1
            elapsed_s = time.monotonic() - self._first.setdefault(signal, time.monotonic())
        return self._script.answer(number, elapsed_s)


def _read(connection: socket.socket) -> Request | None:
    """The next request; None when the client has no more."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(_HEAD_BYTES)
        if not piece or len(data) > _HEAD_BYTES:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if "100-continue" in headers.get("expect", ""):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _chunks(connection, body)
    else:
        body = _exactly(connection, body, int(headers.get("content-length", "0")))
    return Request(first.split(" ")[1].partition("?")[0], headers, body)


def _exactly(connection: socket.socket, begun: bytes, size: int) -> bytes:
    pieces, missing = [begun], size - len(begun)
    while missing > 0:
        piece = connection.recv(min(missing, 2**20))
        if not piece:
            raise OSError("the client went away in the middle of a body")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _chunks(connection: socket.socket, begun: bytes) -> bytes:
    body, data = b"", begun
    while True:
        while b"\r\n" not in data:
            data += _exactly(connection, b"", 1)
        line, _, data = data.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        data = _exactly(connection, data, max(size + 2, len(data)))
        body, data = body + data[:size], data[size + 2 :]
        if not size:
            return body
