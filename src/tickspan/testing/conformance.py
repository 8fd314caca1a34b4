"""The suite that every instrumentor inherits: what any of them owes to the library and its caller."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import pytest
from opentelemetry.trace import NoOpTracer, NoOpTracerProvider, Tracer

from tickspan.instrumentation import Instrumentor, suppressed
from tickspan.recording import strict
from tickspan.semconv.code import CODE_FUNCTION_NAME
from tickspan.semconv.common import ERROR_TYPE
from tickspan.semconv.db import (
    TICKSPAN_DB_FETCH_DURATION,
    TICKSPAN_DB_POOL_WAIT,
    TICKSPAN_DB_TRANSACTION_DURATION,
    TICKSPAN_DB_TRANSACTION_ID,
    TICKSPAN_DB_TRANSACTION_IDLE,
    TICKSPAN_DB_TRANSACTION_IDLE_MAX,
)
from tickspan.semconv.trading import LATENCY_SIGNING
from tickspan.testing.capture import Capture, RecordedSpan

_ABSENT: Final = object()
_TIMES: Final = f"{LATENCY_SIGNING.rpartition('.')[0]}."
"""Attributes that begin so are durations."""
_PLACES: Final = CODE_FUNCTION_NAME.partition(".")[0] + "."
_INDIVIDUAL: Final = frozenset(
    {
        TICKSPAN_DB_FETCH_DURATION,
        TICKSPAN_DB_POOL_WAIT,
        TICKSPAN_DB_TRANSACTION_DURATION,
        TICKSPAN_DB_TRANSACTION_ID,
        TICKSPAN_DB_TRANSACTION_IDLE,
        TICKSPAN_DB_TRANSACTION_IDLE_MAX,
    }
)


@dataclass(frozen=True, slots=True)
class Call:
    """One use of the library, blocking, asynchronous, or both when they must tell the same story.

    `error` is what the library raises; without it the call succeeds and its result is compared.
    """

    name: str
    sync: Callable[[], Any] | None = None
    asynchronous: Callable[[], Awaitable[Any]] | None = None
    error: type[BaseException] | None = None

    def runners(self) -> list[Callable[[], Any]]:
        """The call as functions that block until it is done."""
        runners: list[Callable[[], Any]] = [] if self.sync is None else [self.sync]
        if self.asynchronous is not None:
            asynchronous = self.asynchronous
            runners.append(lambda: asyncio.run(_awaited(asynchronous)))
        return runners


class _BrokenTracer(NoOpTracer):
    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        del args, kwargs
        raise RuntimeError("a fault of telemetry")


class _BrokenTracerProvider(NoOpTracerProvider):
    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        del args, kwargs
        return _BrokenTracer()


class InstrumentorConformance:
    """Inherit as a test class, name `instrumentor`, and give a fixture `calls` of at least one good call."""

    instrumentor: ClassVar[type[Instrumentor]]

    @pytest.fixture
    def calls(self) -> Sequence[Call]:
        """Uses of the real library against a real server."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture 'calls'")

    @contextmanager
    def instrumented(self, telemetry: Capture, **options: Any) -> Generator[None]:
        """The instrumentor on `telemetry`, for as long as the context lasts."""
        options.setdefault("tracer_provider", telemetry.tracer_provider)
        options.setdefault("meter_provider", telemetry.meter_provider)
        options.setdefault("logger_provider", telemetry.logger_provider)
        self.instrumentor().instrument(**options)
        try:
            yield
        finally:
            self.instrumentor().uninstrument()

    def test_importing_the_instrumentor_does_not_import_the_library(self) -> None:
        """Nor does switching it on: rows wait for the application's own import."""
        libraries = sorted({row.module.partition(".")[0] for row in self.instrumentor.rows})
        module, name = self.instrumentor.__module__, self.instrumentor.__name__
        program = (
            f"import sys; from {module} import {name} as I; "
            "I().instrument(skip_dep_check=True); "
            f"print([name for name in {libraries!r} if name in sys.modules])"
        )
        command = [sys.executable, "-c", program]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
        assert (result.stdout, result.stderr) == ("[]\n", "")

    def test_an_instrumentor_that_is_on_before_the_import_applies_every_row(self) -> None:
        """As under a launcher: no row fails, and each undoes what it did."""
        modules = sorted({row.module for row in self.instrumentor.rows})
        module, name = self.instrumentor.__module__, self.instrumentor.__name__
        program = (
            f"import importlib, sys; from {module} import {name} as I; "
            "instrumentor = I(); instrumentor.instrument(skip_dep_check=True)\n"
            f"for name in {modules!r}:\n"
            "    try: importlib.import_module(name)\n"
            "    except ModuleNotFoundError: pass\n"
            "print([hook for hook in instrumentor.statistics() if hook.errors]); instrumentor.uninstrument()"
        )
        command = [sys.executable, "-c", program]
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
        assert (result.stdout, result.stderr) == ("[]\n", "")

    def test_every_row_finds_its_target_and_undo_restores_the_very_same_objects(
        self, telemetry: Capture, calls: Sequence[Call]
    ) -> None:
        """Raw descriptors are compared by identity."""
        del calls  # its fixture has imported the library
        before = self._targets()
        with self.instrumented(telemetry):
            during = self._targets()
        after = self._targets()
        assert [key for key in before if during[key] is before[key]] == []
        assert [key for key in before if after[key] is not before[key]] == []

    def test_signatures_and_names_stay(self, telemetry: Capture, calls: Sequence[Call]) -> None:
        """A wrapped function looks like the original to `inspect`."""
        del calls
        before = {key: _look(target) for key, target in self._targets().items()}
        with self.instrumented(telemetry):
            assert {key: _look(target) for key, target in self._targets().items()} == before

    def test_sync_and_async_tell_the_same_story(self, telemetry: Capture, calls: Sequence[Call]) -> None:
        """Name, kind, attributes and status agree, span by span."""
        twins = [call for call in calls if call.sync is not None and call.asynchronous is not None]
        with self.instrumented(telemetry):
            for call in twins:
                stories = [self._story(telemetry, call, run) for run in call.runners()]
                assert stories[0] == stories[1], call.name

    def test_results_are_the_librarys_own(self, telemetry: Capture, calls: Sequence[Call]) -> None:
        """Each good call returns what it returns without us, and leaves at least one span."""
        for call in [call for call in calls if call.error is None]:
            bare = [run() for run in call.runners()]
            with self.instrumented(telemetry):
                told = [run() for run in call.runners()]
            assert (told, bool(telemetry.spans())) == (bare, True), call.name
            telemetry.clear()

    def test_the_librarys_own_error_passes_and_marks_the_span(
        self, telemetry: Capture, calls: Sequence[Call]
    ) -> None:
        """The caller sees the exception it would see without us; a span says `error.type`."""
        with self.instrumented(telemetry):
            for call in [call for call in calls if call.error is not None]:
                for run in call.runners():
                    telemetry.clear()
                    assert call.error is not None
                    with pytest.raises(call.error) as raised:
                        run()
                    assert type(raised.value) is call.error
                    assert any(s.status == "error" and ERROR_TYPE in s.attributes for s in telemetry.spans())

    def test_a_fault_of_ours_never_reaches_the_caller(
        self, telemetry: Capture, calls: Sequence[Call]
    ) -> None:
        """With a tracer that raises, every call still returns what it should."""
        for call in [call for call in calls if call.error is None]:
            bare = [run() for run in call.runners()]
            with strict(value=False), self.instrumented(telemetry, tracer_provider=_BrokenTracerProvider()):
                assert [run() for run in call.runners()] == bare, call.name

    def test_nothing_is_recorded_while_suppressed(self, telemetry: Capture, calls: Sequence[Call]) -> None:
        """OpenTelemetry's `suppress_instrumentation` is obeyed."""
        with self.instrumented(telemetry), suppressed():
            for call in [call for call in calls if call.error is None]:
                for run in call.runners():
                    run()
        assert telemetry.spans() == []

    def test_nothing_is_recorded_after_undo(self, telemetry: Capture, calls: Sequence[Call]) -> None:
        """Also on objects that were made while the instrumentor was on."""
        with self.instrumented(telemetry):
            pass
        for call in [call for call in calls if call.error is None]:
            for run in call.runners():
                run()
        assert telemetry.spans() == []

    def _targets(self) -> dict[str, Any]:
        """The raw object at each row's dotted target, where the row has one and the library has it."""
        found = {f"{row.module}:{target}": _raw(row.module, target) for row, target in self._named_rows()}
        return {key: value for key, value in found.items() if value is not _ABSENT}

    def _named_rows(self) -> list[tuple[Any, str]]:
        return [(row, row.target) for row in self.instrumentor.rows if hasattr(row, "target")]  # pyright: ignore[reportAttributeAccessIssue] - rows without a target are left out

    def _story(self, telemetry: Capture, call: Call, run: Callable[[], Any]) -> list[Any]:
        telemetry.clear()
        try:
            run()
        except BaseException as error:
            if call.error is None or not isinstance(error, call.error):
                raise
        return [_told(span) for span in telemetry.spans()]


