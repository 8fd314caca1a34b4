"""Recorder: the application's side of telemetry. It times each call and notes each fact outside."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from opentelemetry import _logs, metrics, trace

from .outside import OutsideLedger

T = TypeVar("T")
SPAN: Final = "work"
COUNTER: Final = "work.count"
RECORD_ID: Final = "work.id"
_TOLD_MS: Final = 5.0


def attributes_of(number: int) -> dict[str, Any]:
    """What the span with this number carries; the sink knows the rule, too, and compares."""
    return {
        "work.number": number,
        "work.venue": f"venue-{number % 7}",
        "work.price": number / 8,
        "work.is_buy": number % 2 == 0,
        "work.levels": [number, number + 1],
    }


class Recorder:
    """Records through the OpenTelemetry API, whoever stands behind it."""

    def __init__(self, ledger: OutsideLedger) -> None:
        self.ledger = ledger
        self._numbers = itertools.count()
        self._names = itertools.count()
        self._longest_ms = 0.0
        self._counted = 0
        self._pid = os.getpid()
        self._resident_mib = 0.0
        self.instruments()

    def instruments(self) -> None:
        """Get a new tracer, counter and logger: what was set on a provider counts from now on."""
        name = f"faults.{next(self._names)}"  # providers keep what they have made, by name
        self._tracer = trace.get_tracer(name)
        self._counter = metrics.get_meter(name).create_counter(COUNTER)
        self._logger = _logs.get_logger(name)

    def call(self, what: str, function: Callable[..., T], *arguments: Any, **named: Any) -> T | None:
        """Call telemetry as an application does; None when it raised, which no application expects."""
        begun = time.perf_counter()
        try:
            return function(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - what reaches the application is the finding
            self.ledger.note("raised", f"{what}: {type(error).__name__}: {str(error)[:200]}")
            return None
        finally:
            self._timed(what, (time.perf_counter() - begun) * 1e3)

    def span(self, name: str = SPAN, attributes: Mapping[Any, Any] | None = None) -> None:
        """Record one span: its id stands outside before it ends, and again when it certainly has."""
        number = next(self._numbers)
        span = self.call("start_span", self._tracer.start_span, name)
        if span is None:
            return
        given = attributes_of(number) if attributes is None else attributes
        for key, value in given.items():
            self.call("set_attribute", span.set_attribute, key, value)
        self.end(span)

    def start(self, name: str = SPAN) -> Any:
        """A span that the caller ends with `end`; it carries what the sink expects of its number."""
        span = self.call(
            "start_span", self._tracer.start_span, name, attributes=attributes_of(next(self._numbers))
        )
        return trace.INVALID_SPAN if span is None else span

    def end(self, span: trace.Span, end_time: Any = None) -> None:
        """End it, with its id outside before and after."""
        identity = f"{span.get_span_context().span_id:016x}"
        self.ledger.note("begun-traces", identity)
        if self.call("end", self._ended, span, end_time):
            self.ledger.note("ended-traces", identity)

    @staticmethod
    def _ended(span: trace.Span, end_time: Any) -> bool:
        span.end(end_time)
        return True

    def log(self, body: Any = None, attributes: Mapping[Any, Any] | None = None) -> None:
        """Record one log record, known by an attribute."""
        identity = os.urandom(8).hex()
        self.ledger.note("begun-logs", identity)
        given = {**(attributes or {}), RECORD_ID: identity}
        if self.call("emit", self._emitted, f"order {identity}" if body is None else body, given):
            self.ledger.note("ended-logs", identity)

    def _emitted(self, body: Any, attributes: dict[Any, Any]) -> bool:
        self._logger.emit(body=body, attributes=attributes, timestamp=time.time_ns(), severity_text="INFO")
        return True

    def count(self) -> None:
        """Add one to the counter."""
        if self._pid != os.getpid():  # a forked child counts what it has added itself
            self._pid, self._counted = os.getpid(), 0
        self.call("add", self._counter.add, 1, {"work.side": "buy"})
        self._counted += 1

    def all_signals(self) -> None:
        """One record of each signal."""
        self.span()
        self.log()
        self.count()

    def several(self, count: int) -> None:
        """`count` records of each signal, as fast as can be."""
        for _ in range(count):
            self.all_signals()

    def steadily(self, seconds: float, rate: float = 200.0) -> None:
        """Records of each signal at an even rate; sleeps are the application's, so they are not timed."""
        deadline, turn = time.monotonic() + seconds, time.monotonic()
        while turn < deadline:
            self.all_signals()
            turn += 1 / rate
            time.sleep(max(0.0, turn - time.monotonic()))

    def warm(self) -> None:
        """One record of each signal and the memory that the process needs then: growth counts from here."""
        self.all_signals()
        self._resident_mib = resident_mib()

    def settle(self) -> None:
        """Note what only the process itself knows, before it ends, forks off or becomes another."""
        if self._pid == os.getpid():
            self.ledger.note("counted", self._counted)
            self._counted = 0
        if self._resident_mib:
            self.ledger.note("grown", f"{max(0.0, resident_mib() - self._resident_mib):.1f}")

    def _timed(self, what: str, milliseconds: float) -> None:
        if milliseconds > self._longest_ms:
            self._longest_ms = milliseconds
            if milliseconds > _TOLD_MS:
                self.ledger.note("longest", f"{milliseconds:.1f} {what}")


def resident_mib() -> float:
    """Memory of this process that is in RAM now and its own, 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - works with few descriptors
            _, resident, shared, *_ = statm.read().split()
    except OSError:
        return 0.0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGESIZE") / 2**20
