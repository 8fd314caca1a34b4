"""What an exception may tell: type, scrubbed message, frames without source lines."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any, NoReturn

import pytest

from tickspan.instrumentation import (
    Failure,
    exception_attributes,
    exception_event,
    exception_message,
    failure_of,
    type_name,
)
from tickspan.instrumentation.faults import MAX_FRAMES
from tickspan.recording import values


@pytest.fixture(autouse=True)
def asked_anew() -> Generator[None]:
    yield
    values._avoided.clear()


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


# Events


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def lines(error: BaseException, **options: Any) -> list[str]:
    """The stack of the event, without the places, which move."""
    stack = str(exception_event(error, **options)["exception.stacktrace"])
    return [re.sub(r"^.*:\d+ ", "FRAME ", line) for line in stack.splitlines()]


def test_an_event_has_the_attributes_of_the_sdk() -> None:
    event = exception_event(ValueError("apiKey=M4rker"))
    assert event == {
        "exception.type": "ValueError",
        "exception.message": "apiKey=[redacted]",
        "exception.stacktrace": "",
    }


def test_causes_are_told_with_type_message_and_frames() -> None:
    error = raised(ValueError("outer"), raised(KeyError("apiKey=M4rker"), raised(OSError(2, "gone"))))
    assert lines(error) == [
        "FRAME raised",
        "caused by KeyError: 'apiKey=[redacted]'",
        "FRAME raised",
        "caused by FileNotFoundError: [Errno 2] gone",
        "FRAME raised",
    ]


def test_what_was_being_handled_is_told_unless_it_is_suppressed() -> None:
    error, other = ValueError("outer"), KeyError("inner")
    error.__context__ = other
    assert lines(error) == ["while handling KeyError: 'inner'"]
    error.__suppress_context__ = True
    assert lines(error) == []


def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    assert lines(first) == ["caused by KeyError: 'second'"]


def test_of_many_causes_eight_are_told() -> None:
    error: BaseException = ValueError("0")
    for number in range(1, 20):
        error = raised(ValueError(str(number)), error)
    assert [line for line in lines(error) if "caused" in line] == [
        f"caused by ValueError: {number}" for number in range(18, 10, -1)
    ]


def test_members_of_a_group_are_told() -> None:
    error = ExceptionGroup("both", [ValueError("a"), KeyError("b")])
    assert lines(error) == ["member ValueError: a", "member KeyError: 'b'"]


def test_where_the_message_is_given_causes_are_told_by_type_alone() -> None:
    error = raised(ValueError("M4rker"), KeyError("M4rker"))
    assert lines(error, message="refused") == ["FRAME raised", "caused by KeyError"]


def test_source_lines_are_told_only_if_asked_for() -> None:
    error = raised(ValueError("x"))
    assert lines(error) == ["FRAME raised"]
    assert lines(error, with_source=True) == ["FRAME raised", "    raise error from cause"]


def test_literals_in_source_lines_are_scanned() -> None:
    error = ValueError("x")
    try:
        _apiKey = "M4rker"; raise error  # noqa: E702, N806 # fmt: skip
    except ValueError:
        pass
    assert "_apiKey = [redacted]; raise error" in lines(error, with_source=True)[1]
    assert "M4rker" not in str(exception_event(error, with_source=True))


def test_a_long_text_is_cut_and_a_lone_surrogate_replaced() -> None:
    message = str(exception_event(ValueError("word " * 10_000))["exception.message"])
    assert (len(message) < 5_000, message[-6:]) == (True, "…[cut]")
    assert exception_event(ValueError("a\ud800"))["exception.message"] == "a\N{REPLACEMENT CHARACTER}"


class IntegrityError(Exception):
    pass


IntegrityError.__module__ = "sqlalchemy.exc"


class DerivedError(IntegrityError):
    pass


@pytest.mark.parametrize("kind", [IntegrityError, DerivedError])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'duplicate key violates unique constraint "users_pkey"\nDETAIL:  Key (mail)=(M4rker) exists.',
            "duplicate key violates unique constraint ?",
        ),
        ("(x) bad\n[SQL: INSERT INTO t VALUES ('M4rker')]\n[parameters: ('M4rker',)]", "(x) bad"),
        ("invalid input syntax for integer: 'M4rker'", "invalid input syntax for integer: ?"),
        ("Key (mail)=(M4rker) is gone", ""),
        ("near \"M4rker: 'x", "near ?"),
        ("unrecognized token: \"'a 'b M4rker 'c\" d\"", "unrecognized token: [redacted]"),
        ("near 'x'' M4rker 'y' at line 1", "near ? at line 1"),
        ("Table 'book.M4rker' doesn't exist", "Table ? doesn't exist"),
        (f"near 'a'{'b' * 5_000} M4rker 'c'", "near ?"),
    ],
)
def test_a_databases_error_is_told_without_what_it_quotes(
    kind: type[Exception], text: str, expected: str
) -> None:
    assert exception_event(kind(text))["exception.message"] == expected
    assert "M4rker" not in str(exception_event(raised(ValueError("outer"), kind(text))))


def test_an_exception_that_cannot_be_printed_has_an_empty_message() -> None:
    assert exception_event(MuteError())["exception.message"] == ""
    assert exception_event(raised(ValueError("outer"), MuteError()))["exception.stacktrace"] != ""
