"""OTLP over HTTP: one kept connection, one total deadline, an answer of bounded size."""

from __future__ import annotations

import base64
import gzip
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from http.client import HTTPException, RemoteDisconnected
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from .connecting import Resolver, connect
from .deadline import Countdown
from .destination import Destination
from .header_source import HeaderSource
from .issuer import met_issuer
from .outcome import Outcome, OutcomeKind, decide
from .partial_success import printable
from .proxies import proxy_for
from .tls import TlsContexts
from .user_agent import user_agent

ANSWER_BYTES = 64 * 1024
_LONGEST_IDLE_S = 50.0  # load balancers forget a connection after 60 s or more, some of them silently
_OWN_HEADERS = frozenset({"content-type", "content-encoding", "content-length", "transfer-encoding"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SOCKET_TIMEOUT = "timed out"  # the socket's own text; our errors say what took so long
_FAILURES = (OSError, HTTPException, HTTPError)

_Opener = Callable[[str, int], socket.socket]


class _PlainConnection(HTTPConnection):
    opener: _Opener

    def _new_conn(self) -> socket.socket:
        return self.opener(self.host, self.port)


class _TlsConnection(HTTPSConnection):
    opener: _Opener

    def _new_conn(self) -> socket.socket:
        return self.opener(self.host, self.port)


class _Target(NamedTuple):
    """What a URL says, and the proxy before it."""

    scheme: str
    host: str
    port: int
    path: str
    absolute: str
    proxy: _Proxy | None


class _Proxy(NamedTuple):
    host: str
    port: int
    headers: dict[str, str]


class HttpChannel:
    """Follows no redirect, repeats nothing, keeps no cookies, asks no `.netrc`, inflates no answer.

    Args:
        destination: its URL has to be one of http or https.
        environ: for the proxy variables, read once.
        clock: monotonic seconds.
        resolver: of host names.

    Raises:
        ValueError: the URL or the proxy's is not usable; says what was expected.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        resolver: Resolver | None = None,
    ) -> None:
        self._target = _read_target(destination.url, environ)
        self._is_compressed = destination.compression == "gzip"
        self._timeout_s = destination.timeout_s
        self._clock = clock
        self._countdown = Countdown(clock)
        self._headers = HeaderSource(destination, clock)
        self._tls = TlsContexts(destination, self._countdown, clock)
        self._resolver = resolver or Resolver()
        self._connection: HTTPConnection | None = None
        self._context: ssl.SSLContext | None = None
        self._process = 0
        self._is_sending = False
        self._idle_since_s = 0.0

    def send(self, body: bytes, records: int, timeout_s: float | None = None) -> Outcome:
        """One POST. A fault of the network is an outcome to retry; see `Channel.send`."""
        self._countdown.start(self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s))
        self._is_sending = False
        try:
            return self._exchange(body, records)
        except _FAILURES as error:
            self.close()
            explanation = self._explain(error)
            return Outcome(OutcomeKind.RETRY, explanation=explanation, is_ambiguous=self._is_sending)

    def use_headers(self, headers: Mapping[str, str]) -> None:
        """See `Channel.use_headers`."""
        self._headers.use(headers)

    def lacking(self) -> str:
        """See `Channel.lacking`."""
        return self._headers.lacking()

    def close(self) -> None:
        """See `Channel.close`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange(self, body: bytes, records: int) -> Outcome:
        target, content = self._target, self._compress(body)
        url = target.absolute if target.proxy is not None and target.scheme == "http" else target.path
        connection = self._connected()
        self._is_sending = True
        connection.request(
            "POST",
            url,
            body=content,
            headers=self._request_headers(),
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
        answer = _read_answer(response)
        if response.isclosed():
            self._idle_since_s = self._clock()
        else:  # more of it is on its way, and would be taken for the next answer
            self.close()
        return decide(response.status, _lower(response), answer, records)

    def _compress(self, body: bytes) -> bytes:
        """Level 1: a sixth of the processor time of level 6 for two per cent more bytes."""
        return gzip.compress(body, compresslevel=1, mtime=0) if self._is_compressed else body

    def _request_headers(self) -> dict[str, str]:
        headers = {"user-agent": user_agent()}
        proxy = self._target.proxy
        if proxy is not None and self._target.scheme == "http":
            headers.update(proxy.headers)
        configured = self._headers.current().items()
        headers.update({name: _on_the_wire(value) for name, value in configured if name not in _OWN_HEADERS})
        headers["content-type"] = "application/x-protobuf"
        if self._is_compressed:
            headers["content-encoding"] = "gzip"
        return headers

    def _connected(self) -> HTTPConnection:
        """The kept connection if it can be trusted, else a new one."""
        context = self._tls.current() if self._target.scheme == "https" else None
        connection = self._connection
        if connection is not None and self._is_fresh(connection, context):
            return connection
        self.close()
        connection = self._new_connection(context)
        self._connection, self._context, self._process = connection, context, os.getpid()
        connection.connect()
        return connection

    def _is_fresh(self, connection: HTTPConnection, context: ssl.SSLContext | None) -> bool:
        """Whether it is still open, is this process's own, and was made by the present files."""
        return (
            connection.is_connected
            and context is self._context
            and self._process == os.getpid()
            and self._clock() - self._idle_since_s < _LONGEST_IDLE_S
        )

    def _new_connection(self, context: ssl.SSLContext | None) -> HTTPConnection:
        target = self._target
        first = target.proxy or target
        host, port = first.host, first.port
        timeout_s = self._countdown.left_s()
        if context is None:
            plain = _PlainConnection(host, port, timeout=timeout_s)
            plain.opener = self._open
            return plain
        secure = _TlsConnection(host, port, timeout=timeout_s, ssl_context=context)
        secure.opener = self._open
        if target.proxy is not None:
            secure.set_tunnel(target.host, target.port, target.proxy.headers)
        return secure

    def _open(self, host: str, port: int) -> socket.socket:
        return connect(self._resolver, host, port, self._countdown)

    def _met_issuer(self) -> str:
        if self._target.proxy is not None:
            return ""
        try:
            return met_issuer(connect(self._resolver, self._target.host, self._target.port, self._countdown))
        except OSError:
            return ""

    def _explain(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._tls.explain_refusal(error, self._met_issuer())
        if isinstance(error, ssl.SSLError):
            return self._tls.explain(error)
        if isinstance(error, RemoteDisconnected):
            return "the server closed the connection without an answer"
        if isinstance(error, TimeoutError) and _SOCKET_TIMEOUT in str(error):
            return self._countdown.overrun
        if isinstance(error, OSError):
            return error.strerror or str(error)
        return f"not an HTTP answer: {type(error).__name__}: {printable(str(error).encode())}"


def _read_target(url: str, environ: Mapping[str, str]) -> _Target:
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or not url.isascii():
        raise ValueError("expected http://host[:port]/path or https://host[:port]/path, in ASCII")
    host, port = parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    absolute = f"{parts.scheme}://{parts.netloc}{path}"
    return _Target(parts.scheme, host, port, path, absolute, _read_proxy(parts.scheme, host, port, environ))


def _read_proxy(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> _Proxy | None:
    proxy = proxy_for(scheme, host, port, environ)
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(
            f"{scheme.upper()}_PROXY: expected http://host:port, got the scheme {parts.scheme!r}"
        )
    headers: dict[str, str] = {}
    if parts.username is not None:
        words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["proxy-authorization"] = f"Basic {base64.b64encode(words.encode()).decode()}"
    return _Proxy(parts.hostname, parts.port or 80, headers)


def _read_answer(response: HTTPResponse) -> bytes:
    """At most 64 KiB, as they came. What cannot be read changes nothing: the status has said it all."""
    try:
        return response.read(ANSWER_BYTES, decode_content=False)
    except _FAILURES:
        return b""


def _lower(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _on_the_wire(value: str) -> str:
    """`http.client` writes latin-1: text beyond ASCII goes as UTF-8 bytes."""
    return value if value.isascii() else value.encode().decode("latin-1")
