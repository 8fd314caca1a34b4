"""Servers on the loopback that keep what notifiers send them."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tickspan.alerts.notice import Notice, NoticeState
from tickspan.analysis.rules.tiers import Tier


@dataclass(slots=True)
class Request:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class HttpServer:
    """Answers with what `answer` gives for a request: a status and headers."""

    url: str
    requests: list[Request] = field(default_factory=list[Request])
    answer: Callable[[Request], tuple[int, dict[str, str]]] = lambda _: (200, {})
    page: bytes = b"[]"
    """What a GET gives."""

    def answer_with(self, status: int, headers: dict[str, str] | None = None, where: bytes = b"") -> None:
        """Answer requests so from now on; those that have `where` in them, where it is given."""
        self.answer = lambda request: (status, headers or {}) if where in request.body else (200, {})


@pytest.fixture
def http_server() -> Iterator[HttpServer]:
    """An HTTP server that keeps requests."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(kept.page)))
            self.end_headers()
            self.wfile.write(kept.page)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body)
            kept.requests.append(request)
            status, extra = kept.answer(request)
            self.send_response(status)
            for name, value in {**extra, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept = HttpServer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@dataclass(slots=True)
class SmtpServer:
    """A mail server that speaks as much of SMTP as is asked of it."""

    port: int
    tls: ssl.SSLContext | None
    mails: list[str] = field(default_factory=list[str])
    commands: list[str] = field(default_factory=list[str])
    answers: dict[str, str] = field(default_factory=dict[str, str])


def _serve_smtp(kept: SmtpServer, handler: socketserver.StreamRequestHandler) -> None:
    def say(line: str) -> None:
        handler.wfile.write(f"{line}\r\n".encode())
        handler.wfile.flush()

    say("220 loopback")
    is_secure = False
    while line := handler.rfile.readline().decode().rstrip("\r\n"):
        kept.commands.append(line)
        verb = line.split(" ", 1)[0].upper()
        if verb in kept.answers:
            say(kept.answers[verb])
        elif verb == "EHLO":
            offers = ["STARTTLS"] if kept.tls is not None and not is_secure else ["AUTH PLAIN"]
            say("\r\n".join(["250-loopback", *(f"250-{offer}" for offer in offers), "250 SIZE 1000000"]))
        elif verb == "STARTTLS":
            assert kept.tls is not None
            say("220 go on")
            secured = kept.tls.wrap_socket(handler.request, server_side=True)
            handler.request = secured
            handler.rfile, handler.wfile = secured.makefile("rb"), secured.makefile("wb")
            is_secure = True
        elif verb == "AUTH":
            say("235 welcome")
        elif verb == "DATA":
            say("354 go on")
            kept.mails.append(_mail(handler))
            say("250 taken")
        elif verb == "QUIT":
            say("221 bye")
            return
        else:
            say("250 well")


def _mail(handler: socketserver.StreamRequestHandler) -> str:
    lines: list[str] = []
    while (line := handler.rfile.readline().decode()) != ".\r\n":
        lines.append(line)
    return "".join(lines).replace("\r\n", "\n")


def _smtp(tls: ssl.SSLContext | None) -> Iterator[SmtpServer]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                _serve_smtp(kept, self)
            finally:
                for opened in (self.rfile, self.wfile, self.request):
                    opened.close()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        kept = SmtpServer(server.server_address[1], tls)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    """A mail server without TLS."""
    yield from _smtp(None)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Certificate and key of 127.0.0.1; who trusts the certificate trusts the server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = tmp_path / "server.crt", tmp_path / "server.key"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


@pytest.fixture
def secure_smtp_server(certificate: tuple[Path, Path]) -> Iterator[SmtpServer]:
    """A mail server with STARTTLS and the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    yield from _smtp(context)


@pytest.fixture
def notice() -> Callable[..., Notice]:
    """Makes a notice of the rule SlowVenue."""

    def make(venue: str = "binance", **changes: Any) -> Notice:
        given: dict[str, Any] = {
            "rule": "SlowVenue",
            "labels": (
                ("alertname", "SlowVenue"),
                ("severity", "error"),
                ("trading_venue_name", venue),
            ),
            "state": NoticeState.FIRING,
            "starts_at_s": 1_700_000_000.25,
            "value": 0.134,
            "threshold": 0.1,
            "unit": "s",
            "annotations": {"summary": f"p95 134 ms at {venue}"},
            "trace_id": "ab" * 16,
            "span_id": "cd" * 8,
            "evaluator": Tier.AGENT,
            "owner": Tier.AGENT,
            "speaker": Tier.AGENT,
        }
        return Notice(**{**given, **changes})

    return make
