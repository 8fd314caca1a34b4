"""The profiler of a process: its sampler, what it keeps of traces, and the measured functions."""

from __future__ import annotations

import atexit
import os
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, ParamSpec, TypeVar, get_args, overload

from opentelemetry import metrics, trace
from opentelemetry._logs import Logger, SeverityNumber, get_logger_provider
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import set_span_in_context
from tickspan_spool.home import write_file

from tickspan.analysis.profiles import Frame, Link, Profile
from tickspan.profiler.capture import Capture, Kept, folded_stacks, is_local_root
from tickspan.profiler.encoding.folded import label
from tickspan.profiler.functions import Functions, SizeOf
from tickspan.profiler.records import About, Captured, Recorder, captured_record
from tickspan.profiler.report import PerformanceReport, report_of
from tickspan.profiler.sampler import Sampler, SamplerStatistics
from tickspan.profiler.watching import Watches
from tickspan.recording import Guard, diagnostics
from tickspan.recording.gc_pauses import PAUSES
from tickspan.semconv import profiler as names
from tickspan.semconv.catalogue import METRICS
from tickspan.semconv.common import SERVICE_NAME, SERVICE_VERSION
from tickspan.version import __version__

__all__ = ["Mode", "Profiler", "get_profiler"]

P = ParamSpec("P")
T = TypeVar("T")
Mode = Literal["tail", "continuous"]
_SCOPE: Final = "tickspan.profiler"
_MOST_BODY_BYTES: Final = 32 * 1024
_ERROR: Final = 2


