"""Rows: where a target stands decides how it is wrapped, and undo brings the very same object back."""

# pyright: reportUnknownLambdaType=false
# The lambdas stand for functions of a library without types.

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any, NoReturn

import pytest
from opentelemetry import baggage
from opentelemetry._logs import NoOpLogger
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import SpanKind

from tickspan.instrumentation import (
    Duration,
    Failure,
    MissingTargetError,
    Operation,
    Patch,
    Row,
    Workbench,
    Wrap,
    suppressed,
)
from tickspan.instrumentation.operation import Repetition
from tickspan.providers import TracerProvider
from tickspan.recording import strict
from tickspan.testing import Capture, Point, RecordedEvent, RecordedSpan
from tickspan.testing.sink import MemorySink

DURATION = Duration("db.client.operation.duration", "How long it took.", attributes=("db.operation.name",))


class Base:
    def method(self, value: int) -> tuple[Any, int]:
        return self, value

    @staticmethod
    def static(value: int) -> int:
        return value

    @classmethod
    def of_class(cls, value: int) -> tuple[type, int]:
        return cls, value


class Prepared:
    """A callable that is no function: in a class it stays unbound."""

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        return (*args, *kwargs)


class RefusedError(Exception):
    """The library's own error."""


@pytest.fixture
def bench(telemetry: Capture) -> Generator[Workbench]:
    tracer = telemetry.tracer_provider.get_tracer("test")
    bench = Workbench(
        "test",
        tracer,
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        {},
    )
    yield bench
    bench.undo()


@pytest.fixture
def lib() -> Any:
    """A library whose classes may be changed."""

    class Client(Base):
        def method(self, value: int) -> tuple[Any, int]:
            return super().method(value + 1)

        @staticmethod
        def static(value: int) -> int:
            return value + 1

        @classmethod
        def of_class(cls, value: int) -> tuple[type, int]:
            return cls, value + 1

        prepared = Prepared()
        partial = staticmethod(functools.partial(int, "10"))

        @property
        def state(self) -> int:
            return 7

    class Heir(Base):
        """Defines nothing itself."""

    module = ModuleType("lib")
    vars(module).update(Client=Client, Heir=Heir, client=Client(), function=lambda value: value)
    return module


