"""TLS over HTTP: who is trusted, who we are, and files that are rotated."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from tickspan_spool.sender import Destination, Outcome, OutcomeKind
from tickspan_spool.sender.http_channel import HttpChannel
from tickspan_spool.sender.issuer import issuer_name

pytestmark = pytest.mark.integration

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_DELIVERED = Outcome(OutcomeKind.DELIVERED)
_DAY = dt.timedelta(days=1)


class Authority:
    """A certificate authority for one test."""

    def __init__(self, name: str, directory: Path) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._directory = directory
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=None))
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(certificate)

    def issue(self, name: str, days: int = 1, password: bytes | None = None) -> tuple[Path, Path]:
        """Certificate and key files for an IP address or a name."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, x509.SubjectAlternativeName([alternative]), days)
        files = self._directory / f"{name}-{days}.crt", self._directory / f"{name}-{days}.key"
        files[0].write_bytes(certificate)
        encryption = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        )
        files[1].write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        return files

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        days: int = 1,
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * _DAY)
            .not_valid_after(now + days * _DAY)
            .add_extension(extension, critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@dataclass
class TlsServer:
    """Answers every request with 200; remembers whom it saw."""

    context: ssl.SSLContext
    peers: list[str] = field(default_factory=list[str])
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}/v1/traces"
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):
            plain.settimeout(5)
            with self.context.wrap_socket(plain, server_side=True) as connection:
                while data := connection.recv(65_536):
                    if not data.endswith(b"spans"):
                        continue
                    peer: Any = connection.getpeercert() or {}
                    self.peers.append(
                        dict(pair for row in peer.get("subject", ()) for pair in row).get("commonName", "")
                    )
                    connection.sendall(_OK)


