"""What an exception may tell: type, scrubbed message, frames without source lines."""

from __future__ import annotations

from typing import NoReturn

import pytest

from tickspan.instrumentation import Failure, exception_attributes, exception_message, failure_of, type_name
from tickspan.instrumentation.faults import MAX_FRAMES


class Venue:
    class RefusedError(Exception):
        """Has a qualified name."""


class MuteError(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError


def deep(levels: int) -> NoReturn:
    if levels:
        deep(levels - 1)
    raise ValueError("deep")


def test_a_class_is_known_by_its_qualified_name() -> None:
    assert type_name(Venue.RefusedError()) == f"{__name__}.Venue.RefusedError"
    assert type_name(KeyError()) == "KeyError"


def test_the_default_failure_tells_the_type_only() -> None:
    assert failure_of(ValueError("secret")) == Failure("ValueError", {}, None, is_error=True)


def test_a_message_is_scrubbed_or_replaced_and_left_out_if_empty() -> None:
    error = ValueError("apiKey=M4rker")
    assert exception_attributes(error)["exception.message"] == "apiKey=[redacted]"
    assert exception_attributes(error, "refused")["exception.message"] == "refused"
    assert "exception.message" not in exception_attributes(ValueError())


def test_an_exception_that_cannot_be_printed_is_told_without_a_message() -> None:
    assert exception_message(MuteError()) == ""
    assert exception_attributes(MuteError()) == {
        "exception.type": f"{__name__}.MuteError",
        "exception.stacktrace": "",
    }


def test_frames_are_outermost_first_and_without_source() -> None:
    with pytest.raises(ValueError, match="deep") as raised:
        deep(1)
    frames = str(exception_attributes(raised.value)["exception.stacktrace"]).splitlines()
    assert [frame.rpartition(" ")[2] for frame in frames] == [
        "test_frames_are_outermost_first_and_without_source",
        "deep",
        "deep",
    ]
    assert all(frame.startswith(f"{__file__}:") for frame in frames)


def test_a_deep_stack_keeps_both_its_ends() -> None:
    with pytest.raises(ValueError, match="deep") as raised:
        deep(200)
    frames = str(exception_attributes(raised.value)["exception.stacktrace"]).splitlines()
    assert (len(frames), frames[MAX_FRAMES // 2]) == (MAX_FRAMES + 1, f"… {202 - MAX_FRAMES} frames …")
