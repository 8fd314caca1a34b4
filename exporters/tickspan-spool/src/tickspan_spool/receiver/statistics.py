"""Statistics: what a receiver has taken and refused since it was made."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .batch import Batch, Signal
from .refusal import Reason


@dataclass(frozen=True, slots=True)
class ReceiverStatistics:
    """Counts of one receiver; `requests` is what was accepted plus all of `refused` but "connections".

    Attributes:
        connections: accepted by the listener.
        requests: whose first line came.
        refused: by `Reason`; only the reasons that occurred.
        spans: accepted.
        metric_points: accepted.
        log_records: accepted.
        wire_bytes: bodies of accepted requests as sent.
        body_bytes: the same after decompression.
    """

    connections: int
    requests: int
    refused: Mapping[str, int]
    spans: int
    metric_points: int
    log_records: int
    wire_bytes: int
    body_bytes: int


class Tally:
    """The counters behind `ReceiverStatistics`; safe for use by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections = 0
        self._requests = 0
        self._refused = Counter[Reason]()
        self._records = Counter[Signal]()
        self._wire_bytes = 0
        self._body_bytes = 0

    def connected(self) -> None:
        """A connection was accepted."""
        with self._lock:
            self._connections += 1

    def requested(self) -> None:
        """A request began."""
        with self._lock:
            self._requests += 1

    def refused(self, reason: Reason) -> None:
        """A request, or a connection, was refused."""
        with self._lock:
            self._refused[reason] += 1

    def accepted(self, batch: Batch, wire_bytes: int) -> None:
        """A request was accepted."""
        with self._lock:
            self._records[batch.signal] += batch.records
            self._wire_bytes += wire_bytes
            self._body_bytes += len(batch.body)

    def snapshot(self) -> ReceiverStatistics:
        """All counters at one moment."""
        with self._lock:
            return ReceiverStatistics(
                connections=self._connections,
                requests=self._requests,
                refused=MappingProxyType({reason.value: count for reason, count in self._refused.items()}),
                spans=self._records["traces"],
                metric_points=self._records["metrics"],
                log_records=self._records["logs"],
                wire_bytes=self._wire_bytes,
                body_bytes=self._body_bytes,
            )
