"""Destinations as the environment says them."""

import json
from pathlib import Path

import pytest
from tickspan_spool.entries import Signal
from tickspan_spool.sender import Destination, destinations_from_environment
from tickspan_spool.sender.header_source import HeaderSource
from tickspan_spool.sender.headers import parse_headers
from tickspan_spool.sender.proxies import proxy_for


def _url(signal: Signal = "traces", **environ: str) -> str | None:
    destination = Destination.from_environment(signal, environ)
    return None if destination is None else destination.url


def test_without_any_variable_the_local_collector_gets_everything():
    assert destinations_from_environment({}) == (
        Destination("traces", "http://localhost:4318/v1/traces"),
        Destination("metrics", "http://localhost:4318/v1/metrics"),
        Destination("logs", "http://localhost:4318/v1/logs"),
    )


def test_every_variable_and_its_signals_own_variant():
    common = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector/base/",
        "OTEL_EXPORTER_OTLP_HEADERS": "Api-Key=a%2Cb, x = 1 ,broken,bad name=1,crlf=a%0d%0ab",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "2.5",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/me.pem",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/me.key",
        "TICKSPAN_HEADERS_FILE": "/headers",
    }
    own = {
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "logs.example:4317",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "y=2",
        "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "none",
        "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT": "9",
        "OTEL_EXPORTER_OTLP_LOGS_INSECURE": "True",
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": " ",
    }
    shared = {
        "certificate": "/ca.pem",
        "client_certificate": "/me.pem",
        "client_key": "/me.key",
        "headers_file": "/headers",
    }
    assert Destination.from_environment("traces", {**common, **own}) == Destination(
        "traces",
        "https://collector/base/v1/traces",
        headers={"api-key": "a,b", "x": "1"},
        compression="gzip",
        timeout_s=2.5,
        **shared,  # pyright: ignore[reportArgumentType] - texts for texts
    )
    assert Destination.from_environment("logs", {**common, **own}) == Destination(
        "logs",
        "logs.example:4317",
        protocol="grpc",
        headers={"y": "2"},
        timeout_s=9.0,
        insecure=True,
        **shared,  # pyright: ignore[reportArgumentType]
    )


def test_a_base_url_gets_the_signals_path_and_a_signals_own_url_stays():
    assert _url("metrics", OTEL_EXPORTER_OTLP_ENDPOINT="http://c:1") == "http://c:1/v1/metrics"
    assert _url("metrics", OTEL_EXPORTER_OTLP_ENDPOINT="http://c:1/x?k=1") == "http://c:1/x/v1/metrics?k=1"
    assert _url("metrics", OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://c:1/") == "http://c:1/"
    assert _url("metrics", OTEL_EXPORTER_OTLP_PROTOCOL="grpc") == "http://localhost:4317"
    assert _url("metrics", OTEL_EXPORTER_OTLP_ENDPOINT="http://[::1") == "http://[::1"


@pytest.mark.parametrize(
    ("exporter", "protocol"),
    [
        ("otlp", "http/protobuf"),
        ("console, otlp", "http/protobuf"),
        ("otlp_proto_grpc", "grpc"),
        ("otlp_proto_http", "http/protobuf"),
        ("none", None),
        ("console", None),
    ],
)
def test_a_signal_is_exported_when_its_exporter_is_otlp(exporter: str, protocol: str | None):
    destination = Destination.from_environment("traces", {"OTEL_TRACES_EXPORTER": exporter})
    assert (destination and destination.protocol) == protocol


def test_a_disabled_sdk_exports_nothing():
    assert destinations_from_environment({"OTEL_SDK_DISABLED": "true"}) == ()


@pytest.mark.parametrize("value", ["soon", "nan", "-1", "0", "inf", ""])
def test_a_timeout_that_makes_no_sense_is_the_default(value: str):
    destination = Destination.from_environment("traces", {"OTEL_EXPORTER_OTLP_TIMEOUT": value})
    assert destination == Destination("traces", "http://localhost:4318/v1/traces", timeout_s=5.0)


def test_user_information_becomes_a_header_and_never_shows():
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://bot:p%40ss@c/?token=hidden"}
    destination = Destination.from_environment("traces", environ)
    assert destination is not None
    assert destination.headers == {"authorization": "Basic Ym90OnBAc3M="}
    assert destination.label == "https://c/v1/traces"
    assert "Ym90" not in repr(destination)
    assert "Ym90" not in json.dumps(destination.to_json())


def test_further_endpoints_get_everything_but_no_credentials():
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://main",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=secret",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/key",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "TICKSPAN_ENDPOINTS": "http://second:4318, ",
    }
    assert destinations_from_environment(environ)[1:] == (
        Destination("traces", "http://second:4318/v1/traces", compression="gzip"),
    )


