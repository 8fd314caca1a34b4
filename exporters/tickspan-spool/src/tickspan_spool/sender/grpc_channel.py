"""OTLP over gRPC: the same bytes as over HTTP, by grpcio's generic call. grpcio is an extra.

grpcio has threads of its own and does not survive a fork: this is for the agent, which does not fork.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import grpc

from .deadline import Countdown
from .destination import Destination
from .grpc_outcome import decide_grpc
from .header_source import HeaderSource
from .outcome import Outcome, OutcomeKind, accepted
from .tls import TlsContexts, TlsError
from .user_agent import user_agent

_METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "profiles": "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
}
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.enable_retries", 0),  # who repeats is the delivery, which knows what is ambiguous
    ("grpc.keepalive_time_ms", 30_000),  # only while a request is under way: idle pings annoy servers
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel inherits the dead connection of the old one
    ("grpc.service_config_disable_resolution", 1),  # no TXT look-up
)
# After these the connection may be half open, or grpcio waits out a backoff of its own before it tries again.
_DOUBTFUL = frozenset({"DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED", "UNKNOWN", "INTERNAL"})
_NAME = re.compile(r"[0-9a-z_.\-]+")
_DETAILS_KEY = "grpc-status-details-bin"


class GrpcChannel:
    """One unary call at a time, with its deadline kept by grpcio from resolution to the answer.

    Args:
        destination: its URL is a target: "host:port", "http://host:port" (plain), "https://host:port".
        clock: monotonic seconds, for the files that are watched.
    """

    def __init__(self, destination: Destination, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._is_secure = _read_target(destination)
        self._destination = destination
        self._headers = HeaderSource(destination, clock)
        self._tls = TlsContexts(destination, Countdown(clock), clock)
        self._context: object = None
        self._channel: Any = None
        self._call: Any = None

    def send(self, body: bytes, records: int, timeout_s: float | None = None) -> Outcome:
        """One call; see `Channel.send`."""
        limit_s = self._destination.timeout_s
        metadata = tuple(self._headers.current().items())
        unusable = [name for name, value in metadata if not _is_metadata(name, value)]
        if unusable:  # grpcio would answer INTERNAL, as if the server had refused the batch
            explanation = f"gRPC takes header values of printable ASCII only, not those of {unusable}"
            return Outcome(OutcomeKind.RETRY, explanation=explanation)
        try:
            call = self._connected()
            answer: bytes = call(
                body,
                timeout=limit_s if timeout_s is None else min(timeout_s, limit_s),
                metadata=metadata,
            )
        except TlsError as error:
            return Outcome(OutcomeKind.RETRY, explanation=str(error))
        except grpc.RpcError as error:
            return self._failed(error)
        return accepted(answer, records)

    def use_headers(self, headers: Mapping[str, str]) -> None:
        """See `Channel.use_headers`."""
        self._headers.use(headers)

    def lacking(self) -> str:
        """See `Channel.lacking`."""
        return self._headers.lacking()

    def close(self) -> None:
        """See `Channel.close`."""
        channel, self._channel, self._call = self._channel, None, None
        if channel is not None:
            channel.close()

    def _connected(self) -> Any:
        context = self._tls.current() if self._is_secure else None
        if self._channel is None or context is not self._context:
            self.close()
            self._channel = self._new_channel()
            self._context = context
            # without serialisers grpcio passes bytes through
            self._call = self._channel.unary_unary(_METHODS[self._destination.signal])
        return self._call

    def _new_channel(self) -> Any:
        options = [*_OPTIONS, ("grpc.primary_user_agent", user_agent())]
        is_gzip = self._destination.compression == "gzip"
        compression = grpc.Compression.Gzip if is_gzip else grpc.Compression.NoCompression
        if not self._is_secure:
            return grpc.insecure_channel(self._target, options=options, compression=compression)
        return grpc.secure_channel(
            self._target, self._credentials(), options=options, compression=compression
        )

    def _credentials(self) -> Any:
        """From the same contents that the checked context was made of."""
        contents, destination = self._tls.contents, self._destination
        chain = contents.get(destination.client_certificate or "")
        key = contents.get(destination.client_key or "", chain)
        return grpc.ssl_channel_credentials(
            root_certificates=contents.get(destination.certificate or ""),
            private_key=key if chain else None,
            certificate_chain=chain,
        )

    def _failed(self, error: Any) -> Outcome:
        code: str = error.code().name
        if code in _DOUBTFUL:
            self.close()
        metadata: Any = error.trailing_metadata() or ()
        details = next((value for key, value in metadata if key == _DETAILS_KEY), b"")
        return decide_grpc(code, error.details() or "", details)


def _is_metadata(name: str, value: str) -> bool:
    is_name = _NAME.fullmatch(name) is not None and not name.endswith("-bin")
    return is_name and value.isascii() and value.isprintable()


def _read_target(destination: Destination) -> tuple[str, bool]:
    """Grpcio's target, and whether TLS is spoken: the scheme says so, without one `insecure`."""
    parts = urlsplit(destination.url) if "://" in destination.url else None
    if parts is not None and parts.scheme in {"http", "https"}:
        if not parts.hostname:
            raise ValueError("expected host:port, http://host:port or https://host:port")
        return parts.netloc, parts.scheme == "https"
    return destination.url, not destination.insecure
