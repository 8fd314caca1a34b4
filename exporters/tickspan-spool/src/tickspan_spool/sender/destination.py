"""Destination: where one signal goes, as the standard variables say it."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from tickspan_spool.entries import Signal

from .headers import parse_headers

Protocol = Literal["http/protobuf", "grpc"]
Compression = Literal["none", "gzip"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
_SENT: tuple[Signal, ...] = (*SIGNALS, "profiles")
_VERSIONS: Mapping[str, str] = {"profiles": "v1development"}
"""Of the paths that are not `v1`."""
DEFAULT_TIMEOUT_S = 5.0
_LONGEST_TIMEOUT_S = 300.0
_DEFAULT_BASE: Mapping[Protocol, str] = {
    "http/protobuf": "http://localhost:4318",
    "grpc": "http://localhost:4317",
}
_OTLP_EXPORTERS: Mapping[str, Protocol | None] = {
    "otlp": None,  # as the protocol variable says
    "otlp_proto_http": "http/protobuf",
    "otlp_proto_grpc": "grpc",
}


@dataclass(frozen=True, slots=True)
class Destination:
    """One signal's back end. A frozen value; header values never show in its repr or its JSON.

    Attributes:
        signal: what it takes.
        url: the full URL for HTTP, the target for gRPC ("host:port" or "http(s)://host:port"). Without user
            information: that becomes an `authorization` header.
        protocol: "http/protobuf" or "grpc".
        headers: names in lower case to values, percent-decoded.
        awaited_headers: names whose values were known where this was configured, and are not known here.
        compression: of requests, "none" or "gzip".
        timeout_s: of one request, from name resolution to the last byte of the answer.
        certificate: PEM file of the only CA that is trusted; None trusts the system's.
        client_certificate: PEM file shown to the server.
        client_key: its key; None when it is in the same file.
        insecure: gRPC without TLS where the target has no scheme.
        headers_file: lines of `key=value`, re-read when they change; wins over `headers`.
    """

    signal: Signal
    url: str
    protocol: Protocol = "http/protobuf"
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False, hash=False)
    awaited_headers: tuple[str, ...] = ()
    compression: Compression = "none"
    timeout_s: float = DEFAULT_TIMEOUT_S
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    insecure: bool = False
    headers_file: str | None = None

    @staticmethod
    def from_environment(signal: Signal, environ: Mapping[str, str]) -> Destination | None:
        """As the `OTEL_EXPORTER_OTLP_*` variables say; None when this signal is not exported over OTLP.

        `OTEL_EXPORTER_OTLP_[SIGNAL_]TIMEOUT` is in seconds, as the Python SDK takes it; the specification has
        milliseconds. Values that cannot be used are taken as unset.
        """
        variables = _Variables(signal, environ)
        exporter = _otlp_exporter(variables)
        if exporter is None:
            return None
        protocol = _OTLP_EXPORTERS[exporter] or _protocol(variables.otlp("PROTOCOL"))
        return _with_user_information(
            Destination(
                signal=signal,
                url=_endpoint(variables, protocol),
                protocol=protocol,
                headers=parse_headers(variables.otlp("HEADERS") or ""),
                compression=_compression(variables.otlp("COMPRESSION")),
                timeout_s=_timeout_s(variables.otlp("TIMEOUT")),
                certificate=variables.otlp("CERTIFICATE"),
                client_certificate=variables.otlp("CLIENT_CERTIFICATE"),
                client_key=variables.otlp("CLIENT_KEY"),
                insecure=(variables.otlp("INSECURE") or "").lower() == "true",
                headers_file=variables.text("TICKSPAN_HEADERS_FILE"),
            )
        )

    @property
    def label(self) -> str:
        """The place without query and user information: for people, logs and dead letters."""
        if self.protocol == "grpc" and "://" not in self.url:
            return self.url.rpartition("@")[2]
        parts = _split(self.url)
        if parts is None:
            return "an endpoint that is no URL"
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def to_json(self) -> dict[str, Any]:
        """What another process needs to send there, but for the values of headers: only their names."""
        return {
            "signal": self.signal,
            "url": self.url,
            "protocol": self.protocol,
            "headers": sorted({*self.headers, *self.awaited_headers}),
            "compression": self.compression,
            "timeout_s": self.timeout_s,
            "certificate": self.certificate,
            "client_certificate": self.client_certificate,
            "client_key": self.client_key,
            "insecure": self.insecure,
            "headers_file": self.headers_file,
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Destination:
        """The inverse of `to_json`; header values are awaited.

        Raises:
            ValueError: it is not what `to_json` makes. A file of another user's program may be damaged.
        """
        signal, url, protocol = value.get("signal"), value.get("url"), value.get("protocol")
        names: Any = value.get("headers", [])
        is_known = signal in _SENT and protocol in _DEFAULT_BASE and isinstance(url, str)
        if not is_known or not isinstance(names, list):
            raise ValueError(
                f"destination: expected what Destination.to_json makes, got the keys {sorted(value)}"
            )
        return Destination(
            signal=cast("Signal", signal),
            url=cast("str", url),
            protocol=cast("Protocol", protocol),
            awaited_headers=tuple(str(name) for name in cast("list[object]", names)),
            compression=_compression(_optional_text(value, "compression")),
            timeout_s=_timeout_s(str(value.get("timeout_s", ""))),
            certificate=_optional_text(value, "certificate"),
            client_certificate=_optional_text(value, "client_certificate"),
            client_key=_optional_text(value, "client_key"),
            insecure=value.get("insecure") is True,
            headers_file=_optional_text(value, "headers_file"),
        )


def destinations_from_environment(environ: Mapping[str, str]) -> tuple[Destination, ...]:
    """Every destination of traces, metrics and logs: the standard one, then those of `TICKSPAN_ENDPOINTS`.

    Those are base URLs, separated by commas, that get everything a second time. They share compression,
    timeout and trust with the standard destination, never its headers or its client certificate.
    """
    found: list[Destination] = []
    for signal in SIGNALS:
        standard = Destination.from_environment(signal, environ)
        if standard is not None:
            found += (standard, *_further(standard, environ.get("TICKSPAN_ENDPOINTS", "")))
    return tuple(found)


def _further(standard: Destination, endpoints: str) -> list[Destination]:
    plain = replace(standard, headers={}, client_certificate=None, client_key=None, headers_file=None)
    bases = [base.strip() for base in endpoints.split(",") if base.strip()]
    return [
        _with_user_information(replace(plain, url=_url(base, standard.signal, standard.protocol)))
        for base in bases
    ]


class _Variables:
    """The environment as one signal sees it; an empty value is no value."""

    def __init__(self, signal: Signal, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.signal: Signal = signal

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def otlp(self, setting: str) -> str | None:
        """The signal's own variant first."""
        own = self.text(f"OTEL_EXPORTER_OTLP_{self.signal.upper()}_{setting}")
        return own or self.text(f"OTEL_EXPORTER_OTLP_{setting}")


