"""How a table fits what is installed, and who else has a hand on what it wraps."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tickspan.instrumentation import (
    Instrumentor,
    InstrumentorReport,
    Meddler,
    Meddling,
    RowReport,
    RowState,
    Wrap,
)
from tickspan.recording import strict
from tickspan.testing import Capture

Write = Callable[..., None]

LIBRARY = """
import functools

def checked(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)
    return call

class Client:
    def place(self):
        return "library"

    @checked
    def cancel(self):
        return "library"

class OwnSubclass(Client):
    def place(self):
        return super().place()
"""


def through(original: Any, bench: object) -> Any:
    """A wrapper as our members' are: its code stands in a package of ours."""
    del bench
    namespace: dict[str, Any] = {"__name__": "tickspan_other.patches", "original": original}
    exec("def call(*args, **kwargs):\n    return original(*args, **kwargs)", namespace)
    return namespace["call"]


class LibInstrumentor(Instrumentor):
    scope = "tickspan_lib"
    version = "1.2.3"
    dependencies = ()
    rows = (
        Wrap("lib_reported", "Client.place", through),
        Wrap("lib_reported", "Client.cancel", through),
        Wrap("lib_reported", "Client.renamed", through),
        Wrap("lib_reported", "Client.newer", through, optional=True),
        Wrap("lib_reported.never", "anything", through),
    )


@pytest.fixture
def instrumentor(telemetry: Capture, write: Write) -> Generator[LibInstrumentor]:
    write("lib_reported/__init__.py", LIBRARY)
    made = LibInstrumentor()
    with strict(value=False):
        made.instrument(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider)
        yield made
        made.uninstrument() if made.is_instrumented_by_opentelemetry else None


def test_each_row_says_what_became_of_it(instrumentor: LibInstrumentor) -> None:
    assert {row.state for row in instrumentor.report().rows} == {RowState.WAITING}
    importlib.import_module("lib_reported")
    assert instrumentor.report() == InstrumentorReport(
        "tickspan_lib",
        (
            RowReport("lib_reported", "Client.place", RowState.APPLIED),
            RowReport("lib_reported", "Client.cancel", RowState.APPLIED),
            RowReport(
                "lib_reported",
                "Client.renamed",
                RowState.FAILED,
                "lib_reported has no Client.renamed: is this version of the library supported?",
            ),
            RowReport("lib_reported", "Client.newer", RowState.ABSENT),
            RowReport("lib_reported.never", "anything", RowState.WAITING),
        ),
        (),
    )
    assert str(instrumentor.report().of_state(RowState.ABSENT)[0]) == "lib_reported:Client.newer"


def test_a_subclass_of_the_programs_that_has_its_own_function_is_named(
    write: Write, instrumentor: LibInstrumentor
) -> None:
    write(
        "bot.py",
        """
        import lib_reported

        class Careful(lib_reported.Client):
            def place(self):
                return "bot"

        class Plain(lib_reported.OwnSubclass):
            pass
        """,
    )
    importlib.import_module("bot")
    assert instrumentor.report().meddlers == (
        Meddler("lib_reported:Client.place", "bot.Careful", Meddling.OVERRIDDEN),
    )


def test_what_the_program_replaced_before_us_is_named_whatever_it_calls_itself(
    write: Write, telemetry: Capture
) -> None:
    write("lib_reported/__init__.py", LIBRARY)
    write(
        "patches.py",
        """
        import functools
        import lib_reported

        original = lib_reported.Client.place

        @functools.wraps(original)
        def logged(self):
            return original(self)

        lib_reported.Client.place = logged
        """,
    )
    importlib.import_module("patches")
    made = LibInstrumentor()
    with strict(value=False):
        made.instrument(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider)
        report = made.report()
        made.uninstrument()
    (meddler,) = report.meddlers
    assert (meddler.place, meddler.how) == ("lib_reported:Client.place", Meddling.BEFORE)
    assert meddler.by.startswith("patches.")


def test_what_the_program_replaced_after_us_is_named(write: Write, instrumentor: LibInstrumentor) -> None:
    write(
        "late.py",
        """
        import lib_reported

        def quick(self):
            return "bot"

        lib_reported.Client.place = quick
        """,
    )
    importlib.import_module("late")
    assert instrumentor.report().meddlers == (
        Meddler("lib_reported:Client.place", "late.quick", Meddling.AFTER),
    )


def test_our_own_instrumentors_are_no_strangers_to_one_another(
    instrumentor: LibInstrumentor, telemetry: Capture
) -> None:
    library = importlib.import_module("lib_reported")

    class Other(LibInstrumentor):
        scope = "tickspan_other"
        rows = (Wrap("lib_reported", "Client.place", through),)

    other = Other()
    other.instrument(tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider)
    assert instrumentor.report().meddlers == ()
    assert other.report().meddlers == ()
    other.uninstrument()
    assert library.Client().place() == "library"


def test_a_report_of_what_is_switched_off_is_empty(instrumentor: LibInstrumentor) -> None:
    importlib.import_module("lib_reported")
    instrumentor.uninstrument()
    assert instrumentor.report() == InstrumentorReport("tickspan_lib", (), ())
