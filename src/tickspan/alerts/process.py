"""The process tier: rules evaluated where things happen, every second, before export and sampling.

A thread reads the accumulators and evaluates. Spans that end and log events that rules count wake it at once.
What changes is written as a log event, and told to functions of the program in threads of their own. No
socket is opened: telling people is the agent's. Only where a program has none, with `agent = "thread"`, it
tells them itself, from threads of its own too.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from tickspan.alerts.accumulators import readings_of, readings_of_host
from tickspan.alerts.choices import tiers_of
from tickspan.alerts.engine import ActiveAlert, Engine, EngineStatistics, EngineTransition
from tickspan.alerts.notice import Notice, notice_of
from tickspan.alerts.notifiers.callback import Callback
from tickspan.alerts.pace import Pace
from tickspan.alerts.rulebook import Rulebook
from tickspan.alerts.telling import AlertEvent, event_of
from tickspan.alerts.wiring import Wiring, wired
from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.model import Condition, Rule, Scope, Signal
from tickspan.analysis.rules.readings import Occurrence, Sender
from tickspan.analysis.rules.ruleset import NotifierSettings, RuleSet
from tickspan.analysis.rules.tiers import Tier
from tickspan.processors.alerts import EventRules
from tickspan.providers.attention import Attention
from tickspan.providers.forked import of_this_process
from tickspan.providers.host import HOST_METRICS, Host, host_reader
from tickspan.providers.logger import LoggerProvider
from tickspan.providers.meter import MeterProvider
from tickspan.providers.tracer import TracerProvider
from tickspan.recording import Guard, diagnostics
from tickspan.semconv import alerts as names
from tickspan.version import __version__

if TYPE_CHECKING:
    from tickspan.alerts.notifiers.delivery import Delivery

__all__ = ["ProcessStatistics", "ProcessTier", "close", "running", "start"]

_SCOPE: Final = "tickspan.alerts"
_MAX_WAITING: Final = 10_000
_EVENT_GAP_S: Final = 0.02
"""Between two evaluations of event rules: a burst of events is evaluated a few times, not each."""
_AFTER_A_FAULT_S: Final = 1.0
_CLOSING_S: Final = 0.5
_WAITING_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class ProcessStatistics:
    """What the tier has done.

    Attributes:
        engine: see there.
        invalid: rules of the file that cannot be understood.
        waiting: occurrences that are not counted yet.
        dropped: occurrences that too many others left no room for.
        reloads: times that the file was read anew.
    """

    engine: EngineStatistics
    invalid: int
    waiting: int
    dropped: int
    reloads: int


class ProcessTier:
    """All rules of one process. Methods are safe from any thread; after a fork the child begins anew."""

    def __init__(
        self,
        wiring: Wiring,
        rulebook: Rulebook,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; `start` begins."""
        self._wiring = wiring
        self._rulebook = rulebook
        self._monotonic = monotonic
        self._wall = wall
        self._interval_s = max(0.05, wiring.settings.interval_s)
        self._tiers = tiers_of(wiring.settings.tiers, has_agent=not wiring.tells_people)
        self._resource: Any = wiring.meter_provider._sdk_config.resource  # noqa: SLF001 - the SDK has no public name for it
        self._host: Host | None = None
        self._host_guard = Guard("sampler", "host")
        self._logger = wiring.logger_provider.get_logger(_SCOPE, __version__)
        self._pid = 0
        self._events = EventRules(self._take, lambda: self._sender)
        self._stop_spans: Callable[[], None] | None = None
        self._attention: Attention | None = None
        self._is_stopping = False
        self._begin()
        self._measure(wiring.meter_provider)
        _after_fork(self)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "not running"
        return f"<ProcessTier {state}, {self._engine!r}, {len(self._waiting)} waiting>"

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def sender(self) -> Sender:
        """This process."""
        return self._sender

    @property
    def calendars(self) -> Mapping[str, Calendar]:
        """Of the rules, by name."""
        return self._rulebook.rules().calendars

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._lock:
            if self.is_running or self._is_stopping or sys.is_finalizing():
                return
            thread = threading.Thread(
                target=self._run, args=(self._bell,), name="tickspan-alerts", daemon=True
            )
            with suppress(RuntimeError):  # none can be started: the process, or its memory, is at its end
                thread.start()
                self._thread = thread

    def refresh(self) -> None:
        """The rule book has changed: evaluate what it says now. Returns when hooks are in place."""
        with self._lock:
            now_s = self._monotonic()
            removed = self._apply(now_s)
            self._observe(now_s)
            self._tell(removed, now_s)
        self._ring()

    def turn(self) -> float:
        """Do what is due. Returns the seconds until something is: what the thread does over and over."""
        with self._lock:
            now_s = self._monotonic()
            if now_s >= self._due_s:
                self._due_s += (math.floor((now_s - self._due_s) / self._interval_s) + 1) * self._interval_s
                self._evaluate(now_s)
            elif self._waiting and now_s >= self._events_due_s:
                self._count_events(now_s)
                self._tell(self._engine.evaluate(now_s, self._wall(), only_events=True), now_s)
                self._events_due_s = self._monotonic() + _EVENT_GAP_S
            next_s = min(self._due_s, self._events_due_s) if self._waiting else self._due_s
            return max(0.0, next_s - self._monotonic())

    def active(self) -> tuple[ActiveAlert, ...]:
        """Alerts that are pending or firing now."""
        with self._lock:
            return self._engine.active()

    def statistics(self) -> ProcessStatistics:
        """What was done so far."""
        with self._lock:
            return ProcessStatistics(
                self._engine.statistics(),
                self._rulebook.invalid,
                len(self._waiting),
                self._dropped,
                self._rulebook.reloads,
            )

    def close(self, timeout_s: float = _CLOSING_S) -> None:
        """The process ends: look a last time, and let callbacks be told what they wait for."""
        deadline_s = time.monotonic() + timeout_s
        self._is_stopping = True
        self._ring()
        if self._lock.acquire(timeout=timeout_s):
            try:
                self._guard.closing(self._evaluate, self._monotonic(), default=None)
            finally:
                self._lock.release()
        for callback in list(self._callbacks.values()):
            callback.close(max(0.0, deadline_s - time.monotonic()))
        if self._delivery is not None:
            self._guard.closing(_ended, self._delivery, deadline_s, default=None)

    def after_fork_in_child(self) -> None:
        """This is a forked child: locks may be held by nobody, thread and alerts are its parent's."""
        if self._pid == os.getpid():
            return
        self._resource = of_this_process(self._resource)
        self._begin()
        self._is_stopping = False
        self.start()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._bell = threading.Lock()  # rung by a release: an `Event` would block in a signal handler
        self._bell.acquire()
        self._thread: threading.Thread | None = None
        self._guard = Guard("thread", "alerts")
        self._waiting: deque[Occurrence] = deque()
        self._dropped = 0
        self._sender = Sender.of(dict(self._resource.attributes))
        self._pace = Pace()
        self._engine = Engine(RuleSet(), Tier.PROCESS, self._tiers, pace=self._pace)
        self._statistics = self._engine.statistics()
        self._active: tuple[ActiveAlert, ...] = ()
        self._callbacks: dict[str, Callback] = {}
        self._delivery: Delivery | None = None
        self._due_s = self._monotonic()
        self._events_due_s = 0.0
        self._must_apply = True

    def _run(self, bell: threading.Lock) -> None:
        while not self._is_stopping and bell is self._bell:
            bell.acquire(timeout=self._guard.closing(self.turn, default=_AFTER_A_FAULT_S))

    def _ring(self) -> None:
        with suppress(RuntimeError):  # it was rung already
            self._bell.release()

    def _take(self, occurrence: Occurrence) -> None:
        if len(self._waiting) >= _MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(occurrence)
        self._ring()

    def _evaluate(self, now_s: float) -> None:
        self._pace.begin()
        removed: tuple[EngineTransition, ...] = ()
        if self._rulebook.look_at_file() or self._must_apply:
            removed = self._apply(now_s)
        self._count_events(now_s)
        self._observe(now_s)
        self._tell(removed, now_s)  # whoever hears it may measure at once: new rules have read by now
        self._tell(self._engine.evaluate(now_s, self._wall()), now_s)
        if self._delivery is not None:
            self._guard.own(self._delivery.tick, default=None)
        self._statistics = self._engine.statistics()
        self._active = self._engine.active()
        self._duration.record(self._statistics.duration_s, _OF_PROCESS)

    def _observe(self, now_s: float) -> None:
        if self._attention is not None:
            self._engine.observe(readings_of(self._attention.read(), self._sender), now_s)
        if self._host is not None:
            sampled = self._host_guard.own(self._host.sample, default={})
            self._engine.observe(readings_of_host(sampled, self._sender, self._engine.metrics), now_s)

    def _count_events(self, now_s: float) -> None:
        while self._waiting:
            self._engine.happened(self._waiting.popleft(), now_s)
            self._pace.breathe()

    def _apply(self, now_s: float) -> tuple[EngineTransition, ...]:
        """Let engine, accumulators and hooks do what the rule book says. Returns the ends of alerts."""
        self._must_apply = False
        rules = self._rulebook.rules()
        removed = self._engine.replace(rules, now_s)
        self._attend(rules)
        self._look_at_host()
        self._hook()
        if self._wiring.tells_people:
            self._guard.own(self._use, rules.notifiers, default=None)
        return removed

    def _use(self, notifiers: Mapping[str, NotifierSettings]) -> None:
        """Tell these from now on. What waits, waits in memory: another process may have the spool's files."""
        if self._delivery is not None:
            self._delivery.use(notifiers)
        elif notifiers:
            from tickspan.alerts.notifiers.delivery import Delivery  # HTTP and mail: where nobody else tells

            self._delivery = Delivery(notifiers, None, os.environ, self._wall, self._monotonic)

    def _look_at_host(self) -> None:
        """Processes do not export what the host does; a rule of theirs may read it."""
        if self._host is None and not self._engine.metrics.isdisjoint(HOST_METRICS):
            reader = host_reader()
            self._host = None if reader is None else Host(reader)

    def _attend(self, rules: RuleSet) -> None:
        provider = self._wiring.meter_provider
        wanted, hastened = attention_of(self._engine.rules, rules.rules)
        if isinstance(provider, MeterProvider):
            self._attention = provider.attend(wanted, hastened)
        if self._attention is None and wanted:
            diagnostics.warning("alerts: metrics are not recorded here; rules over them see nothing")

    def _hook(self) -> None:
        self._events.look_for(self._engine.wanted(Signal.SPAN), self._engine.wanted(Signal.LOG))
        tracers, loggers = self._wiring.tracer_provider, self._wiring.logger_provider
        if isinstance(tracers, TracerProvider):
            if self._events.wants_spans and self._stop_spans is None:
                self._stop_spans = tracers.notice_endings(self._events.ended)
            elif not self._events.wants_spans and self._stop_spans is not None:
                self._stop_spans()
                self._stop_spans = None
        if isinstance(loggers, LoggerProvider):
            loggers.notice_events(self._events if self._events.wants_events else None)

    def _tell(self, changes: Iterable[EngineTransition], now_s: float) -> None:
        for change in changes:
            self._guard.own(self._tell_one, change, now_s, default=None)

    def _tell_one(self, change: EngineTransition, now_s: float) -> None:
        rule, transition = change
        notice = notice_of(
            rule,
            transition.alert,
            wall_s=self._wall(),
            now_s=now_s,
            evaluator=Tier.PROCESS,
            configured=self._tiers,
            reason=transition.reason,
        )
        if notice is not None:
            notice = replace(notice, process=self._sender.instance)
        self._emit(event_of(change, notice, Tier.PROCESS))
        if notice is not None:
            if self._delivery is not None:
                self._delivery.tell((notice,))
            self._call_back(rule, notice)

    def _call_back(self, rule: Rule, notice: Notice) -> None:
        for key, function, loop in self._rulebook.callbacks_of(rule):
            callback = self._callbacks.get(key)
            if callback is None:
                callback = self._callbacks[key] = Callback(key, function, loop)
            callback.tell(notice)

    def _emit(self, event: AlertEvent) -> None:
        self._logger.emit(
            timestamp=int(self._wall() * 1e9),
            context=_context(event),
            severity_number=SeverityNumber(event.severity),
            severity_text=event.severity_text,
            body=event.body,
            attributes=dict(event.attributes),
            event_name=names.EVENT_STATE_CHANGE,
        )

    def _measure(self, meters: Any) -> None:
        """What the evaluator tells of itself. Instruments do not keep the tier alive."""
        meter = meters.get_meter(_SCOPE, __version__)
        tier: weakref.ref[ProcessTier] = weakref.ref(self)
        self._duration = meter.create_histogram(
            names.ALERT_EVALUATION_DURATION, "s", "Time of an evaluation of all rules."
        )
        meter.create_observable_gauge(
            names.ALERT_ACTIVE,
            [partial(_observed, tier, _active_points)],
            "{alert}",
            "Alerts that are pending or firing.",
        )
        meter.create_observable_gauge(
            names.ALERT_RULES,
            [partial(_observed, tier, _rule_points)],
            "{rule}",
            "Rules by state: valid, invalid.",
        )
        meter.create_observable_counter(
            names.ALERT_RULE_FAILURES,
            [partial(_observed, tier, _failure_points)],
            "{failure}",
            "Evaluations of a rule that failed.",
        )

    def _points(self) -> tuple[EngineStatistics, tuple[ActiveAlert, ...], int]:
        """As of the last evaluation."""
        return self._statistics, self._active, self._rulebook.invalid


