"""Partial success: what an answer of 2xx takes back, and what a refusal says about itself."""

from __future__ import annotations

from typing import NamedTuple

from .wire_fields import first_bytes, first_number

_SHOWN_CHARACTERS = 200
_READ_BYTES = 4 * _SHOWN_CHARACTERS


class PartialSuccess(NamedTuple):
    """`Export{Trace,Metrics,Logs}PartialSuccess`: the signals differ in names only.

    Attributes:
        rejected: records that the back end dropped, as it claims; not checked against what was sent.
        message: its reason, printable, at most 200 characters. With nothing rejected it is advice.
    """

    rejected: int
    message: str


def read_partial_success(body: bytes) -> PartialSuccess:
    """From the body of an `Export…ServiceResponse`; nothing rejected when it cannot be read."""
    partial = first_bytes(body, 1)
    return PartialSuccess(max(0, first_number(partial, 1)), printable(first_bytes(partial, 2)))


def read_status_message(body: bytes, content_type: str) -> str:
    """What a refusal says: `google.rpc.Status.message` of a protobuf body, else the text as it came."""
    if "protobuf" in content_type:
        return printable(first_bytes(body, 2))
    return printable(body)


def printable(text: bytes) -> str:
    """Foreign text for a log line: one line, no control characters, at most 200 characters."""
    decoded = text[:_READ_BYTES].decode(errors="replace")
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in decoded).split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
