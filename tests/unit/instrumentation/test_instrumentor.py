"""An instrumentor applies its rows as modules are imported, and takes them back."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Generator, Mapping
from typing import Any

import pytest

from tickspan.instrumentation import Instrumentor, Operation, Patch, hooks
from tickspan.recording import GuardStatistics, strict
from tickspan.testing import Capture

Write = Callable[..., None]
SOURCE = "def fetch(value):\n    return value\n"


def describe(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation:
    return Operation("FETCH")


class LibInstrumentor(Instrumentor):
    scope = "tickspan_lib"
    version = "1.2.3"
    dependencies = ()
    rows = (Patch("lib_fake", "fetch", describe), Patch("lib_fake.late", "fetch", describe, optional=True))


@pytest.fixture
def instrumentor() -> Generator[LibInstrumentor]:
    instrumentor = LibInstrumentor()
    yield instrumentor
    instrumentor.uninstrument() if instrumentor.is_instrumented_by_opentelemetry else None
    assert hooks._pending == {}


def on(instrumentor: Instrumentor, telemetry: Capture) -> None:
    instrumentor.instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider, settings={"a": 1}
    )


def test_rows_wait_for_the_import(write: Write, instrumentor: LibInstrumentor, telemetry: Capture) -> None:
    write("lib_fake/__init__.py", SOURCE)
    write("lib_fake/late.py", SOURCE)
    on(instrumentor, telemetry)
    lib = importlib.import_module("lib_fake")
    first = lib.fetch(1), len(telemetry.spans())
    late = importlib.import_module("lib_fake.late")
    second = late.fetch(2), len(telemetry.spans())
    assert (first, second) == ((1, 1), (2, 2))
    assert {span.scope for span in telemetry.spans()} == {"tickspan_lib"}


def test_rows_are_applied_to_what_is_imported_already(
    write: Write, instrumentor: LibInstrumentor, telemetry: Capture
) -> None:
    write("lib_fake/__init__.py", SOURCE)
    lib = importlib.import_module("lib_fake")
    original = lib.fetch
    on(instrumentor, telemetry)
    assert lib.fetch(1) == 1
    instrumentor.uninstrument()
    assert lib.fetch is original
    assert len(telemetry.spans()) == 1


def test_what_is_imported_after_undo_stays_bare(
    write: Write, instrumentor: LibInstrumentor, telemetry: Capture
) -> None:
    write("lib_fake/__init__.py", SOURCE)
    on(instrumentor, telemetry)
    instrumentor.uninstrument()
    assert not hasattr(importlib.import_module("lib_fake").fetch, "__wrapped__")


def test_it_can_be_switched_on_again(write: Write, instrumentor: LibInstrumentor, telemetry: Capture) -> None:
    write("lib_fake/__init__.py", SOURCE)
    lib = importlib.import_module("lib_fake")
    for _ in range(2):
        on(instrumentor, telemetry)
        lib.fetch(1)
        instrumentor.uninstrument()
        lib.fetch(1)
    assert [span.name for span in telemetry.spans()] == ["FETCH", "FETCH"]


def test_a_row_that_fails_harms_neither_the_import_nor_the_other_rows(
    write: Write, telemetry: Capture, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Instrumentor):
        scope = "tickspan_broken"
        version = "1"
        dependencies = ()
        rows = (Patch("lib_fake", "gone", describe), Patch("lib_fake", "fetch", describe))

    write("lib_fake/__init__.py", SOURCE)
    with strict(value=False):
        on(Broken(), telemetry)
        value = importlib.import_module("lib_fake").fetch(1)
    statistics = Broken().statistics()
    Broken().uninstrument()
    assert (value, len(telemetry.spans())) == (1, 1)
    assert statistics == (
        GuardStatistics("tickspan_broken", "lib_fake:gone", 1, "MissingTargetError", is_disabled=False),
        GuardStatistics("tickspan_broken", "lib_fake:fetch", 0, None, is_disabled=False),
    )
    assert capsys.readouterr().err == (
        "tickspan: tickspan_broken 'lib_fake:gone' failed with MissingTargetError; the application goes on\n"
    )


def test_settings_reach_the_rows(instrumentor: LibInstrumentor, telemetry: Capture) -> None:
    on(instrumentor, telemetry)
    assert instrumentor._bench is not None
    assert instrumentor._bench.settings == {"a": 1}


def test_undo_without_a_switch_on_is_harmless(caplog: pytest.LogCaptureFixture) -> None:
    class Never(LibInstrumentor):
        """Is not switched on."""

    with caplog.at_level(logging.CRITICAL):
        Never().uninstrument()
    assert Never().statistics() == ()
