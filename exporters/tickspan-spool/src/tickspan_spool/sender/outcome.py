"""Outcome: what an answer means for the batch that was sent, as OTLP demands. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from .partial_success import read_partial_success, read_status_message
from .retry_after import retry_after_s

_RETRIED = frozenset({429, 502, 503, 504})
_UNKNOWN = frozenset({404, 501})


class OutcomeKind(StrEnum):
    """What to do with the batch, and with what waits behind it."""

    DELIVERED = "delivered"
    RETRY = "retry"  # the same bytes again, later
    SPLIT = "split"  # too large: the same records again, in halves
    DEAD = "dead"  # refused for good; the destination may like the next batch
    PAUSED = "paused"  # refused for good, and so would be the next one: the breaker opens


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one request.

    Attributes:
        kind: what to do.
        wait_s: the least wait that the server asked for, in [0, 300]; 0 when it did not.
        rejected: of a delivered batch, the records that the back end says it dropped.
        explanation: one sentence for a human, without credentials; empty when all is well.
        is_ambiguous: the request was sent, wholly or in part, and no answer came: it may have been accepted.
        is_unknown: the destination does not know this signal at all.
    """

    kind: OutcomeKind
    wait_s: float = 0.0
    rejected: int = 0
    explanation: str = ""
    is_ambiguous: bool = False
    is_unknown: bool = False


def decide(status: int, headers: Mapping[str, str], body: bytes, records: int) -> Outcome:
    """What an HTTP answer means.

    Args:
        status: of the answer. Everything that OTLP does not name is a refusal, redirects included.
        headers: of the answer, names in lower case.
        body: its first 64 KiB as they came; a compressed body says nothing.
        records: how many were sent; no more than that can be rejected.
    """
    plain = b"" if headers.get("content-encoding", "identity").lower() not in {"", "identity"} else body
    if 200 <= status < 300:  # noqa: PLR2004 - the class of success
        return accepted(plain, records)
    explanation = _explain(status, headers, plain)
    if status in _RETRIED:
        wait_s = retry_after_s(headers.get("retry-after"), headers.get("date"))
        return Outcome(OutcomeKind.RETRY, wait_s=wait_s, explanation=explanation)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Outcome(OutcomeKind.SPLIT, explanation=explanation)
    if status == HTTPStatus.BAD_REQUEST:
        return Outcome(OutcomeKind.DEAD, explanation=explanation)
    return Outcome(OutcomeKind.PAUSED, explanation=explanation, is_unknown=status in _UNKNOWN)


def accepted(body: bytes, records: int) -> Outcome:
    """What the body of a success takes back, the same over HTTP and gRPC."""
    partial = read_partial_success(body)
    rejected = min(partial.rejected, records)
    if rejected:
        explanation = f"accepted, but {rejected} of {records} records rejected: {partial.message}"
    else:
        explanation = f"accepted with a warning: {partial.message}" if partial.message else ""
    return Outcome(OutcomeKind.DELIVERED, rejected=rejected, explanation=explanation)


def _explain(status: int, headers: Mapping[str, str], body: bytes) -> str:
    answer = f"answered {status} {_phrase(status)}".rstrip()
    if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
        return f"{answer}: redirects are not followed, configure the final address"
    message = read_status_message(body, headers.get("content-type", ""))
    return f"{answer}: {message}" if message else answer


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
