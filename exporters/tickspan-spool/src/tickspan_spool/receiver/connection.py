"""Connection: HTTP/1.1 on one accepted socket, with a deadline over each request and bounds on its bytes."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Protocol

from .batch import Batch, Response
from .decoding import check_media_type, decode, media_type, signal_of
from .limits import Limits
from .refusal import JSON_TYPE, Reason, Refusal, describe_refusal, malformed, too_large
from .statistics import Tally

_MAX_LINE_BYTES = 65_536
_MAX_CHUNK_LINE_BYTES = 256
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,12})[ \t]*(?:;[^\n]*)?\r?\n")
_MAX_LENGTH_DIGITS = 12
_LINGER_S = 1.0
_READ_BYTES = 65_536


class Acceptor(Protocol):
    """What a connection needs of the receiver."""

    @property
    def limits(self) -> Limits: ...  # noqa: D102 - the class says it

    @property
    def tally(self) -> Tally: ...  # noqa: D102 - the class says it

    def lets_in(self, headers: Mapping[str, str]) -> bool:
        """Whether a sender with these headers may send."""
        ...

    def decoding(self) -> contextlib.AbstractContextManager[object]:
        """Held while a body is inflated and decoded, so that memory is bounded by one of them."""
        ...

    def accept(self, batch: Batch, wire_bytes: int) -> Response | None:
        """Take a batch, or say how to answer instead."""
        ...


class DeadlineReader(io.RawIOBase):
    """The bytes of a socket until a moment; a socket's own timeout restarts with every byte."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = time.monotonic()

    def allow(self, timeout_s: float) -> None:
        """Set the moment after which reading raises TimeoutError."""
        self._deadline = time.monotonic() + timeout_s

    def readable(self) -> bool:  # noqa: D102 - RawIOBase's
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - typeshed's WriteableBuffer is BufferedReader's memoryview here
        """Read what is there. Raises TimeoutError beyond the deadline."""
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


@dataclass(frozen=True, slots=True)
class _Head:
    """The head of a request in the form that decisions are made on."""

    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    is_last: bool  # the sender wants the connection closed


