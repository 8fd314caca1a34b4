"""Where a fault of instrumentation stops, so that it never becomes a fault of the application."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

from tickspan.recording.diagnostics import diagnostics
from tickspan.recording.urls import REDACTED

P = ParamSpec("P")
T = TypeVar("T")
D = TypeVar("D")

DISABLE_AFTER: Final = 10
"""Errors of one hook before it is switched off."""
_STATE_OF_THE_APPLICATION: Final = (RecursionError, MemoryError)  # no stack may be left for a call

_strict = False


def is_strict() -> bool:
    """Whether our own faults are raised instead of counted (our test suite)."""
    return _strict


@contextmanager
def strict(value: bool = True) -> Generator[None]:
    """Raise our own faults while the context lasts.

    Set in the process that tests, never by an environment variable: sub-processes would inherit it.
    """
    global _strict
    before, _strict = _strict, value
    try:
        yield
    finally:
        _strict = before


@dataclass(frozen=True, slots=True)
class GuardStatistics:
    """What one guard has seen."""

    kind: str
    name: str
    errors: int
    last_error_type: str | None
    is_disabled: bool


class Guard:
    """Runs one hook; an exception in it is counted, told once, and after ten the hook is off.

    It stands before and after the caller's own call, never around it. It catches `Exception` only:
    `CancelledError`, `KeyboardInterrupt` and `GeneratorExit` are the caller's. `RecursionError` and
    `MemoryError` are the application's state: swallowed, but not held against the hook.
    No exception, frame or argument is kept. No path takes a lock: a fork could inherit it held.
    """

    __slots__ = ("_count", "_errors", "_kind", "_last_error_type", "_name", "is_disabled")

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = name
        self._count = itertools.count(1)  # one step is atomic: threads that fail at once get distinct numbers
        self._errors = 0
        self._last_error_type: str | None = None
        self.is_disabled = False
        """Whether the hook has been switched off."""

    def __repr__(self) -> str:
        state = "disabled" if self.is_disabled else f"{self._errors} errors"
        return f"<Guard {self._kind} '{self._name}' {state}>"

    def own(self, fn: Callable[..., T], *args: object, default: D) -> T | D:
        """Run code of ours: its exception is swallowed and counted, or raised in strict mode."""
        if self.is_disabled:
            return default
        try:
            return fn(*args)
        except Exception as error:
            if _strict:
                raise
            if not isinstance(error, _STATE_OF_THE_APPLICATION):
                self._note(error)
            return default

    def caught(self, error: Exception) -> None:
        """What `own` does with an exception, where a path is too hot for `own` and has a `try` of its own.

        Such a path asks `is_disabled` first.
        """
        if _strict:
            raise error
        if not isinstance(error, _STATE_OF_THE_APPLICATION):
            self._note(error)

    def closing(self, fn: Callable[..., T], *args: object, default: D) -> T | D:
        """As `own`, also when the hook is disabled: for what completes or takes back an earlier step."""
        try:
            return fn(*args)
        except Exception as error:
            if _strict:
                raise
            if not isinstance(error, _STATE_OF_THE_APPLICATION):
                self._note(error)
            return default

    def user(self, fn: Callable[..., T], *args: object, default: D) -> T | D:
        """Run code of the user's: its exception is swallowed and counted, always."""
        if self.is_disabled:
            return default
        try:
            return fn(*args)
        except Exception as error:  # noqa: BLE001 - the guard is where foreign faults stop
            if not isinstance(error, _STATE_OF_THE_APPLICATION):
                self._note(error)
            return default

    def privacy(self, fn: Callable[..., T], *args: object) -> T | str:
        """Run a redactor, a filter or any other privacy hook, of ours or the user's: it fails closed.

        An exception leaves `[redacted]`, is counted and told once; the hook is never switched off, since what
        it would have held back would get out. No mode raises: a half-redacted value must not travel in a
        traceback.
        """
        try:
            return fn(*args)
        except Exception as error:  # noqa: BLE001 - the guard is where foreign faults stop
            if not isinstance(error, _STATE_OF_THE_APPLICATION):
                self._note(error, is_kept_on=True)
            return REDACTED

    def statistics(self) -> GuardStatistics:
        """The count so far."""
        return GuardStatistics(self._kind, self._name, self._errors, self._last_error_type, self.is_disabled)

    def _note(self, error: Exception, *, is_kept_on: bool = False) -> None:
        self._last_error_type = type(error).__qualname__
        number = next(self._count)
        self._errors = max(self._errors, number)
        if number == DISABLE_AFTER and not is_kept_on:
            self.is_disabled = True
        with suppress(Exception):  # a handler or filter of the application's may raise
            self._tell(number, is_kept_on=is_kept_on)

    def _tell(self, number: int, *, is_kept_on: bool) -> None:
        story = (self._kind, self._name, self._last_error_type)
        if number == 1 and is_kept_on:
            diagnostics.warning("%s '%s' failed with %s; what it was given is recorded as [redacted]", *story)
        elif number == 1:
            diagnostics.warning("%s '%s' failed with %s; the application goes on", *story)
        elif number == DISABLE_AFTER and not is_kept_on:
            diagnostics.error("%s '%s' disabled after 10 errors, the last was %s", *story)
