"""The receiver's door: a token that senders must show, and TLS."""

import datetime as dt
import http.client
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tickspan_spool.receiver import Batch, Receiver

_TYPE = {"Content-Type": "application/x-protobuf"}


def _port(receiver: Receiver) -> int:
    return int(receiver.endpoint.rpartition(":")[2])


def _status(connection: http.client.HTTPConnection, headers: dict[str, str]) -> int:
    connection.request("POST", "/v1/logs", b"", {**_TYPE, **headers})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("Bearer s3cret", 200), ("bearer s3cret", 200), ("Bearer s3cre", 401), ("Basic s3cret", 401), ("", 401)],
)
def test_a_sender_without_the_token_is_refused(authorization: str, status: int):
    batches: list[Batch] = []
    with Receiver(batches.append, token="s3cret") as receiver:
        connection = http.client.HTTPConnection("127.0.0.1", _port(receiver), timeout=5)
        assert _status(connection, {"Authorization": authorization} if authorization else {}) == status
        refused = {} if status == 200 else {"unauthorized": 1}
        assert dict(receiver.statistics().refused) == refused
    assert len(batches) == (status == 200)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
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
    plain = serialization.NoEncryption()
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return files


def test_a_receiver_with_a_certificate_speaks_https_only(certificate: tuple[Path, Path]):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    batches: list[Batch] = []
    with Receiver(batches.append, tls=context) as receiver:
        assert receiver.endpoint.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        secure = http.client.HTTPSConnection("127.0.0.1", _port(receiver), timeout=5, context=trusting)
        assert _status(secure, {}) == 200
        plain = http.client.HTTPConnection("127.0.0.1", _port(receiver), timeout=5)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            _status(plain, {})
        plain.close()
    assert len(batches) == 1


def test_who_never_shakes_hands_holds_up_nobody(certificate: tuple[Path, Path]):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with Receiver(tls=context) as receiver, socket.create_connection(("127.0.0.1", _port(receiver))):
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        secure = http.client.HTTPSConnection("127.0.0.1", _port(receiver), timeout=5, context=trusting)
        assert _status(secure, {}) == 200
