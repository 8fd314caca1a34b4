"""Profiles on their way out: each a request of its own, and none to a server that does not know them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.entries import Entry, Signal, StreamKey, export_request
from tickspan_spool.layout import CODE_OF_SIGNAL, by_reason
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import DeadLetters, Delivery, Destination, Verdict, list_letters, open_channel
from tickspan_spool.spool import Spool, SpoolPlan

_PROFILES = StreamKey("profiles", b"resource", b"scope")
_SAMPLES = StreamKey("samples", b"resource", b"scope")


def _entries(*bodies: bytes, stream: StreamKey = _PROFILES) -> list[Entry]:
    return [Entry(stream, body, 1, number) for number, body in enumerate(bodies)]


class Server:
    """An HTTP server that answers with the status codes that it is given, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.came: list[tuple[str, bytes]] = []
        left = list(statuses)
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                came.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
                del format, args

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Sending:
    """A delivery to a server, with a clock of its own."""

    def __init__(self, destination: Destination, letters: Path) -> None:
        self.now_s = 0.0
        self.letters = letters
        self.delivery = Delivery(
            destination,
            open_channel(destination, environ={}),
            dead_letters=DeadLetters(letters),
            clock=lambda: self.now_s,
        )

    def deliver(self, entries: Sequence[Entry]) -> Verdict:
        """Until it is done; waits pass at once."""
        while not (verdict := self.delivery.attempt(entries)).is_done:
            self.now_s += verdict.wait_s
        self.delivery.close()
        return verdict


def _destination(endpoint: str, **variables: str) -> Destination:
    found = Destination.from_environment("profiles", {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **variables})
    assert found is not None
    return found


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.close()


def _sending(servers: list[Server], tmp_path: Path, *statuses: int) -> tuple[Server, Sending]:
    server = Server(*statuses)
    servers.append(server)
    return server, Sending(_destination(server.url), tmp_path / "dead")


def test_profiles_go_to_the_path_of_the_version_that_they_are_of():
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/base/", "OTEL_EXPORTER_OTLP_HEADERS": "key=v"}
    found = Destination.from_environment("profiles", given)
    assert found == Destination("profiles", "http://c:4318/base/v1development/profiles", headers={"key": "v"})
    own = {**given, "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT": "http://p:1/x"}
    chosen = Destination.from_environment("profiles", own)
    assert chosen is not None
    assert chosen.url == "http://p:1/x"
    assert Destination.from_json(chosen.to_json()).signal == "profiles"


@pytest.mark.integration
def test_each_profile_is_a_request_of_its_own(servers: list[Server], tmp_path: Path):
    server, sending = _sending(servers, tmp_path, 200)
    verdict = sending.deliver(_entries(b"one", b"two", b"three"))
    assert verdict == Verdict(is_done=True, delivered=3)
    assert server.came == [("/v1development/profiles", body) for body in (b"one", b"two", b"three")]


@pytest.mark.integration
@pytest.mark.parametrize("status", [404, 501])
def test_a_server_that_does_not_know_profiles_gets_no_more_of_them_and_that_is_said_once(
    servers: list[Server], tmp_path: Path, status: int
):
    server, sending = _sending(servers, tmp_path, status)
    verdicts = [sending.deliver(_entries(b"one", b"two")), sending.deliver(_entries(b"three"))]
    assert [(verdict.delivered, verdict.dropped) for verdict in verdicts] == [
        (0, {Reason.REFUSED: 2}),
        (0, {Reason.REFUSED: 1}),
    ]
    assert [body for _, body in server.came] == [b"one"]
    assert sending.delivery.statistics().dropped == {Reason.REFUSED: 3}
    assert verdicts[1].explanation == ""
    assert list_letters(sending.letters) == []


@pytest.mark.integration
def test_what_is_said_names_the_place_and_the_answer(servers: list[Server], tmp_path: Path):
    server, sending = _sending(servers, tmp_path, 404)
    verdict = sending.deliver(_entries(b"one"))
    assert verdict.explanation == (
        f"{server.url}/v1development/profiles: answered 404 Not Found; no profiles are sent there any more"
    )


@pytest.mark.integration
def test_a_server_that_is_busy_is_asked_again(servers: list[Server], tmp_path: Path):
    server, sending = _sending(servers, tmp_path, 503, 429, 200)
    assert sending.deliver(_entries(b"one")).delivered == 1
    assert [body for _, body in server.came] == [b"one"] * 3


@pytest.mark.integration
def test_another_refusal_switches_nothing_off(servers: list[Server], tmp_path: Path):
    server, sending = _sending(servers, tmp_path, 400, 200)
    assert sending.deliver(_entries(b"one")).dropped == {Reason.REFUSED: 1}
    assert sending.deliver(_entries(b"two")).delivered == 1
    assert len(server.came) == 2


@pytest.mark.integration
def test_a_server_of_grpc_without_that_service_gets_no_more_of_them(tmp_path: Path):
    grpc: Any = pytest.importorskip("grpc", reason="grpcio is not installed")
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        destination = _destination(f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
        sending = Sending(destination, tmp_path / "dead")
        verdicts = [sending.deliver(_entries(b"one")) for _ in range(2)]
    finally:
        server.stop(None).wait()
    assert [verdict.dropped for verdict in verdicts] == [{Reason.REFUSED: 1}] * 2
    assert "UNIMPLEMENTED" in verdicts[0].explanation
    assert sending.delivery.statistics().requests == 1


def test_a_profile_is_sent_as_it_is():
    assert export_request(_entries(b"whole request")) == b"whole request"


@pytest.mark.parametrize("stream", [_PROFILES, _SAMPLES])
def test_profiles_and_samples_wait_in_the_spool_like_everything_else_and_touch_no_ledger(
    tmp_path: Path, stream: StreamKey
):
    signals: tuple[Signal, ...] = ("traces", stream.signal)
    destinations = tuple(Destination(signal, f"http://127.0.0.1:9/{signal}") for signal in signals)
    spool = Spool(SpoolPlan(tmp_path, agent="off", destinations=destinations))
    spool.stream(stream).append(b"one", 3)
    spool.stream(StreamKey("traces", b"", b"")).append(b"\x12\x00")
    spool.stream(stream).append(b"two", 2)
    spool.stop()
    (folder,) = SpoolDirectory(tmp_path).folders()
    track = folder.track(stream.signal, 1)
    entries = track.read()
    assert [(one.stream, one.body, one.items, one.sequence) for one in entries] == [
        (stream, b"one", 3, 0),
        (stream, b"two", 2, 3),
    ]
    track.acknowledge(entries, 5, {})
    assert (track.is_drained, folder.is_drained) == (True, False)
    assert {signal: ledger.ended for signal, ledger in folder.ledger().items()} == {
        "traces": 1,
        "metrics": 0,
        "logs": 0,
    }


def test_what_is_lost_of_them_is_counted(tmp_path: Path):
    spool = Spool(SpoolPlan(tmp_path, segment_bytes=64 << 10, agent="off"))
    samples = spool.stream(_SAMPLES)
    samples.append(b"one", 3)
    samples.append(bytes(128 << 10), 7)
    spool.stop()
    (folder,) = SpoolDirectory(tmp_path).folders()
    counts = folder.page().counts[CODE_OF_SIGNAL["samples"]]
    assert (counts.ended, by_reason(counts.drops)) == (10, {Reason.TOO_BIG: 7})
