"""A link is given where it is certain, and nowhere else."""

from __future__ import annotations

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

from tickspan.analysis.profiles import Link
from tickspan.profiler.instructions import Instruction
from tickspan.profiler.linking import context_variable, holds, link_in
from tickspan.profiler.states import Leaf
from tickspan.testing import Capture


def instruction(callee: str = "", *, is_variable: bool = False, is_coroutine: bool = False) -> Instruction:
    """A call of `callee`; no call without one."""
    leaf = Leaf.CALL if callee else Leaf.NO_CALL
    return Instruction(leaf, bool(callee), callee, is_variable, is_coroutine)


HANDLE = ("_run", instruction("run"))
PLAIN = ("work", instruction())


def calls(
    name: str, callee: str, *, is_variable: bool = False, is_coroutine: bool = False
) -> tuple[str, Instruction]:
    return (name, instruction(callee, is_variable=is_variable, is_coroutine=is_coroutine))


def awaits(name: str) -> tuple[str, Instruction]:
    return (name, instruction(is_coroutine=True))


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([PLAIN, HANDLE], True),
        ([PLAIN, calls("step", "work"), HANDLE], True),
        ([PLAIN, awaits("inner"), awaits("outer"), HANDLE], True),
        ([PLAIN, calls("made", "Order"), HANDLE], True),
        ([calls("leaf", "sleep"), HANDLE], True),
        # the handle is not running its callback
        ([HANDLE], False),
        ([PLAIN, ("_run", instruction("call_exception_handler"))], False),
        # another context may have been entered
        ([PLAIN, calls("nested", "run"), HANDLE], False),
        ([calls("nested", "run"), HANDLE], False),
        ([PLAIN, calls("wrapped", "fn", is_variable=True), HANDLE], False),
        ([calls("wrapped", "fn", is_variable=True), HANDLE], False),
        # a coroutine that a call drives: an eager task
        ([awaits("eager"), calls("outer", "create_task", is_coroutine=True), HANDLE], False),
    ],
)
def test_the_handles_context_holds_where_nothing_above_may_have_entered_another(
    frames: list[tuple[str, Instruction]], expected: bool
):
    stack = tuple(range(len(frames)))
    place = len(frames) - 1
    assert holds(stack, place, lambda index: frames[index][1], lambda index: frames[index][0]) is expected


def test_a_function_named_run_that_is_called_by_its_name_enters_no_context():
    frames = [("run", PLAIN[1]), calls("main", "run"), HANDLE]
    assert holds((0, 1, 2), 2, lambda index: frames[index][1], lambda index: frames[index][0])


def test_the_span_of_a_context_is_told_also_when_it_has_ended(telemetry: Capture):
    with telemetry.tracer_provider.get_tracer("test").start_as_current_span("work") as span:
        context = context_api.get_current()
    known = span.get_span_context()
    assert link_in(context) == Link(known.trace_id, known.span_id)


def test_a_context_without_a_recorded_span_gives_no_link():
    silent = trace.set_span_in_context(NonRecordingSpan(SpanContext(1, 2, is_remote=True)))
    assert [link_in(one) for one in (context_api.Context(), silent, None, 7)] == [None] * 4


def test_the_variable_is_that_of_opentelemetrys_current_context():
    variable = context_variable()
    assert variable is not None
    assert variable.get() == context_api.get_current()
