"""The guard: our faults stop there, are counted, and switch a hook off after ten."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Generator
from typing import Any, NoReturn

import pytest

from tickspan.recording import Guard, GuardStatistics, diagnostics, is_strict, strict


class FaultError(Exception):
    """A fault of a hook."""


def broken(*args: Any) -> NoReturn:
    raise FaultError


@pytest.fixture
def guard() -> Guard:
    return Guard("processor", "queries")


@pytest.fixture
def lenient() -> Generator[None]:
    with strict(value=False):
        yield


@pytest.fixture
def told() -> Generator[list[str]]:
    """What the diagnostics logger says meanwhile, instead of saying it on stderr."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handlers = diagnostics.handlers
    diagnostics.handlers = list[logging.Handler]((Keep(),))
    yield lines
    diagnostics.handlers = handlers


def test_a_good_hook_gives_its_result_and_no_count(guard: Guard) -> None:
    assert guard.own(divmod, 7, 2, default=None) == (3, 1)
    assert guard.statistics() == GuardStatistics("processor", "queries", 0, None, is_disabled=False)


@pytest.mark.usefixtures("lenient", "told")
def test_a_fault_of_ours_becomes_the_default_and_is_counted(guard: Guard) -> None:
    assert guard.own(broken, default="default") == "default"
    assert guard.statistics() == GuardStatistics("processor", "queries", 1, "FaultError", is_disabled=False)


def test_a_fault_of_ours_is_raised_in_strict_mode(guard: Guard) -> None:
    with pytest.raises(FaultError):
        guard.own(broken, default=None)
    with pytest.raises(FaultError):
        guard.closing(broken, default=None)


@pytest.mark.usefixtures("told")
def test_a_fault_of_the_users_is_swallowed_in_strict_mode_too(guard: Guard) -> None:
    assert is_strict()
    assert guard.user(broken, default=7) == 7
    assert guard.statistics().errors == 1


@pytest.mark.usefixtures("lenient")
def test_ten_errors_switch_the_hook_off_and_two_lines_tell(guard: Guard, told: list[str]) -> None:
    results = [guard.own(broken, default=None) for _ in range(12)]
    assert results == [None] * 12
    assert guard.statistics() == GuardStatistics("processor", "queries", 10, "FaultError", is_disabled=True)
    assert guard.own(divmod, 7, 2, default="off") == "off"
    assert guard.user(divmod, 7, 2, default="off") == "off"
    assert told == [
        "processor 'queries' failed with FaultError; the application goes on",
        "processor 'queries' disabled after 10 errors, the last was FaultError",
    ]
    assert repr(guard) == "<Guard processor 'queries' disabled>"


@pytest.mark.usefixtures("lenient", "told")
def test_what_was_begun_is_completed_though_the_hook_is_off(guard: Guard) -> None:
    for _ in range(10):
        guard.own(broken, default=None)
    assert guard.closing(divmod, 7, 2, default=None) == (3, 1)
    assert guard.closing(broken, default="default") == "default"


@pytest.mark.usefixtures("lenient", "told")
def test_errors_of_many_threads_at_once_switch_the_hook_off(guard: Guard) -> None:
    barrier = threading.Barrier(8)

    def fail_twice() -> None:
        barrier.wait()
        guard.own(broken, default=None)
        guard.own(broken, default=None)

    threads = [threading.Thread(target=fail_twice) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert guard.is_disabled


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("state", [RecursionError, MemoryError])
def test_the_applications_state_is_not_held_against_the_hook(
    guard: Guard, told: list[str], state: type[Exception]
) -> None:
    def run_out() -> NoReturn:
        raise state

    assert [guard.own(run_out, default=0) for _ in range(11)] == [0] * 11
    assert guard.user(run_out, default=0) == 0
    assert (guard.statistics().errors, told) == (0, [])


@pytest.mark.usefixtures("lenient")
def test_a_hook_for_which_no_stack_is_left_does_not_harm_its_caller(guard: Guard) -> None:
    def sink(depth: int) -> object:
        return guard.own(abs, -1, default=None) if depth == 0 else sink(depth - 1)

    def dig() -> object:
        return dig()

    assert guard.own(dig, default="survived") == "survived"
    assert sink(sys.getrecursionlimit() // 2) == 1


@pytest.mark.usefixtures("lenient")
@pytest.mark.parametrize("foreign", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_is_the_callers_passes(guard: Guard, foreign: type[BaseException]) -> None:
    error = foreign()

    def interrupted() -> NoReturn:
        raise error

    with pytest.raises(foreign) as raised:
        guard.own(interrupted, default=None)
    assert raised.value is error
    with pytest.raises(foreign):
        guard.user(interrupted, default=None)
    assert guard.statistics().errors == 0


@pytest.mark.usefixtures("lenient")
def test_a_log_handler_that_raises_does_not_reach_the_caller(guard: Guard, told: list[str]) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        raise FaultError

    diagnostics.addFilter(refuse)
    try:
        assert guard.own(broken, default="default") == "default"
    finally:
        diagnostics.removeFilter(refuse)
    assert told == []


def test_a_privacy_hook_that_fails_leaves_nothing_and_stays_on(guard: Guard, told: list[str]) -> None:
    assert [guard.privacy(broken, "M4rker") for _ in range(12)] == ["[redacted]"] * 12
    assert guard.privacy(str.upper, "a") == "A"
    assert guard.statistics() == GuardStatistics("processor", "queries", 12, "FaultError", is_disabled=False)
    assert told == [
        "processor 'queries' failed with FaultError; what it was given is recorded as [redacted]",
    ]


@pytest.mark.usefixtures("told")
def test_a_privacy_hook_for_which_no_stack_is_left_leaves_nothing(guard: Guard) -> None:
    def run_out() -> NoReturn:
        raise RecursionError

    assert guard.privacy(run_out) == "[redacted]"
    assert guard.statistics().errors == 0


@pytest.mark.usefixtures("lenient", "told")
def test_no_exception_is_kept(guard: Guard) -> None:
    error = FaultError()
    before = sys.getrefcount(error)

    def fail() -> NoReturn:
        raise error

    guard.own(fail, default=None)
    error.__traceback__ = None
    assert sys.getrefcount(error) == before


def test_strictness_is_restored_when_its_context_ends() -> None:
    with strict(value=False):
        with strict():
            assert is_strict()
        assert not is_strict()
    assert is_strict()