_OF_PROCESS: Final[Mapping[str, str]] = {names.ALERT_EVALUATOR: Tier.PROCESS.value}
_Points = Callable[[ProcessTier], list[Observation]]


def _observed(tier: weakref.ref[ProcessTier], points: _Points, options: CallbackOptions) -> list[Observation]:
    del options
    alive = tier()
    return [] if alive is None else points(alive)


def _active_points(tier: ProcessTier) -> list[Observation]:
    counts: dict[tuple[str, str, str, str], int] = {}
    for rule, alert in tier._points()[1]:  # noqa: SLF001 - our own class
        key = (rule.name, alert.state.value, str(rule.severity), rule.scope.value)
        counts[key] = counts.get(key, 0) + 1
    return [
        Observation(
            number,
            {
                names.ALERT_NAME: name,
                names.ALERT_STATE: state,
                names.ALERT_SEVERITY: severity,
                names.ALERT_SCOPE: scope,
                **_OF_PROCESS,
            },
        )
        for (name, state, severity, scope), number in counts.items()
    ]


def _rule_points(tier: ProcessTier) -> list[Observation]:
    statistics, _, invalid = tier._points()  # noqa: SLF001 - our own class
    return [
        Observation(number, {**_OF_PROCESS, names.ALERT_RULES_STATE: state})
        for state, number in (("valid", statistics.rules), ("invalid", invalid))
    ]


