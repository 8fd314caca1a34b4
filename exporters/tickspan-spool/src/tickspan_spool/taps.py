"""Taps: programs of others that look at what passes through the agent, each within its means.

A distribution names a tap in the entry-point group `tickspan_tap`; a process asks for it by that name. The
entry is called in the agent, with the folder of the agent's spool, and gives a `Tap`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from .entries import Entry, Signal, StreamKey, export_request

if TYPE_CHECKING:
    from .receiver import ExportRequest

_LOGGER = logging.getLogger("tickspan_spool.taps")

GROUP: Final = "tickspan_tap"
CPU_SHARE: Final = 0.05
"""Of one core, for each tap in the long run."""
_BURST_CPU_S: Final = 2.0


def decoded(signal: Signal, request: bytes) -> ExportRequest:
    """An export request as a protobuf message. Raises `google.protobuf.message.DecodeError`."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # no tap, no protobuf in memory
        ExportTraceServiceRequest,
    )

    kinds: Mapping[Signal, type[ExportRequest]] = {
        "traces": ExportTraceServiceRequest,
        "metrics": ExportMetricsServiceRequest,
        "logs": ExportLogsServiceRequest,
    }
    return kinds[signal].FromString(request)


class TapBatch:
    """Records of one process and signal that are safe in its spool, oldest first."""

    def __init__(self, process: str, service_name: str, entries: Sequence[Entry]) -> None:
        self.process: Final = process
        """Names the process: batches of the same one follow one another in order."""
        self.service_name: Final = service_name
        self.entries: Final = entries

    def __repr__(self) -> str:
        return f"<TapBatch {len(self.entries)} {self.signal} of {self.process}>"

    @property
    def signal(self) -> Signal:
        """What kind of records."""
        return self.entries[0].stream.signal

    @cached_property
    def message(self) -> ExportRequest:
        """The decoded export request. Decoded when first asked for, then shared by all taps: read only."""
        return decoded(self.signal, export_request(self.entries))


@dataclass(frozen=True, slots=True)
class Finding:
    """What a tap has to say: one record under the resource of the process that it is about.

    Attributes:
        process: `TapBatch.process`, whose destinations get it.
        stream: the resource of the batch's entries, a scope of the tap's own, "logs" or "metrics".
        body: an entry of the scope, framed as in `Entry.body`.
        items: log records or metric points in `body`.
    """

    process: str
    stream: StreamKey
    body: bytes = field(repr=False)
    items: int = 1


@dataclass(frozen=True, slots=True)
class ProcessEnd:
    """A process has ended, and the taps have seen all that it recorded.

    Attributes:
        process: `TapBatch.process`.
        service_name: of it.
        pid: in its own pid namespace.
        has_exited_cleanly: whether it said that it ends.
        resource: of its last records, serialised; empty when it recorded nothing.
    """

    process: str
    service_name: str
    pid: int
    has_exited_cleanly: bool
    resource: bytes = field(default=b"", repr=False)


class Tap(Protocol):
    """What an entry of the group gives. Its methods run in one thread of the agent and must not block.

    One that has a method `on_end` is told the end of each process too, with a `ProcessEnd`; one that has
    `close` is called once more when the agent ends. One whose attribute `sees_all` is true sees every batch,
    whatever CPU time it takes: records wait in the spool meanwhile. One that has `is_behind`, a function of
    the service's name, has that service's last batch and all that follow wait in the spool while it is true.
    One whose attribute `hears` names other taps sees what these found too, each finding as a batch, if the
    process that it is about asks for both.
    """

    def on_batch(self, batch: TapBatch) -> Iterable[Finding] | None:
        """Look at a batch."""
        ...

    def tick(self, now_s: float) -> Iterable[Finding] | None:
        """About once a second, by the agent's monotonic clock."""
        ...