def test_json_keeps_all_but_header_values():
    destination = Destination(
        "logs",
        "https://c/v1/logs",
        headers={"api-key": "secret"},
        compression="gzip",
        timeout_s=3.0,
        certificate="/ca",
        headers_file="/h",
    )
    text = json.dumps(destination.to_json())
    assert "secret" not in text
    assert Destination.from_json(json.loads(text)) == Destination(
        "logs",
        "https://c/v1/logs",
        awaited_headers=("api-key",),
        compression="gzip",
        timeout_s=3.0,
        certificate="/ca",
        headers_file="/h",
    )


def test_json_of_something_else_is_refused():
    with pytest.raises(ValueError, match=r"expected what Destination\.to_json makes, got the keys \['a'\]"):
        Destination.from_json({"a": 1})


def test_a_header_variable_that_is_broken_loses_only_the_broken_pair():
    assert parse_headers("a=1,b,=2,c==3,d=%C3%A9,e=x%00y") == {"a": "1", "c": "=3", "d": "é"}


def test_a_headers_file_is_read_again_when_it_changes(tmp_path: Path):
    path, now_s = tmp_path / "headers", 0.0
    source = HeaderSource(
        Destination("traces", "http://c", headers={"a": "0", "z": "9"}, headers_file=str(path)), lambda: now_s
    )
    assert source.lacking().startswith(f"headers file {path}: FileNotFoundError")

    path.write_text("# credentials\nA = 1\n\nauthorization=Bearer a=b\n")
    now_s = 2.0
    assert (source.lacking(), source.current()) == ("", {"a": "1", "z": "9", "authorization": "Bearer a=b"})

    path.write_text("a=22\n")
    assert source.current()["a"] == "1"
    now_s = 4.0
    assert source.current() == {"a": "22", "z": "9"}

    path.unlink()
    now_s = 6.0
    assert (source.lacking(), source.current()) == ("", {"a": "22", "z": "9"})


def test_headers_that_are_awaited_come_later():
    source = HeaderSource(Destination("traces", "http://c", awaited_headers=("api-key",)), lambda: 0.0)
    assert source.lacking() == "the values of these headers are awaited: api-key"
    source.use({"Api-Key": "k", "evil": "a\r\nb: c"})
    assert (source.lacking(), source.current()) == ("", {"api-key": "k"})


_PROXIES = {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "q:2"}


@pytest.mark.parametrize(
    ("scheme", "host", "environ", "expected"),
    [
        ("http", "c", {}, None),
        ("http", "c", _PROXIES, "http://p:1"),
        ("https", "c", _PROXIES, "http://q:2"),
        ("http", "c", {**_PROXIES, "http_proxy": ""}, None),
        ("http", "c", {**_PROXIES, "REQUEST_METHOD": "GET"}, None),
        ("http", "a.example.com", {**_PROXIES, "NO_PROXY": "x, .example.com"}, None),
        ("http", "badexample.com", {**_PROXIES, "NO_PROXY": "example.com"}, "http://p:1"),
        ("http", "example.com", {**_PROXIES, "no_proxy": "example.com:4318"}, None),
        ("http", "example.com", {**_PROXIES, "no_proxy": "example.com:1"}, "http://p:1"),
        ("http", "10.1.2.3", {**_PROXIES, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http", "::1", {**_PROXIES, "NO_PROXY": "::1"}, None),
        ("http", "c", {**_PROXIES, "NO_PROXY": "*"}, None),
    ],
)
def test_proxies_as_the_variables_say(scheme: str, host: str, environ: dict[str, str], expected: str | None):
    assert proxy_for(scheme, host, 4318, environ) == expected