async def _awaited(make: Callable[[], Awaitable[Any]]) -> Any:
    return await make()


def _told(span: RecordedSpan) -> tuple[Any, ...]:
    # How long a part of it took, its ids and the line it was called from differ between any two runs.
    timeless = {
        key: "…" if key.startswith(_TIMES) or key in _INDIVIDUAL else value
        for key, value in span.attributes.items()
        if not key.startswith(_PLACES)
    }
    return span.name, span.kind, timeless, span.status, span.description


def _raw(module: str, target: str) -> Any:
    *path, name = target.split(".")
    owner: Any = sys.modules.get(module)
    for part in path:
        owner = getattr(owner, part, None)
    return _ABSENT if owner is None else inspect.getattr_static(owner, name, _ABSENT)


def _signature(function: Any) -> str:
    """As `inspect` tells it; C functions may have none."""
    try:
        return str(inspect.signature(function))
    except ValueError:
        return ""


def _look(target: Any) -> tuple[Any, ...]:
    function = getattr(target, "__func__", getattr(target, "fget", target))  # a property looks as its getter
    return (
        _signature(function),
        function.__name__,
        function.__doc__,
        inspect.iscoroutinefunction(function),
        inspect.isgeneratorfunction(function),
        inspect.isasyncgenfunction(function),
    )