class Profiler:
    """One for each process: `get_profiler()`. Safe from any thread."""

    def __init__(self) -> None:
        self.functions: Final = Functions()
        self.watches: Final = Watches(self.functions)
        self._lock = threading.Lock()
        self._sampler: Sampler | None = None
        self._capture: Capture | None = None
        self._stop_watching: Callable[[], None] | None = None
        self._loggers: Any = None
        self._append: Callable[[bytes, int], object] | None = None
        self._is_exported = False
        self._recorder: Recorder | None = None
        self._about = About()
        self._is_measured = False
        self._file: Path | None = None
        self._hz = 10.0
        self._guard = Guard("profiler", "capture")
        os.register_at_fork(after_in_child=self._after_fork)

    def __repr__(self) -> str:
        return f"<Profiler {self._sampler!r}, {self.functions!r}, {self.watches!r}>"

    @property
    def is_running(self) -> bool:
        """Whether it samples."""
        return self._sampler is not None and self._sampler.is_running

    def start(
        self,
        mode: Mode = "tail",
        *,
        hz: float | None = None,
        cpu_budget: float = 0.01,
        slow_s: float | None = None,
        provider: Any = None,
        loggers: Any = None,
    ) -> None:
        """Sample from now on; a profiler that runs is started anew, and what it has sampled is forgotten.

        Args:
            mode: `tail` keeps also the samples of traces whose local root span is slow or ends in an error;
                `continuous` only the profile as a whole.
            hz: passes over all threads in a second, as far as the budget allows; 10 unless set before.
            cpu_budget: share of one processor that sampling may use.
            slow_s: a local root span that takes as long is slow; without it one above the 99th percentile
                of its name.
            provider: of tracers; the global one unless given.
            loggers: the provider of loggers that is told of captured traces; the global one unless given.

        Raises:
            ValueError: an argument is none of these.
        """
        if mode not in get_args(Mode):
            raise ValueError(f"expected the mode 'tail' or 'continuous', got {mode!r}")
        if slow_s is not None and slow_s <= 0:
            raise ValueError(f"expected a number of seconds above 0 for slow_s, got {slow_s!r}")
        hz = self._hz if hz is None else hz
        capture = Capture(lambda: 1.0 / self.sample_rate, slow_s) if mode == "tail" else None
        provider = provider or trace.get_tracer_provider()
        about = About(*_service(provider), self._is_exported)
        recorder = None
        if capture is None and self._append is not None:
            recorder = Recorder(about, self._append, lambda: sampler.tables, self._period_ns)
        sampler = Sampler(
            hz,
            cpu_budget,
            recorder.add if recorder is not None else None if capture is None else capture.ring.add,
            service=_service(provider),
            used=tuple if capture is None else capture.ring.stacks,
        )
        self.stop()
        with self._lock:
            self._hz = hz
            self._sampler, self._capture, self._loggers = sampler, capture, loggers
            self._recorder, self._about = recorder, about
            if capture is not None and hasattr(provider, "watch_spans"):
                self._stop_watching = provider.watch_spans(_nothing, self._ending)
            PAUSES.start()
            self._measure()
            sampler.start()

    def stop(self) -> None:
        """Sample no more; the report stays."""
        with self._lock:
            if self._stop_watching is not None:
                self._stop_watching()
                self._stop_watching = None
            if self._sampler is not None:
                self._sampler.stop()
            if self._recorder is not None:
                self._guard.own(self._recorder.flush, default=None)

    start_profiling = start
    stop_profiling = stop

    @property
    def sample_rate(self) -> float:
        """Passes a second that the budget allows now."""
        return self._hz if self._sampler is None else self._sampler.rate

    def set_sample_rate(self, hz: float) -> float:
        """Passes a second from now on, as far as the budget allows; returns the rate in force.

        Raises:
            ValueError: no number from 0.01 to 1,000.
        """
        checked = Sampler(hz) if self._sampler is None else self._sampler
        checked.set_rate(hz)
        self._hz = float(hz)
        return self.sample_rate

    def statistics(self) -> SamplerStatistics | None:
        """Counters of the sampler; None before the first start."""
        return None if self._sampler is None else self._sampler.statistics()

    def profile(self) -> Profile:
        """What was sampled since the start."""
        return (self._sampler or Sampler(self._hz, service=_service(trace.get_tracer_provider()))).profile()

    def get_performance_report(self) -> PerformanceReport:
        """What is known by now: samples since the start, and all measured functions."""
        refused = {} if self._capture is None else self._capture.refused.copy()
        return report_of(self.profile(), self.functions.statistics(), refused)

    @overload
    def profile_function(
        self, function: Callable[P, T], /, *, size: SizeOf | None = None, name: str | None = None
    ) -> Callable[P, T]: ...
    @overload
    def profile_function(
        self, function: None = None, /, *, size: SizeOf | None = None, name: str | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
    def profile_function(
        self,
        function: Callable[P, T] | None = None,
        /,
        *,
        size: SizeOf | None = None,
        name: str | None = None,
    ) -> Any:
        """As `Functions.profile`."""
        if function is None:
            return self.functions.profile(size=size, name=name)
        return self.functions.profile(function, size=size, name=name)

    def watch(self, spec: str) -> Callable[[], None]:
        """As `Watches.watch`."""
        return self.watches.watch(spec)

    @contextmanager
    def section(self, name: str) -> Generator[None]:
        """Run the body in a child span of this name, and count it as one call of a function of this name."""
        tracer = trace.get_tracer(_SCOPE, __version__)
        with self.functions.timed(name), tracer.start_as_current_span(name):
            yield

    def record(self, append: Callable[[bytes, int], object], *, is_exported: bool = False) -> None:
        """Write samples down for the agent, from the next start on: captured traces, or all of them.

        Args:
            append: takes a record and how many samples it holds; for any thread, never waits.
            is_exported: whether the agent is to send profiles, beside keeping files of them.
        """
        if self._append is None:
            atexit.register(self.stop)
        self._append, self._is_exported = append, is_exported

    def save_at_exit(self, path: Path) -> None:
        """Write the profile to a file when the process ends; the last path counts."""
        if self._file is None:
            atexit.register(self._save)
        self._file = path

    def _save(self) -> None:
        sampler, path = self._sampler, self._file
        if sampler is None or path is None:
            return
        self.stop()
        try:
            write_file(path, sampler.profile().dump())
        except OSError as error:
            diagnostics.warning("profile: %s cannot be written: %s", path, error.strerror)

    def _ending(self, span: Any) -> None:
        if is_local_root(span):
            self._guard.own(self._judge, span, default=None)

    def _judge(self, span: Any) -> None:
        capture, sampler = self._capture, self._sampler
        if capture is None or sampler is None:
            return
        link = Link(span.trace_id, span.span_id)
        duration_ns = max(0, time.time_ns() - span.start_time)
        is_error = span.status_code == _ERROR
        kept = capture.ended(link, span.name, span.start_time, duration_ns, is_error=is_error)
        if kept is not None:
            profile_id = secrets.token_hex(16)
            span.set_attribute(names.PROFILE_ID, profile_id)
            self._record(kept, sampler, profile_id)
            logger = (self._loggers or get_logger_provider()).get_logger(_SCOPE, __version__)
            _tell(logger, kept, sampler, span, profile_id)

    def _record(self, kept: Kept, sampler: Sampler, profile_id: str) -> None:
        """What is kept of a trace, in the spool: the process may be killed right after this."""
        if self._append is None:
            return
        captured = Captured(profile_id, kept.reason, kept.span_name, kept.link, kept.omitted)
        ended_ns = kept.started_unix_ns + kept.duration_ns
        times = (kept.started_unix_ns, ended_ns, self._period_ns())
        record = captured_record(self._about, kept.samples, sampler.tables, times, captured)
        self._append(record, len(kept.samples))

    def _period_ns(self) -> int:
        return round(1e9 / self.sample_rate)

    def _measure(self) -> None:
        """The sampler's own metrics, once."""
        if self._is_measured:
            return
        self._is_measured = True
        meter = metrics.get_meter(_SCOPE, __version__)
        for name, observe in (
            (names.PROFILER_SAMPLES, self._samples),
            (names.PROFILER_CPU_TIME, self._cpu_time),
        ):
            meter.create_observable_counter(name, [observe], METRICS[name].unit, METRICS[name].brief)

    def _samples(self, _options: CallbackOptions) -> Iterable[Observation]:
        statistics = self.statistics()
        states = {} if statistics is None else statistics.samples
        return [Observation(count, {names.PROFILER_STATE: state}) for state, count in states.items()]

    def _cpu_time(self, _options: CallbackOptions) -> Iterable[Observation]:
        statistics = self.statistics()
        return [] if statistics is None else [Observation(statistics.cpu_s)]

    def _after_fork(self) -> None:
        """A forked child: locks may be held by nobody."""
        self._lock = threading.Lock()
        self.functions.after_fork()
        self._file = None


def _tell(logger: Logger, kept: Kept, sampler: Sampler, span: Any, profile_id: str) -> None:
    """A profile of one trace as an event: folded stacks, in the context of its local root span."""
    tables = sampler.tables
    labels: dict[Frame, str] = {}

    def names_of(stack: int) -> list[str]:
        return [labels.get(frame) or labels.setdefault(frame, label(frame)) for frame in tables.names(stack)]

    body = folded_stacks(kept, names_of, _MOST_BODY_BYTES)
    logger.emit(
        timestamp=time.time_ns(),
        context=set_span_in_context(span),
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        body=body,
        attributes={
            names.PROFILE_ID: profile_id,
            names.PROFILE_REASON: kept.reason,
            names.PROFILE_SAMPLES: len(kept.samples),
            names.PROFILE_SPAN_NAME: kept.span_name,
        },
        event_name=names.EVENT_PROFILE_CAPTURED,
    )


def _nothing(_span: Any, _context: Any) -> None:
    """A span that starts needs nothing."""


def _service(provider: Any) -> tuple[str, str]:
    """`service.name` and `service.version` of the provider, empty where it has none."""
    resource: Any = getattr(provider, "resource", None)
    attributes: Any = {} if resource is None else resource.attributes
    return str(attributes.get(SERVICE_NAME, "")), str(attributes.get(SERVICE_VERSION, ""))


_of_process: Final[list[Profiler]] = []


def get_profiler() -> Profiler:
    """The one of this process."""
    if not _of_process:
        _of_process.append(Profiler())
    return _of_process[0]
