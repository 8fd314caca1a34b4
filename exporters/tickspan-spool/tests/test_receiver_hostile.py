"""The receiver against slow, wrong or malicious senders: an answer at once, and service for all others."""

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tickspan_spool.receiver import Limits, Receiver

pytestmark = pytest.mark.integration

_LIMITS = Limits(
    wire_bytes=10_000,
    inflated_bytes=100_000,
    records=50,
    connections=4,
    idle_timeout_s=5.0,
    request_timeout_s=0.3,
)
_GOOD = b"POST /v1/logs HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(scope="module")
def shared() -> Iterator[Receiver]:
    with Receiver(limits=_LIMITS) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared: Receiver, capfd: pytest.CaptureFixture[str]) -> Iterator[Receiver]:
    yield shared
    assert _exchange(shared, _GOOD).startswith(b"HTTP/1.1 200 OK\r\n")
    assert capfd.readouterr() == ("", "")


def _open(receiver: Receiver) -> socket.socket:
    where = urlsplit(receiver.endpoint)
    return socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=5)


def _exchange(receiver: Receiver, data: bytes, *, is_over: bool = True) -> bytes:
    """What comes back until the receiver closes."""
    with _open(receiver) as connection:
        connection.sendall(data)
        if is_over:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def _request(
    body: bytes = b"",
    *lines: str,
    kind: str = "application/x-protobuf",
    length: int | None = None,
    start: str = "POST /v1/traces HTTP/1.1",
) -> bytes:
    size = len(body) if length is None else length
    head = (start, f"Content-Type: {kind}", f"Content-Length: {size}", *lines, "", "")
    return "\r\n".join(head).encode() + body


def _status(answer: bytes) -> bytes:
    """The number alone: the words for it changed with Python 3.13."""
    return answer[9:12]


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        pytest.param(_request(start="POST / HTTP/1.1"), b"404", b"/v1/logs", id="path"),
        pytest.param(_request(start="GET /v1/logs HTTP/1.1"), b"405", b"POST", id="method"),
        pytest.param(_request(start="OPTIONS /v1/logs HTTP/1.1"), b"405", b"POST", id="options"),
        pytest.param(_request(kind="text/plain"), b"415", b"text/plain", id="type"),
        pytest.param(_request(b"", "Content-Encoding: br"), b"415", b"'br'", id="encoding"),
        pytest.param(
            b"POST /v1/logs HTTP/1.1\r\nContent-Type: application/json\r\n\r\n",
            b"411",
            b"content-length",
            id="no length",
        ),
        pytest.param(_request(length=-1), b"400", b"content-length", id="negative length"),
        pytest.param(_request(length=10**30), b"400", b"content-length", id="absurd length"),
        pytest.param(_request(length=10_001), b"413", b"10000", id="wire size"),
        pytest.param(_request(b"abc", length=5), b"400", b"5 bytes announced, 3 came", id="truncated"),
        pytest.param(_request(b"\xff" * 50), b"400", b"protobuf", id="no protobuf"),
        pytest.param(_request(b"{]", kind="application/json"), b"400", b"JSON", id="no JSON"),
        pytest.param(_request(b"[" * 99, kind="application/json"), b"400", b"deeper than 64", id="nesting"),
        pytest.param(
            _request(b"\x0a\x68\x12\x66" + b"\x12\x00" * 51),
            b"413",
            b"50 records",
            id="records",
        ),
        pytest.param(
            _request(gzip.compress(b"0" * 90_000_000)[:9_000], "Content-Encoding: gzip"),
            b"413",
            b"inflates",
            id="bomb",
        ),
        pytest.param(
            _request(gzip.compress(b"{}")[:-3], "Content-Encoding: gzip", kind="application/json"),
            b"400",
            b"ends before",
            id="truncated gzip",
        ),
        pytest.param(
            _request(b"", "Transfer-Encoding: chunked"),
            b"400",
            b"transfer-encoding",
            id="both lengths",
        ),
        pytest.param(b"POST\r\n\r\n", b"400", b"Bad request", id="half a request line"),
        pytest.param(b"POST /v1/logs HTTP/9.9\r\n\r\n", b"505", b"", id="version"),
        pytest.param(b"POST /" + b"a" * 70_000, b"414", b"64 KiB", id="endless line"),
        pytest.param(
            b"POST / HTTP/1.1\r\nA: " + b"a" * 70_000,
            b"431",
            b"",
            id="endless header",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + b"A: a\r\n" * 200,
            b"431",
            b"",
            id="too many headers",
        ),
    ],
)
def test_a_wrong_request_is_refused_at_once_with_its_reason(
    receiver: Receiver, request_: bytes, status: bytes, message: bytes
):
    answer = _exchange(receiver, request_)
    assert _status(answer) == status
    assert message in answer
    assert b"Connection: close" in answer


