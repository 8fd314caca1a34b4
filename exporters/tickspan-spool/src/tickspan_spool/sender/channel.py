"""Channel: the way to one destination. One request at a time, one answer, no memory of batches."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from .destination import Destination
from .outcome import Outcome, OutcomeKind
from .retry_after import LONGEST_WAIT_S


class Channel(Protocol):
    """For one thread; `use_headers` may be called from another."""

    def send(self, body: bytes, records: int, timeout_s: float | None = None) -> Outcome:
        """Send one export request and wait for its answer. Never raises for what the network does.

        Args:
            body: the serialised request; empty for a probe.
            records: how many it holds.
            timeout_s: a total for everything; the destination's own where that is less.
        """
        ...

    def use_headers(self, headers: Mapping[str, str]) -> None:
        """Values of headers that came later; they win over configured ones."""
        ...

    def lacking(self) -> str:
        """What has to come before a request makes sense: one sentence, empty when nothing is lacking."""
        ...

    def close(self) -> None:
        """Let go of connections; a later `send` makes new ones."""
        ...


class UnusableChannel:
    """For a destination to which nothing can be sent as it is configured: all of its data waits."""

    def __init__(self, explanation: str) -> None:
        self._explanation = explanation

    def send(self, body: bytes, records: int, timeout_s: float | None = None) -> Outcome:
        """Later, says each."""
        del body, records, timeout_s
        return Outcome(OutcomeKind.RETRY, LONGEST_WAIT_S, explanation=self._explanation)

    def use_headers(self, headers: Mapping[str, str]) -> None:
        """No request, no headers."""

    def lacking(self) -> str:
        """Told by `send`."""
        return ""

    def close(self) -> None:
        """Nothing was opened."""


def open_channel(
    destination: Destination,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
) -> Channel:
    """The channel for a destination's protocol; nothing is connected before the first `send`.

    Args:
        destination: where to.
        environ: for the proxy variables.
        clock: monotonic seconds.
    """
    try:
        if destination.protocol == "grpc":
            from .grpc_channel import GrpcChannel  # grpcio is an extra

            return GrpcChannel(destination, clock=clock)
        from .http_channel import HttpChannel  # urllib3 is not needed where only gRPC is spoken

        return HttpChannel(destination, environ=environ, clock=clock)
    except ImportError as error:
        extra = "grpc" if destination.protocol == "grpc" else "http"
        return UnusableChannel(f"protocol {destination.protocol}: install tickspan-spool[{extra}] ({error})")
    except ValueError as error:
        return UnusableChannel(f"endpoint {destination.label!r}: {error}")