def _otlp_exporter(variables: _Variables) -> str | None:
    if (variables.text("OTEL_SDK_DISABLED") or "").lower() == "true":
        return None
    wanted = variables.text(f"OTEL_{variables.signal.upper()}_EXPORTER") or "otlp"
    names = [name.strip().lower() for name in wanted.split(",")]
    return next((name for name in names if name in _OTLP_EXPORTERS), None)


def _protocol(value: str | None) -> Protocol:
    """OTLP's default is HTTP; "http/json" goes to the same path, and every server there takes protobuf."""
    return "grpc" if value == "grpc" else "http/protobuf"


def _compression(value: str | None) -> Compression:
    return "gzip" if value is not None and value.lower() == "gzip" else "none"


def _timeout_s(value: str | None) -> float:
    try:
        timeout_s = float(value or "")
    except ValueError:
        return DEFAULT_TIMEOUT_S
    is_usable = math.isfinite(timeout_s) and timeout_s > 0
    return min(timeout_s, _LONGEST_TIMEOUT_S) if is_usable else DEFAULT_TIMEOUT_S


def _endpoint(variables: _Variables, protocol: Protocol) -> str:
    own = variables.text(f"OTEL_EXPORTER_OTLP_{variables.signal.upper()}_ENDPOINT")
    if own is not None:
        return own
    base = variables.text("OTEL_EXPORTER_OTLP_ENDPOINT") or _DEFAULT_BASE[protocol]
    return _url(base, variables.signal, protocol)


def _url(base: str, signal: Signal, protocol: Protocol) -> str:
    """The signal's path behind a base URL's own; a gRPC target has none."""
    version = _VERSIONS.get(signal, "v1")
    parts = _split(base)
    if protocol == "grpc" or parts is None:
        return base
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{version}/{signal}"))


def _split(url: str) -> SplitResult | None:
    """The parts of a URL; None for what is none, which the channel tells when it is asked to send there."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _with_user_information(destination: Destination) -> Destination:
    """`https://user:word@host` is a credential in a place that is logged and stored: make it a header."""
    parts = _split(destination.url)
    if parts is None or "@" not in parts.netloc:
        return destination
    user_information, _at, place = parts.netloc.rpartition("@")
    credential = base64.b64encode(unquote(user_information).encode()).decode()
    return replace(
        destination,
        url=urlunsplit(parts._replace(netloc=place)),
        headers={"authorization": f"Basic {credential}", **destination.headers},
    )


def _optional_text(value: Mapping[str, Any], key: str) -> str | None:
    text = value.get(key)
    return text if isinstance(text, str) and text else None