_CHUNKED = b"POST /v1/logs HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        pytest.param(b"2;x=y\r\n{}\r\n0\r\nTrailer: t\r\n\r\n", b"200", id="extension and trailer"),
        pytest.param(b"3\r\n{}", b"400", id="truncated"),
        pytest.param(b"1\r\n{}\r\n0\r\n\r\n", b"400", id="longer than announced"),
        pytest.param(b"-2\r\n{}\r\n0\r\n\r\n", b"400", id="negative"),
        pytest.param(b"0x2\r\n{}\r\n0\r\n\r\n", b"400", id="prefix"),
        pytest.param(b"\r\n", b"400", id="no size"),
        pytest.param(b"2" * 300, b"400", id="endless size"),
        pytest.param(b"fffffff\r\n", b"413", id="huge"),
        pytest.param(b"1000\r\n" + b"0" * 4096 + b"\r\n1fff\r\n", b"413", id="huge sum"),
        pytest.param(b"0\r\n" + b"A: a\r\n" * 300, b"400", id="endless trailers"),
    ],
)
def test_chunks_are_read_within_the_bounds_or_refused(receiver: Receiver, chunks: bytes, status: bytes):
    assert _status(_exchange(receiver, _CHUNKED + chunks)) == status


def test_a_head_request_gets_no_body(receiver: Receiver):
    assert _exchange(receiver, _request(start="HEAD /v1/logs HTTP/1.1")).endswith(b"\r\n\r\n")


def test_a_too_large_body_is_refused_before_it_is_sent_and_the_sender_can_read_why(receiver: Receiver):
    answer = _exchange(receiver, _request(b"0" * 3_000_000))
    assert _status(answer) == b"413"


def test_a_refused_sender_is_told_before_100_continue(receiver: Receiver):
    request = _request(b"", "Expect: 100-continue", length=10**6)
    assert _status(_exchange(receiver, request)) == b"413"


@pytest.mark.parametrize("sent", [b"P", b"POST /v1/logs HTTP/1.1\r\nA:", _request(b"x" * 5, length=500)])
def test_a_sender_that_stalls_is_refused_when_its_time_is_up(receiver: Receiver, sent: bytes):
    assert _status(_exchange(receiver, sent, is_over=False)) == b"408"


def test_a_sender_that_drips_gets_no_more_time_than_one_that_stalls(receiver: Receiver):
    start = time.monotonic()
    with _open(receiver) as connection:
        connection.sendall(_request(length=5_000))
        drips = threading.Thread(target=_drip, args=(connection,))
        drips.start()
        answer = connection.recv(65536)
        took_s = time.monotonic() - start
        drips.join()
    assert _status(answer) == b"408"
    assert took_s < 2


def test_an_idle_connection_is_closed():
    with Receiver(limits=Limits(idle_timeout_s=0.1)) as receiver, _open(receiver) as connection:
        assert connection.recv(10) == b""
        assert receiver.statistics().requests == 0


def test_connections_beyond_the_limit_are_turned_away_until_others_end(receiver: Receiver):
    held = [_open(receiver) for _ in range(4)]
    for connection in held:
        connection.sendall(_GOOD)
        connection.recv(1000)
    answer = _exchange(receiver, b"")
    for connection in held:
        connection.close()
    assert _status(answer) == b"503"
    assert b"Retry-After: 1\r\n" in answer
    _wait_for_service(receiver)


def test_a_sender_that_goes_away_leaves_no_trace(receiver: Receiver):
    connection = _open(receiver)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close() resets
    connection.sendall(_request(b"x", length=5_000))
    connection.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_any_bytes_are_answered_or_dropped(shared: Receiver, data: bytes):
    assert _exchange(shared, data)[:9] in {b"", b"HTTP/1.1 "}


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(["application/json", "application/x-protobuf"]),
    st.sampled_from(["", "gzip", "deflate"]),
    st.sampled_from(["traces", "metrics", "logs"]),
)
def test_any_body_is_accepted_or_refused_as_wrong(
    shared: Receiver, body: bytes, kind: str, encoding: str, signal: str
):
    start = f"POST /v1/{signal} HTTP/1.1"
    answer = _exchange(shared, _request(body, f"Content-Encoding: {encoding}", kind=kind, start=start))
    assert _status(answer) in {b"200", b"400"}


def _drip(connection: socket.socket) -> None:
    deadline = time.monotonic() + 0.6
    try:
        while time.monotonic() < deadline:
            connection.send(b"0")
            threading.Event().wait(0.02)
    except OSError:
        return


def _wait_for_service(receiver: Receiver) -> None:
    deadline = time.monotonic() + 5
    while not _is_served(receiver):
        assert time.monotonic() < deadline


def _is_served(receiver: Receiver) -> bool:
    """A connection that is turned away may be gone before it was sent anything."""
    try:
        return _status(_exchange(receiver, _GOOD)) == b"200"
    except OSError:
        return False
