"""The method in place of `callHandlers` gives each record away first, and stacks look as without it."""

from __future__ import annotations

import inspect
import logging
import traceback
from typing import Any

import pytest

from tickspan.logs.tee import teed

ORIGINAL = logging.Logger.callHandlers


class Stack(logging.Handler):
    """Keeps the stack in which it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[str, int | None, str, str | None]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.frames = [(one.filename, one.lineno, one.name, one.line) for one in traceback.extract_stack()]
        if record.args:
            raise KeyError(record.msg)


@pytest.fixture
def logger() -> logging.Logger:
    logger = logging.Logger("app")  # noqa: LOG001 - nobody else is to find it
    logger.addHandler(Stack())
    return logger


def called(logger: logging.Logger) -> tuple[Any, Any]:
    """The handler's stack, and the traceback of what it raises."""
    handler: Any = logger.handlers[0]
    logger.warning("filled")
    frames = handler.frames
    try:
        logger.warning("raises %s", 1)
    except KeyError as error:
        return frames, traceback.format_exception(error)
    raise AssertionError


def test_stacks_and_tracebacks_are_the_same_with_it(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch):
    taken: list[tuple[logging.Logger, str]] = []
    found = []
    for method in (ORIGINAL, teed(ORIGINAL, lambda who, record: taken.append((who, record.msg)))):
        monkeypatch.setattr(logging.Logger, "callHandlers", method)
        found.append(called(logger))
    assert found[0] == found[1]
    assert taken == [(logger, "filled"), (logger, "raises %s")]


def test_it_is_called_as_what_it_replaces():
    made = teed(ORIGINAL, lambda _who, _record: None)
    names = ("__name__", "__qualname__", "__module__", "__doc__", "__defaults__")
    assert [getattr(made, name) for name in names] == [getattr(ORIGINAL, name) for name in names]
    assert inspect.signature(made) == inspect.signature(ORIGINAL)


def test_without_its_source_a_function_around_it_does(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
):
    def gone(_what: object) -> None:
        raise OSError("could not get source code")

    taken: list[str] = []
    monkeypatch.setattr(inspect, "getsourcelines", gone)
    made = teed(ORIGINAL, lambda _who, record: taken.append(record.msg))
    monkeypatch.undo()
    monkeypatch.setattr(logging.Logger, "callHandlers", made)
    frames, _ = called(logger)
    assert taken == ["filled", "raises %s"]
    assert {name for file, _, name, _ in frames[-5:] if file == logging.__file__} >= {
        "callHandlers",
        "handle",
    }
    assert not any("tickspan/logs" in file for file, *_ in frames if file != __file__ and "tests" not in file)


def test_a_source_that_is_not_this_methods_is_not_used(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
):
    other = "    def callHandlers(self, record):\n        return 'another version'\n"

    def another(_what: object) -> tuple[list[str], int]:
        return [other], 1

    monkeypatch.setattr(inspect, "getsourcelines", another)
    made = teed(ORIGINAL, lambda _who, _record: None)
    monkeypatch.undo()
    monkeypatch.setattr(logging.Logger, "callHandlers", made)
    logger.warning("filled")
    assert len(vars(logger.handlers[0])["frames"]) > 0


def test_what_somebody_else_has_put_there_is_called_after(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []

    def theirs(_self: logging.Logger, record: logging.LogRecord) -> None:
        said.append(f"theirs {record.msg}")

    monkeypatch.setattr(
        logging.Logger, "callHandlers", teed(theirs, lambda _who, record: said.append(f"ours {record.msg}"))
    )
    logging.getLogger("app.tee").warning("filled")
    assert said == ["ours filled", "theirs filled"]
