"""The HTTP channel against real sockets: everything that a server, a network or a resolver may do."""

import gzip
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from tickspan_spool.sender import Destination, Outcome, OutcomeKind, UnusableChannel, open_channel
from tickspan_spool.sender.connecting import Resolver
from tickspan_spool.sender.http_channel import HttpChannel

pytestmark = pytest.mark.integration

_DELIVERED = Outcome(OutcomeKind.DELIVERED)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_SHORT_S = 0.25
_DRIP_S = 0.02

Answer = bytes | Callable[[socket.socket], None]


@dataclass
class Request:
    head: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class ScriptedServer:
    """Answers each request with the next answer: bytes, or a function that does what it likes."""

    answers: list[Answer] = field(default_factory=list[Answer])
    requests: list[Request] = field(default_factory=list[Request])
    connections: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    """Set when the client has closed a connection."""

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                number = self.connections
                threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as reader, suppress(OSError):
            while (head := reader.readline()) != b"":
                headers: dict[str, str] = {}
                while (line := reader.readline().strip()) != b"":
                    name, _, value = line.decode("latin-1").partition(": ")
                    headers[name.lower()] = value
                body = reader.read(int(headers.get("content-length", "0")))
                self.requests.append(Request(head.decode().strip(), headers, body, number))
                answer = self.answers.pop(0)
                if isinstance(answer, bytes):
                    connection.sendall(answer)
                else:
                    answer(connection)
        self.closing.set()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


Open = Callable[..., HttpChannel]


@pytest.fixture
def open_http() -> Iterator[Open]:
    """Makes channels, and closes them."""
    with ExitStack() as stack:

        def open_one(
            url: str,
            environ: dict[str, str] | None = None,
            *,
            resolver: Resolver | None = None,
            **settings: Any,
        ) -> HttpChannel:
            clock = settings.pop("clock", time.monotonic)
            channel = HttpChannel(
                Destination("traces", url, **settings), environ=environ or {}, clock=clock, resolver=resolver
            )
            stack.callback(channel.close)
            return channel

        yield open_one


@pytest.fixture
def channel(server: ScriptedServer, open_http: Open) -> HttpChannel:
    return open_http(server.url)


