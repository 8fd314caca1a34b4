"""Outcome of a gRPC call: OTLP's table of status codes. Pure, and without grpcio."""

from __future__ import annotations

import re

from .outcome import Outcome, OutcomeKind
from .partial_success import printable
from .retry_after import LONGEST_WAIT_S
from .wire_fields import fields, first_bytes, first_number

_ANSWERED = frozenset({"ABORTED", "OUT_OF_RANGE", "DATA_LOSS"})
_MAYBE_UNANSWERED = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE"})  # our own side says them too
_RETRIED = _ANSWERED | _MAYBE_UNANSWERED
_NOT_SENT = "failed to connect"
_DETAILS = 3  # the field of google.rpc.Status
_RETRY_INFO = b"google.rpc.RetryInfo"

# RESOURCE_EXHAUSTED is also what every implementation says of a message beyond its size limit: gRPC has no
# code of its own for that, only wordings (C core and Go; Java).
_TOO_LARGE = re.compile(r"larger than max|exceeds maximum size|too large", re.IGNORECASE)
_OUR_OWN_LIMIT = re.compile(r"^CLIENT: received message larger", re.IGNORECASE)


def decide_grpc(code: str, message: str, details: bytes) -> Outcome:
    """What a failed call means.

    Args:
        code: the name of the status code, such as "UNAVAILABLE".
        message: the status message.
        details: `grpc-status-details-bin` of the trailing metadata, a `google.rpc.Status`, or empty.
    """
    text = printable(message.encode(errors="replace"))
    explanation = f"answered {code}: {text}" if text else f"answered {code}"
    if code == "RESOURCE_EXHAUSTED":
        return _exhausted(message, retry_delay_s(details), explanation)
    if code in _RETRIED:
        wait_s = retry_delay_s(details) or 0.0
        is_ambiguous = code in _MAYBE_UNANSWERED and _NOT_SENT not in message.lower()
        return Outcome(OutcomeKind.RETRY, wait_s, explanation=explanation, is_ambiguous=is_ambiguous)
    if code == "INVALID_ARGUMENT":
        return Outcome(OutcomeKind.DEAD, explanation=explanation)
    return Outcome(OutcomeKind.PAUSED, explanation=explanation, is_unknown=code == "UNIMPLEMENTED")


def _exhausted(message: str, delay_s: float | None, explanation: str) -> Outcome:
    if _OUR_OWN_LIMIT.search(message):  # the answer to an accepted request was too long for us
        return Outcome(OutcomeKind.DELIVERED, explanation=explanation)
    if delay_s is not None:
        return Outcome(OutcomeKind.RETRY, delay_s, explanation=explanation)
    kind = OutcomeKind.SPLIT if _TOO_LARGE.search(message) else OutcomeKind.PAUSED
    return Outcome(kind, explanation=explanation)


def retry_delay_s(details: bytes) -> float | None:
    """Seconds in [0, 300] that a `RetryInfo` among the details asks for; None when there is none."""
    for number, detail in fields(details):
        if number == _DETAILS and isinstance(detail, bytes) and first_bytes(detail, 1).endswith(_RETRY_INFO):
            delay = first_bytes(first_bytes(detail, 2), 1)  # google.protobuf.Duration
            seconds = first_number(delay, 1) + first_number(delay, 2) / 1e9
            return min(max(0.0, seconds), LONGEST_WAIT_S)
    return None
