"""Functions measured without touching their code: `watch("bot.engine:Engine.on_tick")`.

From Python 3.12 on by local events of `sys.monitoring`: other functions cost nothing, the function keeps its
identity, and whoever imported it by name is seen too. Unwinding is no local event; while something is
watched, each exception that leaves a frame costs a look. Where both of our tool ids are taken, and on 3.11,
the function is replaced where it is found; who has imported it by name before keeps the plain one, and
diagnostics say so.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry._logs import get_logger

from tickspan.instrumentation.workbench import Workbench
from tickspan.profiler.functions import FunctionRecord, Functions
from tickspan.recording.diagnostics import diagnostics

__all__ = ["Monitor", "Watches", "resolved"]

_TOOL_IDS: Final = (3, 4)
_TOOL: Final = "tickspan"
_MOST_OPEN: Final = 10_000
_clock = time.perf_counter_ns


def resolved(spec: str) -> tuple[Any, str, Callable[..., Any]]:
    """Owner, attribute and function of `pkg.module:Class.method`.

    Raises:
        ValueError: it is not of that form, or there is no such function.
    """
    module_name, colon, path = spec.partition(":")
    if (
        not colon
        or not path
        or not all(part.isidentifier() for part in (*module_name.split("."), *path.split(".")))
    ):
        raise ValueError(f"expected 'pkg.module:function' or 'pkg.module:Class.method', got {spec!r}")
    try:
        owner: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise ValueError(f"{spec!r}: no module '{module_name}' ({error})") from None
    *above, name = path.split(".")
    try:
        for part in above:
            owner = getattr(owner, part)
        found = inspect.unwrap(getattr(owner, name))
    except (AttributeError, ValueError):
        raise ValueError(f"{spec!r}: no '{path}' in '{module_name}'") from None
    function = getattr(found, "__func__", found)
    if not inspect.isfunction(function):
        raise ValueError(f"{spec!r}: expected a Python function, got {type(found).__name__}")
    return owner, name, function


@dataclass(slots=True, eq=False)
class _Watched:
    """A code object, where its calls count, and for how many it is watched."""

    code: CodeType
    record: FunctionRecord
    holders: int = 1


@dataclass(slots=True, eq=False)
class _Call:
    """One that has begun. A suspended one does not run; when it last began to is `resumed_ns`."""

    watched: _Watched
    begun_ns: int
    resumed_ns: int
    running_ns: int = 0
    suspended_ns: int = 0
    """When it last gave way; 0 while it runs."""


class Monitor:
    """Local events of one tool of `sys.monitoring`. Watches code objects; any thread calls its callbacks.

    A call is known by its frame: a coroutine keeps it while others of the same code run. From Python 3.13 on
    a generator may be closed without an event: it counts, up to its last step, when its frame's place in
    memory is used again or the watch ends.
    """

    def __init__(self, tool: int, most_open: int = _MOST_OPEN) -> None:
        self._api: Any = vars(sys)["monitoring"]
        self._tool = tool
        self._most_open = most_open
        self._watched: dict[int, _Watched] = {}
        self._open: dict[int, _Call] = {}

    def __repr__(self) -> str:
        return f"<Monitor {len(self._watched)} watched, {len(self._open)} open>"

    @classmethod
    def claimed(cls) -> Monitor | None:
        """One with a tool id of its own; None where there is none, or no monitoring."""
        if sys.version_info < (3, 12):
            return None
        api: Any = vars(sys)["monitoring"]
        for tool in _TOOL_IDS:
            try:
                api.use_tool_id(tool, _TOOL)
            except ValueError:
                continue
            monitor = cls(tool)
            for event, callback in monitor._callbacks().items():
                api.register_callback(tool, event, callback)
            return monitor
        return None

    def watch(self, code: CodeType, record: FunctionRecord) -> Callable[[], None]:
        """Measure the calls of a code object; returns what stops that, unless others watch it too."""
        known = self._watched.get(id(code))
        if known is not None:
            known.holders += 1
            return functools.partial(self._release_one, known)
        events = self._api.events
        watched = self._watched[id(code)] = _Watched(code, record)
        local = events.PY_START | events.PY_RESUME | events.PY_RETURN | events.PY_YIELD
        self._api.set_local_events(self._tool, code, local)
        self._api.set_events(self._tool, events.PY_UNWIND | events.PY_THROW)
        return functools.partial(self._release_one, watched)

    def release(self) -> None:
        """Watch nothing, and give the tool id back."""
        for watched in tuple(self._watched.values()):
            self._unwatch(watched)
        for event in self._callbacks():
            self._api.register_callback(self._tool, event, None)
        self._api.free_tool_id(self._tool)

    def _release_one(self, watched: _Watched) -> None:
        watched.holders -= 1
        if not watched.holders:
            self._unwatch(watched)

    def _unwatch(self, watched: _Watched) -> None:
        if self._watched.pop(id(watched.code), None) is None:
            return
        self._api.set_local_events(self._tool, watched.code, 0)
        if not self._watched:
            self._api.set_events(self._tool, 0)
        for frame, call in self._open.copy().items():
            if call.watched is watched:
                self._open.pop(frame, None)
                _count_closed(call)

    def _callbacks(self) -> dict[int, Callable[..., Any]]:
        events = self._api.events
        return {
            events.PY_START: self._started,
            events.PY_RESUME: self._resumed,
            events.PY_THROW: self._thrown,
            events.PY_YIELD: self._suspended,
            events.PY_RETURN: self._returned,
            events.PY_UNWIND: self._unwound,
        }

    # What these raise would be raised by the application's function: they do nothing that fails.

    def _started(self, code: CodeType, _offset: int) -> None:
        watched = self._watched.get(id(code))
        if watched is None:
            return
        frame = id(sys._getframe(1))  # noqa: SLF001 - whose frame called back
        closed = self._open.pop(frame, None)
        if closed is not None:
            _count_closed(closed)
        elif len(self._open) >= self._most_open:
            for oldest in self._open.copy():
                self._open.pop(oldest, None)
                break
        now_ns = _clock()
        self._open[frame] = _Call(watched, now_ns, now_ns)

    def _resumed(self, _code: CodeType, _offset: int) -> None:
        call = self._open.get(id(sys._getframe(1)))  # noqa: SLF001 - as above
        if call is not None:
            call.resumed_ns, call.suspended_ns = _clock(), 0

    def _thrown(self, code: CodeType, _offset: int, _error: object) -> None:
        if id(code) in self._watched:
            call = self._open.get(id(sys._getframe(1)))  # noqa: SLF001 - as above
            if call is not None:
                call.resumed_ns, call.suspended_ns = _clock(), 0

    def _suspended(self, _code: CodeType, _offset: int, _value: object) -> None:
        call = self._open.get(id(sys._getframe(1)))  # noqa: SLF001 - as above
        if call is not None:
            call.suspended_ns = _clock()
            call.running_ns += call.suspended_ns - call.resumed_ns

    def _returned(self, _code: CodeType, _offset: int, _value: object) -> None:
        self._ended(id(sys._getframe(1)), is_error=False)  # noqa: SLF001 - as above

    def _unwound(self, code: CodeType, _offset: int, error: object) -> None:
        if id(code) in self._watched:
            is_error = not isinstance(error, GeneratorExit)
            self._ended(id(sys._getframe(1)), is_error=is_error)  # noqa: SLF001 - as above

    def _ended(self, frame: int, *, is_error: bool) -> None:
        call = self._open.pop(frame, None)
        if call is not None:
            now_ns = _clock()
            running_ns = call.running_ns + now_ns - call.resumed_ns
            call.watched.record.tally.add(now_ns - call.begun_ns, running_ns, is_error=is_error)


def _count_closed(call: _Call) -> None:
    """A suspended call that is gone without an event; a coroutine that waits is counted when it is done."""
    if call.suspended_ns and not call.watched.code.co_flags & inspect.CO_COROUTINE:
        wall_ns = call.suspended_ns - call.begun_ns
        call.watched.record.tally.add(wall_ns, call.running_ns, is_error=False)


class Watches:
    """The watched functions of a process, by their specs."""

    def __init__(self, functions: Functions, claim: Callable[[], Monitor | None] = Monitor.claimed) -> None:
        self._functions = functions
        self._claim = claim
        self._monitor: Monitor | None = None
        self._is_told = False
        self._stops: dict[str, Callable[[], None]] = {}

    def __repr__(self) -> str:
        how = "none" if not self._stops else "monitored" if self._monitor else "replaced"
        return f"<Watches {len(self._stops)} {how}>"

    def watch(self, spec: str) -> Callable[[], None]:
        """Measure a function from now on; returns what stops that. A second call for it changes nothing.

        Its calls, errors and times are counted, not the sizes of its input.

        Raises:
            ValueError: the spec names no function of Python.
        """
        owner, name, function = resolved(spec)
        if self._functions.is_decorated(function):
            diagnostics.info("watch: '%s' is measured by its decorator already", spec)
            return _nothing
        if spec not in self._stops:
            record = self._functions.record(f"{function.__module__}.{function.__qualname__}")
            self._monitor = self._monitor or self._claim()
            if self._monitor is not None:
                self._stops[spec] = self._monitor.watch(function.__code__, record)
            else:
                self._stops[spec] = self._replace(owner, name, record.name)
        return lambda: self._stop(spec)

    def close(self) -> None:
        """Watch nothing any more."""
        for spec in tuple(self._stops):
            self._stop(spec)

    def _stop(self, spec: str) -> None:
        stop = self._stops.pop(spec, None)
        if stop is not None:
            stop()
        if not self._stops and self._monitor is not None:
            self._monitor.release()
            self._monitor = None

    def _replace(self, owner: Any, name: str, named: str) -> Callable[[], None]:
        bench = Workbench(
            "profiler",
            trace.get_tracer("tickspan.profiler"),
            metrics.get_meter("tickspan.profiler"),
            get_logger("tickspan.profiler"),
            {},
        )
        bench.replace(owner, name, lambda original: self._functions.wrapped(original, name=named))
        if not self._is_told:
            self._is_told = True
            tell = diagnostics.warning if sys.version_info >= (3, 12) else diagnostics.info
            tell(
                "watch: functions are replaced where they are defined, since there are no monitoring events"
                " to be had; who has imported '%s' by name before is not seen",
                named,
            )
        return bench.undo


def _nothing() -> None:
    """There is nothing to stop."""
