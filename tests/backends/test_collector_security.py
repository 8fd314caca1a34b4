"""Listeners for other hosts: TLS and a bearer token, from agent over gateways to the back end."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.error import URLError

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc import StatusCode
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from scripts.collector import CONFIGURATIONS, Collector, running_collector
from scripts.otlp_client import export_spans, post
from scripts.servers import free_port
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.backends

_TOKEN = "token-of-this-fleet"
_AGENT = ("agent.yaml", "security/agent.yaml")
_INGEST = ("gateway/common.yaml", "gateway/ingest.yaml", "security/ingest.yaml")
_SINGLE = (*_INGEST[:2], "gateway/sampling.yaml", "gateway/single.yaml", "security/ingest.yaml")
_SAMPLING = ("gateway/common.yaml", "gateway/sampling.yaml", "security/sampling.yaml")


@dataclass(frozen=True, slots=True)
class Chain:
    """A fleet: its first collector is the agent, the last sends to a store."""

    agent: Collector
    ingest: Collector
    sampler: Collector
    single: Collector
    shard_port: int
    store: OtlpServer
    certificate: Path

    @property
    def ingest_url(self) -> str:
        return self.ingest.endpoint.replace("http://127.0.0.1", "https://localhost")


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Files with a self-signed certificate of localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, unencrypted = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, unencrypted))
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def chain(otelcol: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("secure")
    certificate, key = _certificate(folder)
    (folder / "tokens").write_text(f"{_TOKEN} # now\ntoken-of-yesterday\n")
    shard_port = free_port()
    common = {
        "TICKSPAN_COLLECTOR_LISTEN": "127.0.0.1",
        "TICKSPAN_COLLECTOR_CERT_FILE": str(certificate),
        "TICKSPAN_COLLECTOR_KEY_FILE": str(key),
        "TICKSPAN_COLLECTOR_CA_FILE": str(certificate),
        "TICKSPAN_COLLECTOR_TOKEN_FILE": str(folder / "tokens"),
        "TICKSPAN_COLLECTOR_SHARDS": "localhost",
        "TICKSPAN_COLLECTOR_SHARD_PORT": str(shard_port),
        "TICKSPAN_COLLECTOR_ALERTS": str(CONFIGURATIONS / "gateway" / "alerts"),
        "TICKSPAN_COLLECTOR_DECISION_WAIT": "200ms",
    }
    with ExitStack() as running:

        def start(layers: tuple[str, ...], back_end: str) -> Collector:
            own = folder / "-".join(layers).replace("/", "-")
            own.mkdir()
            environment = {**common, "TICKSPAN_COLLECTOR_BACKEND": back_end}
            files = [CONFIGURATIONS / name for name in (*layers, "extras.yaml")]
            return running.enter_context(running_collector(otelcol, files, own, environment))

        store = running.enter_context(OtlpServer())
        sampler = start(_SAMPLING, store.endpoint)
        ingest = start(_INGEST, store.endpoint)
        agent = start(_AGENT, ingest.endpoint.replace("http://127.0.0.1", "https://localhost"))
        single = start(_SINGLE, store.endpoint)
        yield Chain(agent, ingest, sampler, single, shard_port, store, certificate)


def _order(name: str = "trading.order") -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(name=name)
    span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
    return request


def test_an_agents_span_goes_over_both_tiers_without_a_warning(chain: Chain):
    assert post(chain.agent.endpoint, _order()) == 200
    chain.store.wait_for(lambda store: bool(store.spans()))
    assert [_warnings(one) for one in (chain.agent, chain.ingest, chain.sampler)] == [[], [], []]


def _warnings(collector: Collector) -> list[str]:
    lines = collector.server.log.read_text().splitlines()
    return [line for line in lines if "\twarn\t" in line or "\terror\t" in line]


@pytest.mark.parametrize("token", [_TOKEN, "token-of-yesterday"])
def test_a_gateway_takes_what_comes_with_a_token_of_its_list(chain: Chain, token: str):
    assert post(chain.ingest_url, _order(), token=token, certificates=chain.certificate) == 200


@pytest.mark.parametrize("token", ["", "another"])
def test_a_gateway_refuses_what_comes_without_a_token_of_its_list(chain: Chain, token: str):
    assert post(chain.ingest_url, _order(), token=token, certificates=chain.certificate) == 401


@pytest.mark.parametrize("token", ["", "another"])
def test_a_gateway_refuses_it_over_grpc_too(chain: Chain, token: str):
    target = chain.ingest.grpc_endpoint.replace("http://127.0.0.1", "localhost")
    answer = export_spans(target, _order(), token=token, certificates=chain.certificate)
    assert answer is StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(("token", "status"), [("", StatusCode.UNAUTHENTICATED), (_TOKEN, StatusCode.OK)])
def test_a_sampler_wants_the_token_of_the_first_tier(chain: Chain, token: str, status: StatusCode):
    target = f"localhost:{chain.shard_port}"
    assert export_spans(target, _order(), token=token, certificates=chain.certificate) is status


def test_a_single_gateway_does_the_same(chain: Chain):
    order, url = (
        _order("trading.order.single"),
        chain.single.endpoint.replace("http://127.0.0.1", "https://localhost"),
    )
    answers = [post(url, order, token=token, certificates=chain.certificate) for token in ("another", _TOKEN)]
    chain.store.wait_for(lambda store: "trading.order.single" in {span.name for span in store.spans()})
    assert (answers, _warnings(chain.single)) == ([401, 200], [])


def test_without_tls_nothing_is_taken(chain: Chain):
    assert post(chain.ingest.endpoint, _order(), token=_TOKEN) == 400
    answer = export_spans(f"localhost:{chain.shard_port}", _order(), token=_TOKEN)
    assert answer is StatusCode.UNAVAILABLE


def test_a_client_that_does_not_know_the_certificate_sends_nothing(chain: Chain, tmp_path: Path):
    stranger, _ = _certificate(tmp_path)
    with pytest.raises(URLError) as failure:
        post(chain.ingest_url, _order(), token=_TOKEN, certificates=stranger)
    assert isinstance(failure.value.reason, ssl.SSLCertVerificationError)
