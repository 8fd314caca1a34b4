"""Replaying: sends stored requests to a collector exactly as they came, one after the other."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tickspan_spool.agent.taken_apart import entries_of
from tickspan_spool.entries import export_request
from tickspan_spool.receiver import Signal
from tickspan_spool.sender import Channel, Destination, Outcome, OutcomeKind, open_channel
from tickspan_spool.sender.backoff import Backoff

from tickspan_desk.forwarding import destinations_at

__all__ = ["Replayed", "replay"]

_LONGEST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far a replay is: records = delivered + the sum of dropped + those of the request under way.

    Attributes:
        requests: that were sent and are settled.
        records: in them.
        delivered: records that the collector took.
        dropped: records that it did not, by reason.
        bytes: of the requests.
        trouble: what went wrong last; empty while all is well.
        is_complete: whether all requests are settled.
    """

    requests: int = 0
    records: int = 0
    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    bytes: int = 0
    trouble: str = ""
    is_complete: bool = False


def replay(
    requests: Iterable[tuple[Signal, bytes]],
    url: str,
    tell: Callable[[Replayed], None] = lambda _so_far: None,
    *,
    patience_s: float = 30.0,
    environ: Mapping[str, str] = os.environ,
    pause: Callable[[float], None] = time.sleep,
) -> Replayed:
    """Send each request, the same bytes, and wait for its answer.

    A collector that asks for time, or does not answer, is tried again for `patience_s`; then the rest is not
    sent, and `is_complete` is false. A request that is too large for it is sent in halves.

    Args:
        requests: signal and protobuf body, in the order in which they are to go.
        url: base URL; headers, certificates and timeouts as `OTEL_EXPORTER_OTLP_*` say.
        tell: gets the counts after each request.
        patience_s: for one request.
        environ: the variables.
        pause: waits so many seconds.
    """
    sender = _Sender(url, environ, patience_s, pause)
    try:
        for signal, body in requests:
            if not sender.settle(signal, body):
                return sender.now(is_complete=False)
            tell(sender.now(is_complete=False))
        return sender.now(is_complete=True)
    finally:
        sender.close()


class _Sender:
    def __init__(
        self, url: str, environ: Mapping[str, str], patience_s: float, pause: Callable[[float], None]
    ) -> None:
        self._ways: dict[str, tuple[Destination, Channel]] = {
            destination.signal: (destination, open_channel(destination, environ=environ))
            for destination in destinations_at(url, environ)
        }
        self._patience_s = patience_s
        self._pause = pause
        self._dropped: Counter[str] = Counter()
        self._requests = self._records = self._delivered = self._bytes = 0
        self._trouble = ""

    def now(self, *, is_complete: bool) -> Replayed:
        return Replayed(
            self._requests,
            self._records,
            self._delivered,
            dict(self._dropped),
            self._bytes,
            self._trouble,
            is_complete,
        )

    def settle(self, signal: Signal, body: bytes) -> bool:
        """Whether it is settled; False when the collector's patience, and ours, is at an end."""
        entries = entries_of(signal, body)
        items = sum(entry.items for entry in entries)
        outcome = self._sent(signal, body, items)
        if outcome.kind is OutcomeKind.RETRY:
            return False
        if outcome.kind is OutcomeKind.SPLIT and len(entries) > 1:
            middle = len(entries) // 2
            return all(
                self.settle(signal, export_request(half)) for half in (entries[:middle], entries[middle:])
            )
        self._requests += 1
        self._records += items
        self._bytes += len(body)
        if outcome.kind is OutcomeKind.DELIVERED:
            self._delivered += items - outcome.rejected
            self._drop("rejected", outcome.rejected)
        else:
            self._drop("refused", items)
        return True

    def close(self) -> None:
        for _, channel in self._ways.values():
            channel.close()

    def _drop(self, reason: str, items: int) -> None:
        if items:
            self._dropped[reason] += items

    def _sent(self, signal: Signal, body: bytes, items: int) -> Outcome:
        destination, channel = self._ways[signal]
        backoff, waited_s = Backoff(Random()), 0.0  # noqa: S311 - jitter, no secret
        while True:
            outcome = channel.send(body, items)
            self._trouble = outcome.explanation and f"{destination.label}: {outcome.explanation}"
            if outcome.kind is not OutcomeKind.RETRY or waited_s >= self._patience_s:
                return outcome
            wait_s = min(backoff.after_failure(outcome.wait_s), max(_LONGEST_PAUSE_S, outcome.wait_s))
            wait_s = max(0.05, min(wait_s, self._patience_s - waited_s))
            self._pause(wait_s)
            waited_s += wait_s
