"""Answers: what a server says to which request, as a script. Pure."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

OK: Final = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: of HTTP; 0 closes the connection without one.
        headers: besides Content-Length.
        body: of the answer.
        takes: whether the records of the request count as arrived.
        rejects: how many records of the request are not taken (a partial success).
        raw: sent instead of everything else, as it is.
        delay_s: waited before the answer.
        max_records: a request with more of them gets `status`; a smaller one is accepted.
    """

    status: int = OK
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    takes: bool = False
    rejects: int = 0
    raw: bytes = b""
    delay_s: float = 0.0
    max_records: int | None = None


ACCEPT: Final = Answer(takes=True)


@dataclass(frozen=True, slots=True)
class Script:
    """Which answer the n-th request of a signal gets.

    Attributes:
        answers: in turn.
        seconds: for how long after the signal's first request; then everything is accepted.
        is_alternating: after each refusal one request is accepted, and after the last all are.
    """

    answers: tuple[Answer, ...] = ()
    seconds: float = float("inf")
    is_alternating: bool = False

    def answer(self, number: int, elapsed_s: float) -> Answer:
        """To request `number` (from 0), `elapsed_s` after the first one."""
        if not self.answers or elapsed_s >= self.seconds:
            return ACCEPT
        if not self.is_alternating:
            return self.answers[number % len(self.answers)]
        turn, is_accepted = divmod(number, 2)
        return ACCEPT if is_accepted or turn >= len(self.answers) else self.answers[turn]


def http_bytes(answer: Answer) -> bytes:
    """The answer as it goes over the wire."""
    if answer.raw:
        return answer.raw
    reason = "OK" if answer.status == OK else "Scripted"
    headers = {"Content-Type": "application/x-protobuf", **answer.headers}
    if answer.status not in (204, 304):
        headers["Content-Length"] = str(len(answer.body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {answer.status} {reason}\r\n{lines}\r\n".encode("latin-1") + answer.body


def retry_after_forms(now: datetime | None = None) -> dict[str, str]:
    """Every form of the header that servers send, by name; times are short, so that a run is."""
    moment = now or datetime.now(UTC)
    soon, past = moment + timedelta(seconds=1), moment - timedelta(days=1)
    return {
        "1": "1",
        "0": "0",
        "negative": "-5",
        "fraction": "0.5",
        "date": format_datetime(soon, usegmt=True),
        "date long ago": format_datetime(past, usegmt=True),
        "date without zone": soon.strftime("%a, %d %b %Y %H:%M:%S"),
        "RFC 850 date": soon.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
        "asctime date": soon.strftime("%a %b %d %H:%M:%S %Y"),
        "nan": "nan",
        "exponent": "1e309",
        "words": "in a while",
        "empty": "",
        "padded": "  1  ",
        "other digits": "\u00b2",
    }


ENDLESS_RETRY_AFTER: Final = {
    "year 9999": "Fri, 31 Dec 9999 23:59:59 GMT",
    "huge": "9" * 40,
    "a day": "86400",
}


def refusals(status: int, forms: Mapping[str, str]) -> tuple[Answer, ...]:
    """The status without the header, then with each form of it."""
    plain = Answer(status, body=b"no")
    with_header = (replace(plain, headers={"Retry-After": value}) for value in forms.values())
    return (plain, *with_header)


def gzip_bomb(mebibytes: int) -> Answer:
    """A success whose body inflates to that much."""
    body = gzip.compress(b"\0" * (mebibytes * 2**20), 9)
    return Answer(OK, {"Content-Encoding": "gzip"}, body, takes=True)


def huge(mebibytes: int, status: int = OK) -> Answer:
    """An answer with a body of that size."""
    return Answer(status, body=b"x" * (mebibytes * 2**20), takes=status == OK)


def partial_success(rejected: int) -> Answer:
    """A success that has left out some records."""
    message = ExportTracePartialSuccess(rejected_spans=rejected, error_message="some were not welcome")
    body = ExportTraceServiceResponse(partial_success=message).SerializeToString()
    return Answer(OK, body=body, takes=True, rejects=rejected)