@dataclass(frozen=True, slots=True)
class TapStatistics:
    """What one tap did.

    Attributes:
        name: of the entry point.
        batches: that it looked at.
        skipped: batches that it did not see, because it had used up its CPU time.
        findings: records that it gave.
        cpu_s: that it used.
        disabled: why it is switched off; empty while it runs.
    """

    name: str
    batches: int = 0
    skipped: int = 0
    findings: int = 0
    cpu_s: float = 0.0
    disabled: str = ""


class Turn:
    """One tap with its means: CPU time that grows with the clock, and one chance. For one thread."""

    def __init__(
        self,
        name: str,
        make: Callable[[], Tap],
        now_s: float,
        thread_time: Callable[[], float] = time.thread_time,
    ) -> None:
        self._name = name
        self._thread_time = thread_time
        self._allowance_s = _BURST_CPU_S
        self._since_s = now_s
        self._statistics = TapStatistics(name)
        self._tap: Tap | None = None
        try:
            self._tap = make()
        except Exception as error:  # noqa: BLE001 - another's code: its fault switches it off, no more
            self._disable("loading", error)

    @property
    def hears(self) -> AbstractSet[str]:
        """Names of taps whose findings it sees."""
        return getattr(self._tap, "hears", frozenset())

    def statistics(self) -> TapStatistics:
        """Counters at this moment."""
        return self._statistics

    def on_batch(self, batch: TapBatch, now_s: float) -> list[Finding]:
        """Let it look, if it can afford to."""
        tap = self._tap
        if tap is None:
            return []
        if not self._may_look(now_s):
            self._count(skipped=1)
            return []
        self._count(batches=1)
        return self._call("on_batch", lambda: tap.on_batch(batch))

    def tick(self, now_s: float) -> list[Finding]:
        """Tell it the time, if it can afford to listen."""
        tap = self._tap
        if tap is None or not self._may_look(now_s):
            return []
        return self._call("tick", lambda: tap.tick(now_s))

    def on_end(self, end: ProcessEnd) -> list[Finding]:
        """Tell it that a process ended, if it asks for that; it can always afford to hear it."""
        on_end: Callable[[ProcessEnd], Iterable[Finding] | None] | None = getattr(self._tap, "on_end", None)
        return [] if on_end is None else self._call("on_end", lambda: on_end(end))

    def is_behind(self, service_name: str) -> bool:
        """Whether what comes next is to wait; never for a tap that is switched off."""
        is_behind: Callable[[str], bool] | None = getattr(self._tap, "is_behind", None)
        try:
            return is_behind is not None and is_behind(service_name)
        except Exception as error:  # noqa: BLE001 - as above
            self._disable("is_behind", error)
            return False

    def close(self) -> None:
        """The last call."""
        close: Callable[[], None] | None = getattr(self._tap, "close", None)
        if close is not None:
            self._call("close", close)
        self._tap = None

    def _may_look(self, now_s: float) -> bool:
        return self._affords(now_s) or getattr(self._tap, "sees_all", False)

    def _affords(self, now_s: float) -> bool:
        earned_s = (now_s - self._since_s) * CPU_SHARE
        self._since_s = now_s
        self._allowance_s = min(_BURST_CPU_S, self._allowance_s + earned_s)
        return self._allowance_s > 0

    def _call(self, method: str, call: Callable[[], Iterable[Finding] | None]) -> list[Finding]:
        started_s = self._thread_time()
        try:
            findings = list(call() or ())
        except Exception as error:  # noqa: BLE001 - as above
            self._disable(method, error)
            findings = []
        used_s = self._thread_time() - started_s
        self._allowance_s -= used_s
        self._count(findings=len(findings), cpu_s=used_s)
        return findings

    def _count(self, batches: int = 0, skipped: int = 0, findings: int = 0, cpu_s: float = 0.0) -> None:
        was = self._statistics
        self._statistics = TapStatistics(
            was.name,
            was.batches + batches,
            was.skipped + skipped,
            was.findings + findings,
            was.cpu_s + cpu_s,
            was.disabled,
        )

    def _disable(self, method: str, error: Exception) -> None:
        self._tap = None
        was = self._statistics
        reason = f"{type(error).__name__} in {method}"
        self._statistics = TapStatistics(
            was.name, was.batches, was.skipped, was.findings, was.cpu_s, disabled=reason
        )
        _LOGGER.error("tap '%s' disabled after %s; telemetry still flows", self._name, reason, exc_info=error)


