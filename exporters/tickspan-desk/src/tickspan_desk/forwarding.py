"""Forwarding: sends what arrived to a collector, for as long as it takes, and counts what was lost."""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tickspan_spool.agent.taken_apart import entries_of
from tickspan_spool.agent.worker import Worker
from tickspan_spool.courier import Courier
from tickspan_spool.entries import Entry, Signal
from tickspan_spool.reasons import Reason
from tickspan_spool.receiver import Batch
from tickspan_spool.sender import Delivery, Destination, destinations_from_environment, open_channel
from tickspan_spool.viewers import is_loopback

__all__ = ["ForwardStatistics", "Forwarder", "destinations_at", "leads_to"]

QUEUE_BYTES: Final = 32 << 20
"""For each signal: beyond that the oldest records go, and are counted."""
_OWN: Final = ("_ENDPOINT", "_EXPORTER")


def destinations_at(url: str, environ: Mapping[str, str] = os.environ) -> tuple[Destination, ...]:
    """Where each signal goes at a collector.

    Headers, compression, timeout, protocol and certificates are those of `OTEL_EXPORTER_OTLP_*`.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if name.startswith("OTEL_") and name != "OTEL_SDK_DISABLED" and not name.endswith(_OWN)
    }
    return destinations_from_environment({**kept, "OTEL_EXPORTER_OTLP_ENDPOINT": url})


def leads_to(url: str, ports: Sequence[int]) -> bool:
    """Whether a URL leads back to one of these ports of this machine: an echo that never ends."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return is_loopback(parts.hostname or "") and port in ports


@dataclass(frozen=True, slots=True)
class ForwardStatistics:
    """What became of the records of all signals: taken = delivered + waiting + the sum of dropped.

    Attributes:
        taken: that were to be sent on.
        delivered: that the collector took.
        waiting: that are still to be sent.
        dropped: that it will never have, and why.
        trouble: what went wrong last; empty when the last attempt went well.
    """

    taken: int = 0
    delivered: int = 0
    waiting: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict[str, int])
    trouble: str = ""


class _Queue:
    """Records of one signal in memory, bounded: a `courier.Source`."""

    def __init__(self, signal: Signal, max_bytes: int) -> None:
        self.signal: Signal = signal
        self.taken = self.delivered = 0
        self.dropped: Counter[str] = Counter()
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._waiting: deque[Entry] = deque()
        self._under_way: list[Entry] = []
        self._bytes = 0

    @property
    def waiting(self) -> int:
        with self._lock:
            return sum(entry.items for entry in (*self._under_way, *self._waiting))

    def put(self, entries: Sequence[Entry]) -> None:
        with self._lock:
            for entry in entries:
                self.taken += entry.items
                self._waiting.append(entry)
                self._bytes += len(entry.body)
            while self._bytes > self._max_bytes and self._waiting:
                lost = self._waiting.popleft()
                self._bytes -= len(lost.body)
                self.dropped[Reason.RING_FULL] += lost.items

    def read(self, max_records: int, max_bytes: int) -> list[Entry]:
        with self._lock:
            size = sum(len(entry.body) for entry in self._under_way)
            while (
                self._waiting
                and len(self._under_way) < max_records
                and (not self._under_way or size + len(self._waiting[0].body) <= max_bytes)
            ):
                entry = self._waiting.popleft()
                size += len(entry.body)
                self._under_way.append(entry)
            return list(self._under_way)

    def acknowledge(self, entries: Sequence[Entry], delivered: int, dropped: Mapping[Reason, int]) -> None:
        with self._lock:
            del self._under_way[: len(entries)]
            self._bytes -= sum(len(entry.body) for entry in entries)
            self.delivered += delivered
            self.dropped.update({str(reason): count for reason, count in dropped.items()})


@dataclass(frozen=True, slots=True)
class _Way:
    queue: _Queue
    worker: Worker
    delivery: Delivery


class Forwarder:
    """Sends on from threads of its own; `take` never waits and never raises. Safe for any thread."""

    def __init__(
        self, url: str, environ: Mapping[str, str] = os.environ, *, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self._ways: dict[str, _Way] = {}
        for destination in destinations_at(url, environ):
            delivery = Delivery(destination, open_channel(destination, environ=environ))
            queue = _Queue(destination.signal, queue_bytes)
            courier = Courier(delivery)
            courier.add(queue)
            worker = Worker(f"{destination.signal} on to {destination.label}", courier)
            self._ways[destination.signal] = _Way(queue, worker, delivery)
        for way in self._ways.values():
            way.worker.start()

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<Forwarder {now.delivered} delivered, {now.waiting} waiting, {now.trouble or 'well'}>"

    def take(self, batch: Batch) -> None:
        """Send a batch on; its body is protobuf."""
        way = self._ways.get(batch.signal)
        if way is not None:
            way.queue.put(entries_of(batch.signal, batch.body))
            way.worker.poke()

    def statistics(self) -> ForwardStatistics:
        """What became of everything so far."""
        queues = [way.queue for way in self._ways.values()]
        dropped: Counter[str] = Counter()
        for queue in queues:
            dropped.update(queue.dropped)
        troubles = [way.worker.statistics().trouble for way in self._ways.values()]
        return ForwardStatistics(
            sum(queue.taken for queue in queues),
            sum(queue.delivered for queue in queues),
            sum(queue.waiting for queue in queues),
            dict(dropped),
            next(filter(None, troubles), ""),
        )

    def stop(self, timeout_s: float) -> ForwardStatistics:
        """Send what waits for so long, then end; what is left then is in `waiting` and lost."""
        idle = threading.Event()
        steps = max(1, int(timeout_s / 0.02))
        for _ in range(steps):
            now = self.statistics()
            if not now.waiting or now.trouble:
                break
            for way in self._ways.values():
                way.worker.poke()
            idle.wait(0.02)
        for way in self._ways.values():
            way.worker.stop()
        for way in self._ways.values():
            if way.worker.join(max(0.1, timeout_s / 4)):
                way.delivery.close()
        return self.statistics()