def _failure_points(tier: ProcessTier) -> list[Observation]:
    return [
        Observation(number, {**_OF_PROCESS, names.ALERT_NAME: name})
        for name, number in tier._points()[0].failures.items()  # noqa: SLF001 - our own class
    ]


def attention_of(evaluated: Iterable[Rule], rules: Iterable[Rule]) -> tuple[dict[str, int], frozenset[str]]:
    """Which metrics are read, with the direction that is worse; and which are collected every second.

    Args:
        evaluated: rules of this process; where they disagree, greater is worse.
        rules: all of them: those over services and the fleet are evaluated by others, on what is exported.
    """
    wanted: dict[str, int] = {}
    for rule in evaluated:
        direction = -1 if rule.condition in {Condition.LT, Condition.LE} else 1
        for selector in rule.selectors:
            wanted[selector.metric] = max(direction, wanted.get(selector.metric, -1))
    hastened = frozenset(
        selector.metric
        for rule in rules
        if rule.scope in {Scope.SERVICE, Scope.FLEET}
        for selector in rule.selectors
    )
    return wanted, hastened


def _ended(delivery: Delivery, deadline_s: float) -> None:
    """Let it tell what waits, as long as there is time."""
    while delivery.statistics().waiting and time.monotonic() < deadline_s:
        time.sleep(_WAITING_S)
    delivery.close(max(0.0, deadline_s - time.monotonic()))


def _context(event: AlertEvent) -> Context:
    if not event.trace_id:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED)
    shown = SpanContext(event.trace_id, event.span_id, is_remote=False, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(shown), Context())


def _after_fork(tier: ProcessTier) -> None:
    reference = weakref.ref(tier)

    def in_child() -> None:
        alive = reference()
        if alive is not None:
            Guard("fork", "alerts").own(alive.after_fork_in_child, default=None)

    os.register_at_fork(after_in_child=in_child)


_starting: Final = threading.RLock()
_running: list[ProcessTier] = []


def running() -> ProcessTier | None:
    """The tier of this process; None as long as nothing has started it."""
    return _running[0] if _running else None


def start(rulebook: Rulebook) -> ProcessTier | None:
    """Evaluate the rules of a book in this process; None before telemetry runs, or where it is switched off.

    A second call returns the tier that runs.
    """
    with _starting:
        wiring = wired()
        if wiring is None or not wiring.settings.enabled:
            return None
        if not _running:
            tier = ProcessTier(wiring, rulebook)
            _running.append(tier)
            tier.refresh()
            tier.start()
        return _running[0]


def close() -> None:
    """At the end of the process; `Pipeline.close` calls it."""
    for tier in _running:
        tier.close()