def _server_context(pair: tuple[Path, Path], client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority("trusted", tmp_path)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Serve = Callable[[ssl.SSLContext], TlsServer]
Open = Callable[..., HttpChannel]


@pytest.fixture
def serve(stack: ExitStack) -> Serve:
    def start(context: ssl.SSLContext) -> TlsServer:
        server = TlsServer(context)
        stack.callback(server.close)
        return server

    return start


@pytest.fixture
def open_https(stack: ExitStack) -> Open:
    def open_one(url: str, clock: Callable[[], float] = lambda: 0.0, **settings: Any) -> HttpChannel:
        texts = {name: str(value) for name, value in settings.items() if value is not None}
        channel = HttpChannel(Destination("traces", url, **texts), environ={}, clock=clock)  # pyright: ignore[reportArgumentType] - texts for texts
        stack.callback(channel.close)
        return channel

    return open_one


def test_the_configured_authority_is_trusted_whatever_other_variables_say(
    authority: Authority, serve: Serve, open_https: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = Authority("other", tmp_path).file
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(other))
    server = serve(_server_context(authority.issue("127.0.0.1")))
    channel = open_https(server.url, certificate=authority.file)
    assert [channel.send(b"spans", 1), channel.send(b"spans", 1)] == [_DELIVERED, _DELIVERED]
    assert server.connections == 1


def test_another_authority_is_not_trusted_and_one_sentence_says_whom_we_expected(
    authority: Authority, serve: Serve, open_https: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = Authority("other", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.file))
    server = serve(_server_context(other.issue("127.0.0.1")))
    channel = open_https(server.url, certificate=authority.file)
    assert channel.send(b"spans", 1) == Outcome(
        OutcomeKind.RETRY,
        explanation="the server's certificate: unable to get local issuer certificate; "
        f"only 'trusted' in {authority.file} is trusted, the server's was issued by 'other'",
    )
    assert server.peers == []


def test_the_name_is_always_checked(authority: Authority, serve: Serve, open_https: Open):
    server = serve(_server_context(authority.issue("elsewhere.example")))
    outcome = open_https(server.url, certificate=authority.file).send(b"spans", 1)
    assert outcome.kind is OutcomeKind.RETRY
    assert outcome.explanation.startswith(
        "the server's certificate: IP address mismatch, certificate is not valid for '127.0.0.1'"
    )


def test_an_expired_certificate_is_not_accepted(authority: Authority, serve: Serve, open_https: Open):
    server = serve(_server_context(authority.issue("127.0.0.1", days=-1)))
    outcome = open_https(server.url, certificate=authority.file).send(b"spans", 1)
    assert outcome.explanation.startswith("the server's certificate: certificate has expired")


def test_tls_before_1_2_is_not_spoken(authority: Authority, open_https: Open):
    channel = open_https("https://127.0.0.1/", certificate=authority.file)
    assert channel._tls.current().minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_server_that_speaks_no_tls_is_explained(open_https: Open, authority: Authority):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(65_536)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        outcome = open_https(url, certificate=authority.file).send(b"spans", 1)
        thread.join()
    assert (outcome.kind, outcome.is_ambiguous) == (OutcomeKind.RETRY, False)
    assert outcome.explanation.startswith("TLS: ")


def test_a_handshake_that_hangs_is_cut(open_https: Open, authority: Authority):

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        channel = open_https(url, clock=time.monotonic, certificate=authority.file)
        started_s = time.monotonic()
        outcome = channel.send(b"spans", 1, timeout_s=0.2)
        took_s = time.monotonic() - started_s
    assert outcome == Outcome(OutcomeKind.RETRY, explanation="no complete answer within 0.2 s")
    assert took_s < 0.8


def test_our_certificate_is_shown(authority: Authority, serve: Serve, open_https: Open):
    server = serve(_server_context(authority.issue("127.0.0.1"), authority.file))
    certificate, key = authority.issue("bot")
    channel = open_https(
        server.url, certificate=authority.file, client_certificate=certificate, client_key=key
    )
    assert channel.send(b"spans", 1) == _DELIVERED
    assert server.peers == ["bot"]


def test_a_server_that_wants_a_certificate_refuses_without(
    authority: Authority, serve: Serve, open_https: Open
):
    server = serve(_server_context(authority.issue("127.0.0.1"), authority.file))
    outcome = open_https(server.url, certificate=authority.file).send(b"spans", 1)
    assert outcome.kind is OutcomeKind.RETRY
    assert server.peers == []


def test_rotated_files_are_used_after_30_seconds(authority: Authority, serve: Serve, open_https: Open):
    server = serve(_server_context(authority.issue("127.0.0.1"), authority.file))
    certificate, key = authority.issue("old")
    now_s = 0.0
    channel = open_https(
        server.url,
        lambda: now_s,
        certificate=authority.file,
        client_certificate=certificate,
        client_key=key,
    )
    new_certificate, new_key = authority.issue("new")

    channel.send(b"spans", 1)
    new_certificate.replace(certificate)
    now_s = 29.0
    channel.send(b"spans", 1)
    now_s = 31.0
    channel.send(b"spans", 1)
    half_rotated = server.connections
    new_key.replace(key)
    now_s = 32.0
    channel.send(b"spans", 1)

    assert server.peers == ["old", "old", "old", "new"]
    assert (half_rotated, server.connections) == (1, 2)


def test_files_that_are_touched_but_the_same_change_nothing(
    authority: Authority, serve: Serve, open_https: Open
):
    server = serve(_server_context(authority.issue("127.0.0.1")))
    now_s = 0.0
    channel = open_https(server.url, lambda: now_s, certificate=authority.file)
    channel.send(b"spans", 1)
    authority.file.write_bytes(authority.file.read_bytes())
    now_s = 31.0
    channel.send(b"spans", 1)
    assert server.connections == 1


@pytest.mark.parametrize("setting", ["certificate", "client_certificate"])
def test_a_file_that_is_missing_or_wrong_is_named(open_https: Open, tmp_path: Path, setting: str):
    missing, wrong = tmp_path / "missing.pem", tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    first = open_https("https://127.0.0.1:1/", **{setting: missing}).send(b"", 0)
    second = open_https("https://127.0.0.1:1/", **{setting: wrong}).send(b"", 0)
    assert first == Outcome(OutcomeKind.RETRY, explanation=f"TLS file {missing}: No such file or directory")
    assert second.kind is OutcomeKind.RETRY
    assert str(wrong) in second.explanation


def test_a_key_with_a_password_does_not_ask_on_the_terminal(authority: Authority, open_https: Open):
    certificate, key = authority.issue("bot", password=b"word")
    channel = open_https("https://127.0.0.1:1/", client_certificate=certificate, client_key=key)
    outcome = channel.send(b"", 0)
    assert outcome.kind is OutcomeKind.RETRY
    assert "the key is encrypted" in outcome.explanation


def test_a_proxy_is_tunnelled_through(authority: Authority, serve: Serve, stack: ExitStack):
    server = serve(_server_context(authority.issue("127.0.0.1")))
    asked: list[bytes] = []
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

    def tunnel() -> None:
        with listener.accept()[0] as inner, socket.create_connection(("127.0.0.1", server.port)) as outer:
            asked.append(inner.recv(65_536).split(b"\r\n")[0])
            inner.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(outer, inner))
            back.start()
            _pump(inner, outer)
            back.join()

    thread = threading.Thread(target=tunnel)
    thread.start()
    environ = {"HTTPS_PROXY": f"http://127.0.0.1:{listener.getsockname()[1]}"}
    channel = HttpChannel(Destination("traces", server.url, certificate=str(authority.file)), environ=environ)
    outcome = channel.send(b"spans", 1)
    channel.close()
    thread.join()
    assert outcome == _DELIVERED
    assert asked[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.".encode())


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@given(st.binary(max_size=200))
def test_no_certificate_makes_the_search_for_its_issuer_raise(certificate: bytes):
    assert issuer_name(certificate).isprintable()
