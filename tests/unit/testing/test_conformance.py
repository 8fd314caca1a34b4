"""The conformance suite passes for a good instrumentor and names what a bad one breaks."""

# pyright: reportUnknownLambdaType=false
# The lambdas stand for functions of a library without types.

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tickspan.instrumentation import Instrumentor, Operation, Patch, Wrap
from tickspan.testing import Capture
from tickspan.testing.conformance import Call, InstrumentorConformance

SOURCE = textwrap.dedent(
    '''
    """A library with a blocking and an asynchronous client."""


    class RefusedError(Exception):
        pass


    def _answer(key):
        if key == "refused":
            raise RefusedError(key)
        return [key]


    class Client:
        def get(self, key: str, *, default: str = "") -> list[str]:
            """What is kept under `key`."""
            return _answer(key)

        @staticmethod
        def ping():
            return "pong"


    class AsyncClient:
        async def get(self, key: str, *, default: str = "") -> list[str]:
            return _answer(key)
    '''
)


def describe(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation:
    return Operation("GET", {"db.operation.name": "GET"})


class GoodInstrumentor(Instrumentor):
    scope = "tickspan_good"
    version = "1"
    dependencies = ()
    rows: ClassVar[tuple[Any, ...]] = (
        Patch("conformance_lib", "Client.get", describe),
        Patch("conformance_lib", "AsyncClient.get", describe),
        Patch("conformance_lib", "Client.ping", describe),
        Patch("conformance_lib", "Client.gone", describe, optional=True),
    )


@pytest.fixture(scope="module")
def lib(tmp_path_factory: pytest.TempPathFactory) -> Generator[Any]:
    folder: Path = tmp_path_factory.mktemp("lib")
    (folder / "conformance_lib.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield importlib.import_module("conformance_lib")
    sys.path.remove(str(folder))
    del sys.modules["conformance_lib"]


def calls_of(lib: Any) -> Sequence[Call]:
    client, asynchronous = lib.Client(), lib.AsyncClient()
    return (
        Call("get", lambda: client.get("key"), lambda: asynchronous.get("key")),
        Call("ping", lambda: client.ping()),  # noqa: PLW0108 - bound when it is called
        Call("refused", lambda: client.get("refused"), lambda: asynchronous.get("refused"), lib.RefusedError),
    )


class TestAGoodInstrumentor(InstrumentorConformance):
    instrumentor = GoodInstrumentor

    @pytest.fixture
    def calls(self, lib: Any) -> Sequence[Call]:
        return calls_of(lib)

    def test_importing_the_instrumentor_does_not_import_the_library(self) -> None:
        """Cannot run here: this instrumentor stands in a test module, which no process can import."""

    def test_an_instrumentor_that_is_on_before_the_import_applies_every_row(self) -> None:
        """Nor can this one, for the same reason."""


class _Suite(InstrumentorConformance):
    """The suite for an instrumentor of a single row, which a test chooses."""

    def __init__(self, row: Any) -> None:
        class OneRow(Instrumentor):
            scope = "tickspan_one"
            version = "1"
            dependencies = ()
            rows = (row,)

        self.instrumentor = OneRow  # pyright: ignore[reportAttributeAccessIssue] - one suite, many instrumentors


def without_wraps(original: Any, bench: Any) -> Any:
    def get(self: Any, key: str, **options: Any) -> Any:
        return original(self, key, **options)

    return get


def changing(original: Any, bench: Any) -> Any:
    def get(self: Any, key: str, *, default: str = "") -> Any:
        bench.start(Operation("GET")).succeed()
        return tuple(original(self, key, default=default))

    return get


def unguarded(original: Any, bench: Any) -> Any:
    def get(self: Any, key: str, *, default: str = "") -> Any:
        bench.start(Operation("GET"))
        return original(self, key, default=default)

    return get


def swallowing(original: Any, bench: Any) -> Any:
    def get(self: Any, key: str, *, default: str = "") -> Any:
        bench.start(Operation("GET")).succeed()
        return original(self, key, default=default) if key != "refused" else None

    return get


def marking_nothing(original: Any, bench: Any) -> Any:
    def get(self: Any, key: str, *, default: str = "") -> Any:
        active = bench.start(Operation("GET"))
        try:
            return original(self, key, default=default)
        finally:
            active.succeed()

    return get


CHECKS = InstrumentorConformance


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (without_wraps, CHECKS.test_signatures_and_names_stay),
        (without_wraps, CHECKS.test_results_are_the_librarys_own),
        (changing, CHECKS.test_results_are_the_librarys_own),
        (changing, CHECKS.test_nothing_is_recorded_while_suppressed),
        (marking_nothing, CHECKS.test_the_librarys_own_error_passes_and_marks_the_span),
        (changing, CHECKS.test_sync_and_async_tell_the_same_story),
    ],
)
def test_a_bad_wrapper_fails_its_check(telemetry: Capture, lib: Any, make: Any, check: Any) -> None:
    suite = _Suite(Wrap("conformance_lib", "Client.get", make))
    with pytest.raises(AssertionError):
        check(suite, telemetry, calls_of(lib))


def test_a_swallowed_error_fails_its_check(telemetry: Capture, lib: Any) -> None:
    suite = _Suite(Wrap("conformance_lib", "Client.get", swallowing))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_the_librarys_own_error_passes_and_marks_the_span(telemetry, calls_of(lib))


def test_a_fault_outside_the_guard_fails_its_check(telemetry: Capture, lib: Any) -> None:
    suite = _Suite(Wrap("conformance_lib", "Client.get", unguarded))
    with pytest.raises(RuntimeError, match="a fault of telemetry"):
        suite.test_a_fault_of_ours_never_reaches_the_caller(telemetry, calls_of(lib))


def test_an_undo_that_leaves_something_fails_its_check(telemetry: Capture, lib: Any) -> None:
    class Sticky(Patch):
        """Puts itself back after undo."""

        def apply(self, module: Any, bench: Any) -> None:
            bench.on_undo(lambda: setattr(module.Client, "get", lambda self: None))
            super().apply(module, bench)

    original = lib.Client.get
    suite = _Suite(Sticky("conformance_lib", "Client.get", describe))
    try:
        with pytest.raises(AssertionError):
            suite.test_every_row_finds_its_target_and_undo_restores_the_very_same_objects(
                telemetry, calls_of(lib)
            )
    finally:
        lib.Client.get = original


@pytest.mark.integration
def test_an_instrumentor_that_imports_its_library_fails_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hasty_lib.py").write_text("x = 1\n")
    body = (
        "from tickspan.instrumentation import Instrumentor, Patch\n"
        "class I(Instrumentor):\n"
        "    scope, version, dependencies = 's', '1', ()\n"
        "    rows = (Patch('hasty_lib', 'x', lambda *_: None),)\n"
    )
    (tmp_path / "hasty.py").write_text("import hasty_lib\n" + body)
    (tmp_path / "patient.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    class Suite(InstrumentorConformance):
        instrumentor: ClassVar[Any] = importlib.import_module("hasty").I

    class PatientSuite(InstrumentorConformance):
        instrumentor: ClassVar[Any] = importlib.import_module("patient").I

    PatientSuite().test_importing_the_instrumentor_does_not_import_the_library()
    with pytest.raises(AssertionError):
        Suite().test_importing_the_instrumentor_does_not_import_the_library()