class Connection(BaseHTTPRequestHandler):
    """Serves the requests of one sender, one after another, until it goes or misbehaves."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, address: object, acceptor: Acceptor) -> None:
        self._acceptor = acceptor
        self._wants_continue = False
        super().__init__(connection, address, acceptor)  # pyright: ignore[reportArgumentType] - kept as `.server`, which nothing here uses

    def setup(self) -> None:
        """Put the deadline under the buffered reader."""
        super().setup()
        self._reader = DeadlineReader(self.connection)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._reader, _READ_BYTES)

    def handle_one_request(self) -> None:
        """One request and its answer; decides whether the connection stays open."""
        self.close_connection = True
        if not self._await_request():
            return
        self._acceptor.tally.requested()
        self._reader.allow(self._acceptor.limits.request_timeout_s)
        self._request_type, self._wants_continue = "", False
        self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
        try:
            answer = self._serve()
        except Refusal as refusal:
            self._refuse(refusal)
        except TimeoutError:
            limit_s = self._acceptor.limits.request_timeout_s
            message = f"request: not complete after {limit_s:g} s"
            self._refuse(Refusal(Reason.TIMEOUT, HTTPStatus.REQUEST_TIMEOUT, message))
        except ConnectionError:
            self._acceptor.tally.refused(Reason.TRUNCATED)
        else:
            self._respond(answer, self._request_type)

    def version_string(self) -> str:
        """The `Server` header: no version of anything."""
        return "tickspan"

    def handle_expect_100(self) -> bool:
        """`100 Continue` waits until the head is known to be acceptable."""
        self._wants_continue = True
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Standard library's word for a head that it cannot read."""
        del explain
        raise Refusal(Reason.HEAD, HTTPStatus(code), message or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Healthy means silent; what happened is in the statistics."""

    def _await_request(self) -> bool:
        self._reader.allow(self._acceptor.limits.idle_timeout_s)
        try:
            return bool(self.rfile.peek(1))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a BufferedReader since `setup`
        except (TimeoutError, ConnectionError):
            return False

    def _serve(self) -> Response:
        head = self._read_head()
        self._request_type = media_type(head.headers)
        signal = signal_of(head.target)
        if head.method != "POST":
            message = f"method: expected POST, got {head.method[:20]!r}"
            raise Refusal(Reason.METHOD, HTTPStatus.METHOD_NOT_ALLOWED, message)
        if not self._acceptor.lets_in(head.headers):
            message = "authorization: expected the bearer token of this receiver"
            raise Refusal(Reason.UNAUTHORIZED, HTTPStatus.UNAUTHORIZED, message)
        check_media_type(head.headers)
        wire = self._read_body(head.headers)
        with self._acceptor.decoding():
            batch = decode(signal, head.headers, wire, self._acceptor.limits)
        scripted = self._acceptor.accept(batch, len(wire))
        self.close_connection = head.is_last
        return scripted or Response(body=b"{}" if self._request_type == JSON_TYPE else b"")

    def _read_head(self) -> _Head:
        self.raw_requestline = self.rfile.readline(_MAX_LINE_BYTES + 1)
        if len(self.raw_requestline) > _MAX_LINE_BYTES:
            raise Refusal(Reason.HEAD, HTTPStatus.REQUEST_URI_TOO_LONG, "request line: longer than 64 KiB")
        if not self.parse_request():
            raise Refusal(Reason.HEAD, HTTPStatus.BAD_REQUEST, "request line: it is empty")
        # unless the body is read to its end, its bytes would be taken for the next request
        is_last, self.close_connection = self.close_connection, True
        headers = {name.lower(): value for name, value in self.headers.items()}
        return _Head(self.command, self.path, headers, is_last=is_last)

    def _read_body(self, headers: Mapping[str, str]) -> bytes:
        limit = self._acceptor.limits.wire_bytes
        length = body_length(headers, limit)
        if self._wants_continue:
            self.send_response_only(HTTPStatus.CONTINUE)
            self.end_headers()
        if length is None:
            return read_chunks(self.rfile.read, self.rfile.readline, limit)
        return _read_exactly(self.rfile.read, length)

    def _respond(self, answer: Response, content_type: str) -> None:
        headers = {"Content-Type": content_type, "Content-Length": str(len(answer.body)), **answer.headers}
        if self.close_connection:
            headers["Connection"] = "close"
        self.connection.settimeout(self._acceptor.limits.request_timeout_s)
        self.request_version = self.protocol_version  # else a half request line gets no status line back
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _refuse(self, refusal: Refusal) -> None:
        self._acceptor.tally.refused(refusal.reason)
        content_type, body = describe_refusal(refusal, self._request_type)
        extra = {"Allow": "POST"} if refusal.status == HTTPStatus.METHOD_NOT_ALLOWED else {}
        self.close_connection = True
        with contextlib.suppress(OSError):  # whoever was refused need not wait for the reason
            self._respond(
                Response(refusal.status, extra, body if self.command != "HEAD" else b""), content_type
            )
            self._linger()

    def _linger(self) -> None:
        """Read on for a moment: closing over unread bytes resets the connection before the answer is read."""
        self.connection.shutdown(socket.SHUT_WR)
        self._reader.allow(_LINGER_S)
        buffer = memoryview(bytearray(_READ_BYTES))
        while self._reader.readinto(buffer):
            pass


def body_length(headers: Mapping[str, str], limit: int) -> int | None:
    """The announced bytes of a body; None for a chunked one.

    Raises:
        Refusal: no length (411), an unreadable one or two contradicting ones (400), more than `limit` (413).
    """
    given = headers.get("content-length")
    coding = headers.get("transfer-encoding", "").strip().lower()
    if coding:
        if coding != "chunked" or given is not None:
            raise malformed(
                f"transfer-encoding: expected only chunked, without content-length, got {coding[:40]!r}"
            )
        return None
    if given is None:
        raise Refusal(
            Reason.LENGTH, HTTPStatus.LENGTH_REQUIRED, "content-length: expected, but there is none"
        )
    if not (given.isascii() and given.isdigit() and len(given) <= _MAX_LENGTH_DIGITS):
        raise malformed(f"content-length: expected a number of bytes, got {given[:40]!r}")
    if int(given) > limit:
        raise too_large(Reason.WIRE_SIZE, f"body: {int(given)} bytes, {limit} are allowed; send less at once")
    return int(given)


def read_chunks(read: Callable[[int], bytes], read_line: Callable[[int], bytes], limit: int) -> bytes:
    """A chunked body (RFC 9112 section 7.1) of at most `limit` bytes; trailers are dropped.

    Raises:
        Refusal: framing that cannot be read (400), more than `limit` bytes (413).
    """
    body, lines = bytearray(), 0
    while size := _chunk_size(read_line(_MAX_CHUNK_LINE_BYTES)):
        if len(body) + size > limit:
            raise too_large(Reason.WIRE_SIZE, f"body: more than {limit} bytes; send less at once")
        body += _read_exactly(read, size)
        if read_line(2) != b"\r\n":
            raise malformed("chunked body: a chunk is longer than its announced size")
    while read_line(_MAX_CHUNK_LINE_BYTES) not in {b"\r\n", b"\n", b""}:
        lines += 1
        if lines > _MAX_CHUNK_LINE_BYTES:
            raise malformed("chunked body: too many trailers")
    return bytes(body)


def _chunk_size(line: bytes) -> int:
    size = _CHUNK_SIZE.match(line)
    if size is None:
        raise malformed("chunked body: expected the size of a chunk in hexadecimal digits")
    return int(size[1], 16)


def _read_exactly(read: Callable[[int], bytes], length: int) -> bytes:
    body = read(length)
    if len(body) < length:
        message = f"body: {length} bytes announced, {len(body)} came"
        raise Refusal(Reason.TRUNCATED, HTTPStatus.BAD_REQUEST, message)
    return body