def saw(seen: list[Any]) -> Callable[..., Operation]:
    def describe(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation:
        seen.append((instance, args, dict(kwargs)))
        return Operation("CALL", {"db.operation.name": "CALL"})

    return describe


def plain(instance: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Operation:
    return Operation("CALL", {"db.operation.name": "CALL"})


def test_a_method_is_described_with_its_instance(lib: Any, bench: Workbench) -> None:
    seen: list[Any] = []
    Patch("lib", "Client.method", saw(seen)).apply(lib, bench)
    client = lib.Client()
    assert client.method(1) == (client, 2)
    assert client.method(value=1) == (client, 2)
    assert seen == [(client, (1,), {}), (client, (), {"value": 1})]


@pytest.mark.parametrize(("owner", "step"), [("Client", 1), ("Heir", 0)])
def test_static_and_class_methods_bind_as_before_inherited_or_not(
    lib: Any, bench: Workbench, owner: str, step: int
) -> None:
    seen: list[Any] = []
    cls = getattr(lib, owner)
    for name in ("method", "static", "of_class"):
        Patch("lib", f"{owner}.{name}", saw(seen)).apply(lib, bench)
    instance = cls()
    assert instance.method(1) == (instance, 1 + step)
    assert (cls.static(1), instance.static(1)) == (1 + step, 1 + step)
    assert (cls.of_class(1), instance.of_class(1)) == ((cls, 1 + step), (cls, 1 + step))
    assert [instance for instance, _, _ in seen] == [instance, None, None, cls, cls]
    assert {args for _, args, _ in seen} == {(1,)}


def test_a_subclass_binds_its_own_class(lib: Any, bench: Workbench) -> None:
    Patch("lib", "Client.of_class", plain).apply(lib, bench)

    class Sub(lib.Client):
        pass

    assert Sub.of_class(1) == (Sub, 2)


def test_a_callable_that_does_not_bind_still_does_not(lib: Any, bench: Workbench, telemetry: Capture) -> None:
    seen: list[Any] = []
    for name in ("prepared", "partial"):
        Patch("lib", f"Client.{name}", saw(seen)).apply(lib, bench)
    assert (lib.Client().prepared(1, base=2), lib.Client().partial(base=2)) == ((1, "base"), 2)
    assert seen == [(None, (1,), {"base": 2}), (None, (), {"base": 2})]


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="from Python 3.14 on a partial in a class binds")
def test_a_partial_in_a_class_still_does_not_bind(lib: Any, bench: Workbench) -> None:
    lib.Client.bare = functools.partial(int, "10")
    Patch("lib", "Client.bare", plain).apply(lib, bench)
    assert lib.Client().bare(base=2) == 2


def test_an_object_of_a_module_keeps_its_method_bound(lib: Any, bench: Workbench) -> None:
    Patch("lib", "client.method", plain).apply(lib, bench)
    assert lib.client.method(1) == (lib.client, 2)
    bench.undo()
    assert vars(lib.client) == {}


def test_a_property_is_refused_and_stays(lib: Any, bench: Workbench) -> None:
    before = vars(lib.Client)["state"]
    with pytest.raises(TypeError, match="expected a function or method to wrap"):
        Patch("lib", "Client.state", plain).apply(lib, bench)
    assert vars(lib.Client)["state"] is before


def test_undo_restores_the_very_same_objects(lib: Any, bench: Workbench) -> None:
    targets = ("Client.method", "Client.static", "Client.of_class", "Client.prepared", "Heir.method")
    targets += ("Heir.static", "Heir.of_class", "function", "client.method")
    owners = (lib, lib.Client, lib.Heir, lib.client)
    before = [dict(vars(owner)) for owner in owners]
    for target in (*targets, *targets):
        Patch("lib", target, plain).apply(lib, bench)
    bench.undo()
    after = [dict(vars(owner)) for owner in owners]
    assert [list(names) for names in after] == [list(names) for names in before]
    assert all(now[name] is then[name] for now, then in zip(after, before, strict=True) for name in then)


def test_a_wrapper_that_a_third_party_put_on_top_stays_and_is_passed_through(
    lib: Any, bench: Workbench, telemetry: Capture
) -> None:
    Patch("lib", "function", plain).apply(lib, bench)
    ours = lib.function
    lib.function = theirs = lambda value: ("theirs", ours(value))
    during = lib.function(1)
    bench.undo()
    assert lib.function is theirs
    assert (during, lib.function(2)) == (("theirs", 1), ("theirs", 2))
    assert len(telemetry.spans()) == 1


def test_undo_goes_on_after_an_action_that_fails(lib: Any, bench: Workbench) -> None:
    before = lib.function

    def fail() -> NoReturn:
        raise RefusedError

    Patch("lib", "function", plain).apply(lib, bench)
    bench.on_undo(fail)
    with strict(value=False):
        bench.undo()
    assert lib.function is before


def test_a_missing_target_is_a_fault_unless_it_is_optional(lib: Any, bench: Workbench) -> None:
    with pytest.raises(MissingTargetError, match=r"lib has no Client\.gone"):
        Patch("lib", "Client.gone", plain).apply(lib, bench)
    with pytest.raises(MissingTargetError, match=r"lib has no Gone\.method"):
        Wrap("lib", "Gone.method", lambda original, bench: original).apply(lib, bench)
    Patch("lib", "Client.gone", plain, optional=True).apply(lib, bench)
    Wrap("lib", "Gone.method", lambda original, bench: original, optional=True).apply(lib, bench)
    assert repr(bench) == "<Workbench test active, 0 replacements>"


def test_a_wrap_puts_its_own_in_place(lib: Any, bench: Workbench) -> None:
    def make(original: Any, bench: Workbench) -> Any:
        return lambda value: (bench.name, original(value))

    Wrap("lib", "function", make).apply(lib, bench)
    assert lib.function(1) == ("test", 1)


def test_patches_and_wraps_are_rows() -> None:
    assert isinstance(Patch("lib", "function", plain), Row)
    assert isinstance(Wrap("lib", "function", lambda original, bench: original), Row)


# What is told


def test_results_and_errors_are_described(lib: Any, bench: Workbench, telemetry: Capture) -> None:
    def refuse(value: int) -> int:
        raise RefusedError(f"no {value}")

    lib.refuse = refuse
    error_of = lambda error: Failure("REFUSED", {"code": 7}, description="refused")  # noqa: E731
    result_of = lambda operation, result: {"rows": result}  # noqa: E731
    for name in ("function", "refuse"):
        row = Patch("lib", name, plain, describe_result=result_of, describe_error=error_of)
        row.apply(lib, bench)
    assert lib.function(3) == 3
    with pytest.raises(RefusedError):
        lib.refuse(3)
    good, bad = telemetry.spans()
    assert good == RecordedSpan("CALL", "client", 1, 1, None, {"db.operation.name": "CALL", "rows": 3})
    assert (bad.status, bad.description) == ("error", "refused")
    assert bad.attributes == {"db.operation.name": "CALL", "error.type": "REFUSED", "code": 7}
    assert [(e.name, e.attributes["exception.message"]) for e in bad.events] == [("exception", "refused")]


def test_an_exception_that_is_no_error_leaves_the_status_unset(
    lib: Any, bench: Workbench, telemetry: Capture
) -> None:
    def refuse() -> NoReturn:
        raise RefusedError

    lib.refuse = refuse
    no_error = lambda error: Failure("REFUSED", {"code": 7}, is_error=False)  # noqa: E731
    Patch("lib", "refuse", plain, describe_error=no_error, duration=DURATION).apply(lib, bench)
    with pytest.raises(RefusedError):
        lib.refuse()
    assert telemetry.spans() == [
        RecordedSpan("CALL", "client", 1, 1, None, {"db.operation.name": "CALL", "code": 7})
    ]
    assert [point.attributes for point in telemetry.points(DURATION.name)] == [{"db.operation.name": "CALL"}]


def test_durations_are_measured_in_seconds_with_the_error_type(
    lib: Any, bench: Workbench, telemetry: Capture
) -> None:
    Patch("lib", "function", plain, duration=DURATION).apply(lib, bench)
    lib.function(1)
    with pytest.raises(TypeError):
        lib.function()
    points = telemetry.points(DURATION.name)
    assert [(point.attributes, point.count) for point in points] == [
        ({"db.operation.name": "CALL"}, 1),
        ({"db.operation.name": "CALL", "error.type": "TypeError"}, 1),
    ]
    assert all(0 < point.value < 1 for point in points)


def test_the_default_event_holds_type_scrubbed_message_and_frames(
    lib: Any, bench: Workbench, telemetry: Capture
) -> None:
    def refuse() -> NoReturn:
        raise RefusedError("wrong apiKey=M4rker")

    lib.refuse = refuse
    Patch("lib", "refuse", plain).apply(lib, bench)
    with pytest.raises(RefusedError):
        lib.refuse()
    (event,) = telemetry.spans()[0].events
    stack = str(event.attributes["exception.stacktrace"])
    assert event == RecordedEvent(
        "exception",
        {
            "exception.type": f"{__name__}.RefusedError",
            "exception.message": "wrong apiKey=[redacted]",
            "exception.stacktrace": stack,
        },
    )
    assert stack.splitlines()[-1].endswith("<locals>.refuse")
    assert "raise" not in stack


def test_an_operation_may_name_its_parent(lib: Any, bench: Workbench, telemetry: Capture) -> None:
    tracer = telemetry.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("here"):
        root = Patch("lib", "function", lambda *_: Operation("CALL", parent=Context()))
        root.apply(lib, bench)
        lib.function(1)
    assert [(span.name, span.trace_id, span.parent_id) for span in telemetry.spans()] == [
        ("here", 1, None),
        ("CALL", 2, None),
    ]


def test_the_rest_of_the_context_is_kept_inside(lib: Any, bench: Workbench) -> None:
    lib.look = lambda: baggage.get_baggage("desk")
    Patch("lib", "look", lambda *_: Operation("CALL", parent=baggage.set_baggage("desk", "fx"))).apply(
        lib, bench
    )
    assert lib.look() == "fx"


def test_below_a_leaf_nothing_is_told(lib: Any, bench: Workbench, telemetry: Capture) -> None:
    lib.outer = lambda: lib.function(1)
    Patch("lib", "function", plain).apply(lib, bench)
    Patch("lib", "outer", lambda *_: Operation("OUTER", is_leaf=True)).apply(lib, bench)
    assert lib.outer() == 1
    assert [span.name for span in telemetry.spans()] == ["OUTER"]


def test_nothing_is_told_while_suppressed(lib: Any, bench: Workbench, telemetry: Capture) -> None:
    Patch("lib", "function", plain, duration=DURATION).apply(lib, bench)
    with suppressed():
        assert lib.function(1) == 1
    assert (telemetry.spans(), telemetry.points(DURATION.name)) == ([], [])


# Faults of ours


def fault(*args: Any) -> NoReturn:
    raise ZeroDivisionError


def test_a_fault_in_describe_costs_the_span_only(lib: Any, bench: Workbench, telemetry: Capture) -> None:
    Patch("lib", "function", fault).apply(lib, bench)
    with strict(value=False):
        assert lib.function(1) == 1
    assert telemetry.spans() == []
    assert [
        (g.name, g.errors, g.last_error_type) for g in (guard.statistics() for guard in bench.guards())
    ] == [("lib:function", 1, "ZeroDivisionError")]


def test_a_fault_in_describe_result_costs_its_attributes_only(
    lib: Any, bench: Workbench, telemetry: Capture
) -> None:
    Patch("lib", "function", plain, describe_result=fault).apply(lib, bench)
    with strict(value=False):
        assert lib.function(1) == 1
    assert [(span.name, span.status) for span in telemetry.spans()] == [("CALL", "unset")]


def test_a_fault_in_describe_error_leaves_the_librarys_own(
    lib: Any, bench: Workbench, telemetry: Capture
) -> None:
    Patch("lib", "function", plain, describe_error=fault).apply(lib, bench)
    with strict(value=False), pytest.raises(TypeError) as raised:
        lib.function()
    assert raised.value.__context__ is None
    assert telemetry.spans()[0].attributes["error.type"] == "TypeError"


def test_every_span_that_was_started_ends_though_the_hook_is_switched_off(
    lib: Any, bench: Workbench, telemetry: Capture
) -> None:
    Patch("lib", "function", plain, describe_result=fault).apply(lib, bench)
    with strict(value=False):
        assert [lib.function(n) for n in range(12)] == list(range(12))
    assert len(telemetry.spans()) == 10
    assert bench.guard("lib:function").is_disabled


def test_a_fault_of_ours_is_raised_in_strict_mode(lib: Any, bench: Workbench) -> None:
    Patch("lib", "function", fault).apply(lib, bench)
    with pytest.raises(ZeroDivisionError):
        lib.function(1)


def test_attributes_of_an_operation_are_not_changed(lib: Any, bench: Workbench, telemetry: Capture) -> None:
    shared = {"db.operation.name": "CALL"}
    row = Patch(
        "lib", "function", lambda *_: Operation("CALL", shared), describe_result=lambda *_: {"rows": 1}
    )
    row.apply(lib, bench)
    lib.function(1)
    assert shared == {"db.operation.name": "CALL"}
    assert dict(telemetry.spans()[0].attributes) == {"db.operation.name": "CALL", "rows": 1}


# Operations by hand


def test_an_operation_ends_once(bench: Workbench, telemetry: Capture) -> None:
    active = bench.start(Operation("CALL"), duration=DURATION)
    active.succeed({"rows": 1})
    active.fail(RefusedError())
    active.succeed()
    assert telemetry.spans() == [RecordedSpan("CALL", "client", 1, 1, None, {"rows": 1})]
    assert telemetry.points(DURATION.name) == [Point({}, telemetry.points(DURATION.name)[0].value, count=1)]
    assert repr(active) == "<ActiveOperation 'CALL' over>"


def test_an_operation_has_the_times_it_is_given(bench: Workbench, telemetry: Capture) -> None:
    bench.start(Operation("CALL"), start_time_ns=5, is_current=False).succeed(end_time_ns=9)
    assert [(span.start_ns, span.end_ns) for span in telemetry.spans()] == [(5, 9)]


def test_an_operation_that_is_kept_is_told_as_one_that_is_not(bench: Workbench, telemetry: Capture) -> None:
    kept = Operation("CALL", {"db.query.text": "GET ?"}, repetition=Repetition())
    for operation in (kept, kept, replace(kept, repetition=None)):
        bench.start(operation).succeed({"rows": 1})
    expected = ("CALL", "client", {"db.query.text": "GET ?", "rows": 1})
    assert [(s.name, s.kind, dict(s.attributes)) for s in telemetry.spans()] == [expected] * 3


def test_what_is_kept_of_an_operation_is_of_the_recorder_that_starts_it() -> None:
    kept, sink = Operation("CALL", {"db.query.text": "GET ?"}, repetition=Repetition()), MemorySink()
    for _ in range(2):
        tracers = TracerProvider(shutdown_on_exit=False, sink=sink)
        bench = Workbench("test", tracers.get_tracer("test"), NoOpMeter("test"), NoOpLogger("test"), {})
        for _ in range(2):
            bench.start(kept).succeed({"rows": 1})
        assert kept.repetition is not None
        assert kept.repetition.preset[0] is bench.recorder
    expected = ("CALL", SpanKind.CLIENT, {"db.query.text": "GET ?", "rows": 1})
    assert [(s.name, s.kind, dict(s.attributes)) for s in sink.telemetry().spans] == [expected] * 4


def test_inspect_sees_through_a_patched_class(lib: Any, bench: Workbench) -> None:
    before = {
        name: str(inspect.signature(getattr(lib.Client, name))) for name in ("method", "static", "of_class")
    }
    for name in before:
        Patch("lib", f"Client.{name}", plain).apply(lib, bench)
    assert {name: str(inspect.signature(getattr(lib.Client, name))) for name in before} == before
