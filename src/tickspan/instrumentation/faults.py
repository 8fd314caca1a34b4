"""An exception as telemetry may tell it: type, scrubbed message, frames without source lines."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from tickspan.instrumentation import redact
from tickspan.instrumentation.operation import Failure
from tickspan.recording import AttributeValue, clean_text
from tickspan.semconv.common import EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE

MAX_FRAMES: Final = 64
"""The first and the last half of them are kept."""


def exception_attributes(error: BaseException, message: str | None = None) -> dict[str, AttributeValue]:
    """Attributes of an `exception` event.

    `message` replaces the exception's own text where the caller knows what of it is safe. Source lines
    are never read: literals in source are secrets, and reading files costs a hundred times the frames.
    """
    text = message if message is not None else redact.text(exception_message(error))
    attributes: dict[str, AttributeValue] = {
        EXCEPTION_TYPE: type_name(error),
        EXCEPTION_STACKTRACE: stack_text(error.__traceback__),
    }
    if text:
        attributes[EXCEPTION_MESSAGE] = text
    return attributes


def failure_of(error: BaseException) -> Failure:
    """The default reading of an exception: its qualified class name, no text."""
    return Failure(error_type=type_name(error))


def type_name(error: BaseException) -> str:
    """The qualified class name, without `builtins`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def stack_text(traceback: TracebackType | None) -> str:
    """Frames, outermost first, as `file:line function`."""
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename}:{traceback.tb_lineno} {code.co_qualname}")
        traceback = traceback.tb_next
    if len(frames) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        frames[half:-half] = [f"… {len(frames) - MAX_FRAMES} frames …"]
    return "\n".join(frames)


def exception_message(error: BaseException) -> str:
    """What the exception says, not scrubbed; nothing where its `__str__` raises."""
    try:
        return clean_text(str(error))
    except Exception:  # noqa: BLE001 - a raising `__str__` is the exception's own business
        return ""