def installed(home: Path, *, in_process: bool = False) -> Callable[[str], Callable[[], Tap]]:
    """Finds the taps of installed distributions by name; they may keep files in the folder `home`.

    In a process that has no agent, a tap's `in_process` makes it.
    """

    def find(name: str) -> Callable[[], Tap]:
        def make() -> Tap:
            for entry in entry_points(group=GROUP, name=name):
                tap = entry.load()
                return (tap.in_process if in_process else tap)(home)
            raise LookupError(f"no entry point '{name}' in the group {GROUP}")

        return make

    return find


def load(names: Iterable[str]) -> None:
    """Import the taps of these names, as far as they can be imported: who makes one later tells why not."""
    for name in names:
        for entry in entry_points(group=GROUP, name=name):
            with suppress(Exception):
                entry.load()


class Taps:
    """All taps that some process asked for, each made when first asked for. For one thread."""

    def __init__(
        self,
        find: Callable[[str], Callable[[], Tap]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._find = find
        self._clock = clock
        self._turns: dict[str, Turn] = {}
        self._asked: dict[str, tuple[tuple[str, ...], str]] = {}

    def on_batch(self, names: Iterable[str], batch: TapBatch) -> list[Finding]:
        """What the taps of these names find in a batch."""
        now_s = self._clock()
        asked = tuple(names)
        self._asked[batch.process] = (asked, batch.service_name)
        return [
            told
            for name in asked
            for told in self._heard(name, self._turn(name).on_batch(batch, now_s), now_s)
        ]

    def tick(self) -> list[Finding]:
        """What all taps have to say by now."""
        now_s = self._clock()
        return [
            told
            for name, turn in tuple(self._turns.items())
            for told in self._heard(name, turn.tick(now_s), now_s)
        ]

    def on_end(self, names: Iterable[str], end: ProcessEnd) -> list[Finding]:
        """What the taps of these names have to say of a process that ended."""
        self._asked.pop(end.process, None)
        return [finding for name in names for finding in self._turn(name).on_end(end)]

    def make(self, names: Iterable[str]) -> None:
        """Make the taps of these names now, rather than when they are first asked for."""
        for name in names:
            self._turn(name)

    def is_behind(self, names: Iterable[str], service_name: str) -> bool:
        """Whether a tap of these names has this service's records wait in the spool."""
        return any(self._turn(name).is_behind(service_name) for name in names)

    def close(self) -> None:
        """Tell all taps that the agent ends."""
        for turn in self._turns.values():
            turn.close()

    def statistics(self) -> tuple[TapStatistics, ...]:
        """Of each tap, by name; safe for any thread."""
        return tuple(turn.statistics() for _, turn in sorted(self._turns.copy().items()))

    def _heard(self, maker: str, findings: list[Finding], now_s: float) -> list[Finding]:
        """Findings, and what taps that hear their maker find in them."""
        told = list(findings)
        for finding in findings:
            asked, service_name = self._asked.get(finding.process, ((), ""))
            for name in asked:
                turn = self._turn(name)
                if name != maker and maker in turn.hears:
                    entry = Entry(finding.stream, finding.body, finding.items, 0)
                    told += turn.on_batch(TapBatch(finding.process, service_name, [entry]), now_s)
        return told

    def _turn(self, name: str) -> Turn:
        if name not in self._turns:
            self._turns[name] = Turn(name, self._find(name), self._clock())
        return self._turns[name]
