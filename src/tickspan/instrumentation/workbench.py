"""What a row works with while its instrumentor is on: tracer, meter, logger, guards, replacements."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from opentelemetry._logs import Logger
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.trace import Span, Tracer

from tickspan.instrumentation.active import ActiveOperation, DescribeError
from tickspan.instrumentation.causes import cause_of_root
from tickspan.instrumentation.operation import Duration, Operation
from tickspan.instrumentation.report import Replacement
from tickspan.recording import Guard, SpanRecorder

_ABSENT: Final = object()
_Started = TypeVar("_Started", bound=ActiveOperation)
# A partial in a class becomes a method in Python 3.14; 3.13 has its `__get__` already, only to warn of that.
_NEVER_BOUND: Final = (staticmethod,) if sys.version_info >= (3, 14) else (staticmethod, functools.partial)


class Workbench:
    """Given to `Row.apply`.

    After `undo`, a replacement that is still called because another library wrapped it in turn passes its
    call straight through: it asks `is_active`.
    """

    def __init__(
        self, name: str, tracer: Tracer, meter: Meter, logger: Logger, settings: Mapping[str, Any]
    ) -> None:
        self.name = name
        self.tracer = tracer
        self.recorder = _recorder_of(tracer)
        """Which the tracer starts its spans by; None where it is not one of ours."""
        self._start_preset: Any = None if self.recorder is None else self.recorder.start_preset
        self.meter = meter
        self.logger = logger
        """For events."""
        self.settings = settings
        self.is_active = True
        self._undo: list[Callable[[], None]] = []
        self._replaced: list[Replacement] = []
        self._guards: dict[str, Guard] = {}
        self._histograms: dict[str, Histogram] = {}

    def __repr__(self) -> str:
        state = "active" if self.is_active else "undone"
        return f"<Workbench {self.name} {state}, {len(self._undo)} replacements>"

    @property
    def changes(self) -> int:
        """How many things there are to take back."""
        return len(self._undo)

    def guard(self, name: str) -> Guard:
        """The guard of one hook; the same object for the same name."""
        return self._guards.setdefault(name, Guard(self.name, name))

    def guards(self) -> tuple[Guard, ...]:
        """All guards so far, for statistics."""
        return tuple(self._guards.values())

    def on_undo(self, action: Callable[[], None]) -> None:
        """Run `action` when the instrumentor is switched off; the last one first."""
        self._undo.append(action)

    def replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        """Put `make(original)` in place of `owner.name`, static and class methods included.

        The raw object of `owner.__dict__` comes back on undo, and an attribute that was inherited is
        removed again. If someone has replaced ours meanwhile, theirs stays.
        """
        raw = vars(owner).get(name, _ABSENT)
        replacement = _rewrapped(owner, _inherited(owner, name) if raw is _ABSENT else raw, make)
        setattr(owner, name, replacement)
        self._replaced.append(Replacement(owner, name, None if raw is _ABSENT else raw, replacement))
        self._undo.append(lambda: _put_back(owner, name, replacement, raw))

    def replacements(self) -> tuple[Replacement, ...]:
        """What has been replaced, in order."""
        return tuple(self._replaced)

    def undo(self) -> None:
        """Take everything back, in reverse order; one that fails does not keep the others."""
        self.is_active = False
        self._replaced.clear()
        guard = self.guard("undo")
        while self._undo:
            guard.closing(self._undo.pop(), default=None)

    def start(
        self,
        operation: Operation,
        *,
        guard: Guard | None = None,
        describe_error: DescribeError | None = None,
        duration: Duration | None = None,
        is_current: bool = True,
        start_time_ns: int | None = None,
        kind: type[_Started] = ActiveOperation,
    ) -> _Started:
        """Begin `operation`: its span is started and, if `is_current`, made current.

        `kind` is a class derived from `ActiveOperation`, made with the same arguments.
        """
        cause = cause_of_root() if operation.parent is None else None
        if cause is not None:
            operation = replace(operation, parent=cause)
        preset, repetition = None, operation.repetition
        if repetition is not None and self.recorder is not None and start_time_ns is None:
            recorder, preset = repetition.preset
            if recorder is not self.recorder:
                preset = repetition.preset_for(self.recorder, operation.attributes)
        if preset is not None:
            span: Span = self._start_preset(operation.name, operation.parent, operation.kind, preset, {})
        else:
            span = self.tracer.start_span(
                operation.name,
                operation.parent,
                operation.kind,
                dict(operation.attributes),
                start_time=start_time_ns,
                record_exception=False,
                set_status_on_exception=False,
            )
        active = kind(
            operation,
            span,
            guard or self.guard(operation.name),
            describe_error=describe_error,
            histogram=self.histogram(duration) if duration is not None else None,
            duration_keys=duration.attributes if duration is not None else (),
        )
        if is_current:
            active.resume()
        return active

    def histogram(self, duration: Duration) -> Histogram:
        """The instrument of `duration`, made once."""
        known = self._histograms.get(duration.name)
        if known is None:
            known = self.meter.create_histogram(
                duration.name,
                unit="s",
                description=duration.description,
                explicit_bucket_boundaries_advisory=duration.bounds,
            )
            self._histograms[duration.name] = known
        return known


def _recorder_of(tracer: Tracer) -> SpanRecorder | None:
    recorder = getattr(tracer.start_span, "__self__", None)
    return recorder if isinstance(recorder, SpanRecorder) else None


def takes_instance(owner: Any, name: str) -> bool:
    """Whether a function at `owner.name` gets `self` or `cls` as its first argument."""
    return isinstance(owner, type) and _binds(_static(owner, name))


def _rewrapped(owner: Any, raw: Any, make: Callable[[Any], Any]) -> Any:
    """What binds as `raw` does: a replacement is a function, which would become a method in a class."""
    if isinstance(raw, staticmethod | classmethod):
        return type(raw)(make(raw.__func__))
    return staticmethod(make(raw)) if isinstance(owner, type) and not _binds(raw) else make(raw)


def _binds(raw: Any) -> bool:
    return hasattr(type(raw), "__get__") and not isinstance(raw, _NEVER_BOUND)


def _inherited(owner: Any, name: str) -> Any:
    """What a class finds for `name`, before binding; of a module or an object, the bound thing."""
    return _static(owner, name) if isinstance(owner, type) else getattr(owner, name)


def _static(owner: type, name: str) -> Any:
    found = inspect.getattr_static(owner, name, _ABSENT)
    return getattr(owner, name) if found is _ABSENT else found


def _put_back(owner: Any, name: str, replacement: Any, raw: Any) -> None:
    if vars(owner).get(name) is not replacement:
        return
    if raw is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, raw)