def _answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _drip(prefix: bytes) -> Answer:
    """One byte after the other, for longer than any test waits."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(prefix)
        while True:
            connection.sendall(b"x")
            time.sleep(_DRIP_S)

    return answer


def _silence(connection: socket.socket) -> None:
    connection.recv(1)  # ends when the client closes


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())  # `close` would wait for the reader


def _close(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def _timed(send: Callable[[], Outcome]) -> tuple[Outcome, float]:
    started_s = time.monotonic()
    return send(), time.monotonic() - started_s


def test_a_request_is_what_otlp_says(server: ScriptedServer, channel: HttpChannel):
    server.answers = [_OK]
    assert channel.send(b"spans", 1) == _DELIVERED
    [request] = server.requests
    version = request.headers.pop("user-agent")
    assert version.startswith("OTel-OTLP-Exporter-tickspan/")
    assert request == Request(
        "POST /v1/traces HTTP/1.1",
        {
            "host": f"127.0.0.1:{server.port}",
            "accept-encoding": "identity",
            "content-length": "5",
            "content-type": "application/x-protobuf",
        },
        b"spans",
        1,
    )


def test_configured_headers_are_sent_and_later_ones_win(server: ScriptedServer, open_http: Open):
    server.answers = [_OK, _OK]
    headers = {"api-key": "old", "x-name": "é", "user-agent": "mine", "content-type": "text/plain"}
    channel = open_http(server.url, headers=headers)
    channel.send(b"", 0)
    channel.use_headers({"Api-Key": "new"})
    channel.send(b"", 0)
    sent = [
        tuple(request.headers[name] for name in ("api-key", "x-name", "user-agent", "content-type"))
        for request in server.requests
    ]
    assert sent == [
        ("old", "Ã©", "mine", "application/x-protobuf"),
        ("new", "Ã©", "mine", "application/x-protobuf"),
    ]


def test_gzip_is_used_where_it_is_configured(server: ScriptedServer, open_http: Open):
    server.answers = [_OK]
    open_http(server.url, compression="gzip").send(b"span" * 1000, 1)
    [request] = server.requests
    assert request.headers["content-encoding"] == "gzip"
    assert gzip.decompress(request.body) == b"span" * 1000


def test_one_connection_serves_many_requests(server: ScriptedServer, channel: HttpChannel):
    server.answers = [
        _OK,
        _answer("503 Busy", b"later", "Retry-After: 7"),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x0a\x00\r\n0\r\n\r\n",
        _OK,
    ]
    outcomes = [channel.send(b"x", 1) for _ in range(4)]
    assert outcomes == [
        _DELIVERED,
        Outcome(OutcomeKind.RETRY, wait_s=7.0, explanation="answered 503 Service Unavailable: later"),
        _DELIVERED,
        _DELIVERED,
    ]
    assert server.connections == 1


def test_a_partial_success_is_read(server: ScriptedServer, channel: HttpChannel):
    server.answers = [_answer("200 OK", b"\x0a\x06\x08\x02\x12\x02no")]
    assert channel.send(b"x", 3) == Outcome(
        OutcomeKind.DELIVERED, rejected=2, explanation="accepted, but 2 of 3 records rejected: no"
    )


def test_a_connection_that_was_closed_while_idle_costs_nothing(server: ScriptedServer, channel: HttpChannel):
    def answer_and_close(connection: socket.socket) -> None:
        connection.sendall(_OK)
        connection.shutdown(socket.SHUT_RDWR)

    server.answers = [answer_and_close, _OK]
    first = channel.send(b"1", 1)
    assert server.closing.wait(5)
    assert (first, channel.send(b"2", 1)) == (_DELIVERED, _DELIVERED)
    assert [(request.body, request.connection) for request in server.requests] == [(b"1", 1), (b"2", 2)]


def test_a_connection_that_was_idle_for_long_is_not_trusted(server: ScriptedServer, open_http: Open):
    now_s = 0.0
    server.answers = [_OK, _OK]
    channel = open_http(server.url, clock=lambda: now_s)
    channel.send(b"1", 1)
    now_s = 60.0
    channel.send(b"2", 1)
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_connection_of_the_parent_process_is_left_to_it(
    server: ScriptedServer, channel: HttpChannel, monkeypatch: pytest.MonkeyPatch
):
    server.answers = [_OK, _OK]
    channel.send(b"1", 1)
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    channel.send(b"2", 1)
    assert [request.connection for request in server.requests] == [1, 2]


def test_an_answer_that_never_ends_is_cut_at_64_kib(server: ScriptedServer, channel: HttpChannel):
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 No\r\nContent-Type: text/plain\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    server.answers = [flood, _OK]
    assert channel.send(b"1", 1) == Outcome(
        OutcomeKind.DEAD, explanation="answered 400 Bad Request: " + "x" * 199 + "…"
    )
    assert channel.send(b"2", 1) == _DELIVERED
    assert [request.connection for request in server.requests] == [1, 2]


def test_a_compressed_answer_is_not_inflated(server: ScriptedServer, channel: HttpChannel):
    bomb = gzip.compress(b"\0" * 50_000_000, compresslevel=1)
    server.answers = [_answer("200 OK", bomb, "Content-Encoding: gzip")]
    assert channel.send(b"x", 1) == _DELIVERED


def test_a_redirect_is_not_followed(server: ScriptedServer, channel: HttpChannel):
    server.answers = [_answer("307 Temporary Redirect", b"", f"Location: {server.url}")]
    assert channel.send(b"x", 1) == Outcome(
        OutcomeKind.PAUSED,
        explanation="answered 307 Temporary Redirect: "
        "redirects are not followed, configure the final address",
    )
    assert len(server.requests) == 1


def test_cookies_are_not_kept(server: ScriptedServer, channel: HttpChannel):
    server.answers = [_answer("200 OK", b"", "Set-Cookie: a=1"), _OK]
    channel.send(b"1", 1)
    channel.send(b"2", 1)
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    "answer",
    [_silence, _drip(b""), _drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")],
    ids=["black hole", "dripping status line", "dripping header"],
)
def test_the_deadline_is_one_total(server: ScriptedServer, answer: Answer, open_http: Open):
    server.answers = [answer]
    channel = open_http(server.url, timeout_s=_SHORT_S)
    outcome, took_s = _timed(lambda: channel.send(b"x", 1))
    assert outcome == Outcome(
        OutcomeKind.RETRY, explanation="no complete answer within 0.25 s", is_ambiguous=True
    )
    assert _SHORT_S - 0.01 < took_s < 4 * _SHORT_S


def test_a_body_that_drips_does_not_undo_an_acceptance(server: ScriptedServer, open_http: Open):
    server.answers = [_drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")]
    channel = open_http(server.url, timeout_s=_SHORT_S)
    outcome, took_s = _timed(lambda: channel.send(b"x", 1))
    assert outcome == _DELIVERED
    assert took_s < 4 * _SHORT_S


def test_a_server_that_stops_reading_is_cut(server: ScriptedServer, open_http: Open):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        channel = open_http(f"http://127.0.0.1:{deaf.getsockname()[1]}/", timeout_s=_SHORT_S)
        outcome, took_s = _timed(lambda: channel.send(b"x" * 20_000_000, 1))
    assert (outcome.kind, outcome.is_ambiguous) == (OutcomeKind.RETRY, True)
    assert took_s < 4 * _SHORT_S


def test_a_caller_may_have_less_time_than_the_destination(server: ScriptedServer, channel: HttpChannel):
    server.answers = [_silence]
    outcome, took_s = _timed(lambda: channel.send(b"x", 1, timeout_s=0.1))
    assert outcome.explanation == "no complete answer within 0.1 s"
    assert took_s < 1.0


@pytest.mark.parametrize(
    ("answer", "explanation"),
    [
        (_reset, "Connection reset by peer"),
        (_close, "the server closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", "not an HTTP answer: BadStatusLine: SSH-2.0-OpenSSH"),
    ],
    ids=["reset", "closed", "not http"],
)
def test_a_fault_after_sending_is_ambiguous(
    server: ScriptedServer, answer: Answer, explanation: str, open_http: Open
):
    server.answers = [answer, _OK]
    channel = open_http(server.url, timeout_s=1.0)
    assert channel.send(b"1", 1) == Outcome(OutcomeKind.RETRY, explanation=explanation, is_ambiguous=True)
    assert channel.send(b"2", 1) == _DELIVERED


def test_an_endless_head_is_refused(server: ScriptedServer, channel: HttpChannel):
    server.answers = [b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n"]
    assert channel.send(b"x", 1).explanation == "not an HTTP answer: HTTPException: got more than 100 headers"


def test_a_closed_port_says_so(open_http: Open):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert open_http(f"http://127.0.0.1:{port}/").send(b"x", 1) == Outcome(
        OutcomeKind.RETRY,
        explanation=f"connecting to 127.0.0.1 (127.0.0.1, port {port}): Connection refused",
    )


def _rows(*hosts: tuple[str, int]) -> Callable[..., list[tuple[object, ...]]]:
    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", host) for host in hosts]

    return lookup


def test_every_address_is_tried(server: ScriptedServer, open_http: Open):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    server.answers = [_OK]
    resolver = Resolver(_rows(("127.0.0.1", closed), ("127.0.0.1", server.port)))
    assert open_http("http://collector/", resolver=resolver).send(b"x", 1) == _DELIVERED


def test_an_address_that_swallows_packets_leaves_time_for_the_next(server: ScriptedServer, open_http: Open):
    server.answers = [_OK]
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        with socket.create_connection(place):  # its queue is full: further handshakes are not answered
            resolver = Resolver(_rows(place, ("127.0.0.1", server.port)))
            outcome = open_http("http://collector/", timeout_s=0.8, resolver=resolver).send(b"x", 1)
    assert outcome == _DELIVERED


def test_a_resolver_that_hangs_is_abandoned(open_http: Open):
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(10)
        return []

    channel = open_http("http://collector/", timeout_s=0.05, resolver=Resolver(hang))
    outcomes = [channel.send(b"x", 1) for _ in range(3)]
    release.set()
    assert [(outcome.kind, outcome.is_ambiguous) for outcome in outcomes] == [(OutcomeKind.RETRY, False)] * 3
    assert outcomes[0].explanation == "looking up collector took longer than 0.05 s"
    assert outcomes[2].explanation == "earlier look-ups of collector still hang in the system's resolver"


def test_a_name_that_does_not_exist_says_so(open_http: Open):
    def fail(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert open_http("http://nowhere/", resolver=Resolver(fail)).send(b"x", 1) == Outcome(
        OutcomeKind.RETRY, explanation="looking up nowhere: Name or service not known"
    )


def test_a_plain_proxy_gets_the_absolute_address(server: ScriptedServer, open_http: Open):
    server.answers = [_OK]
    environ = {"HTTP_PROXY": f"http://me:word@127.0.0.1:{server.port}"}
    assert open_http("http://collector:4318/v1/traces", environ).send(b"x", 1) == _DELIVERED
    [request] = server.requests
    assert request.head == "POST http://collector:4318/v1/traces HTTP/1.1"
    assert request.headers["host"] == "collector:4318"
    assert request.headers["proxy-authorization"] == "Basic bWU6d29yZA=="


@pytest.mark.parametrize(
    "url", ["collector:4318", "ftp://c/", "http:///v1", "http://[::1", "http://c:99999/"]
)
def test_an_endpoint_that_is_no_url_keeps_its_data_waiting(url: str):
    channel = open_channel(Destination("traces", url), environ={})
    assert isinstance(channel, UnusableChannel)
    outcome = channel.send(b"x", 1)
    assert (outcome.kind, outcome.wait_s) == (OutcomeKind.RETRY, 300.0)
    assert outcome.explanation.startswith("endpoint ")
