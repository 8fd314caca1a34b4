"""Answers: every status of HTTP and gRPC, every form of Retry-After, bodies that lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..case import BATCH, Case, Rules  # noqa: TID252
from ..network.answers import (  # noqa: TID252
    ENDLESS_RETRY_AFTER,
    Answer,
    Script,
    gzip_bomb,
    huge,
    partial_success,
    refusals,
    retry_after_forms,
)

_WORK: Final = {"seconds": 2.5}
_FEW: Final = 160
"""What the first refused batches of each signal hold at this rate, and the small ones that try again."""
_OUTAGE_S: Final = 1.2
RETRIED: Final = (429, 502, 503, 504)
"""OTLP: to be sent again; nothing may be lost."""
_SUCCESSES: Final = (200, 201, 202, 203, 204, 206, 207, 299)
_FINAL: Final = (
    *(300, 301, 302, 303, 304, 305, 307, 308),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 414, 415, 416, 417, 418, 421),
    *(422, 423, 424, 425, 426, 428, 431, 451, 499),
    *(500, 501, 505, 506, 507, 508, 510, 511, 520, 524, 529, 598, 599),
)
"""OTLP forbids to send these again: the refused batches are lost, and counted; what comes later is not."""
_TYPICAL: Final = frozenset({301, 400, 401, 404, 500, 501})
_STRANGE: Final = (0, 600, 999)
_QUICK: Final = frozenset({503, 401, 500})


def _retried() -> Iterator[Case]:
    forms = retry_after_forms()
    for status in RETRIED:
        yield Case(
            f"{status} without Retry-After",
            "HTTP status",
            settings=_WORK,
            script=Script((Answer(status),), seconds=_OUTAGE_S),
            is_quick=status in _QUICK,
        )
        yield Case(
            f"{status} with each form of Retry-After in turn",
            "HTTP status",
            settings={"seconds": 6.0, "rate": 50.0},
            script=Script(refusals(status, forms), is_alternating=True),
            patience_s=12.0,
        )
    for form, value in (*forms.items(), *ENDLESS_RETRY_AFTER.items()):
        yield Case(
            f"503 once with Retry-After: {form}",
            "Retry-After",
            settings={"seconds": 1.5},
            script=Script((Answer(503, {"Retry-After": value}),), is_alternating=True),
            patience_s=1.0 if form in ENDLESS_RETRY_AFTER else 4.0,
            rules=Rules(may_be_kept=form in ENDLESS_RETRY_AFTER),
            is_full=form not in (*ENDLESS_RETRY_AFTER, "1", "date", "negative"),
        )


def _final() -> Iterator[Case]:
    forms = retry_after_forms()
    for status in _FINAL:
        yield Case(
            f"{status} for a while, Retry-After in turn",
            "HTTP status",
            settings=_WORK,
            script=Script(refusals(status, forms), seconds=_OUTAGE_S),
            patience_s=10.0,
            rules=Rules(lost=_FEW, is_silent=False, judges=("traces", "logs")),
            is_quick=status in _QUICK,
            is_full=status not in _TYPICAL,
        )


def _others() -> Iterator[Case]:
    for status in _SUCCESSES:
        yield Case(
            f"{status} is a success",
            "HTTP status",
            settings={"seconds": 1.0},
            script=Script((Answer(status, takes=True),)),
            is_full=status not in (200, 202, 204),
        )
    for status in _STRANGE:
        yield Case(
            f"{status or 'no answer'} for a while",
            "HTTP status",
            is_full=status == 999,
            settings=_WORK,
            script=Script((Answer(status),), seconds=_OUTAGE_S),
            patience_s=10.0,
            rules=Rules(lost=_FEW if status else 0, is_silent=False, judges=("traces", "logs")),
        )


_SUCCESS_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"


def _answer(name: str, answer: Answer, rules: Rules | None = None, **given: Any) -> Case:
    return Case(
        name, "answer", settings={"seconds": 1.5}, script=Script((answer,)), rules=rules or Rules(), **given
    )


CASES: Final = (
    *_retried(),
    *_final(),
    *_others(),
    _answer("a body of garbage with a success", Answer(200, body=b"\xff\xfe<html>" * 50, takes=True)),
    _answer("a page with a success", Answer(200, {"Content-Type": "text/html"}, b"<html>ok", takes=True)),
    _answer("a gzip bomb of 200 MiB with a success", gzip_bomb(200), is_quick=True),
    _answer("a body of 64 MiB with a success", huge(64)),
    Case(
        "a body of 64 MiB with 503",
        "answer",
        settings=_WORK,
        script=Script((huge(64, 503),), seconds=_OUTAGE_S),
        rules=Rules(doubled=2 * BATCH),
    ),
    _answer(
        "headers without end",
        Answer(raw=_SUCCESS_HEAD + b"X-Filler: " + b"x" * (4 * 2**20), takes=False),
        Rules(may_be_kept=True, lost=BATCH, judges=("traces", "logs"), is_silent=False),
        patience_s=1.0,
    ),
    _answer(
        "a thousand headers",
        Answer(200, {f"X-Header-{number}": "x" * 50 for number in range(90)}, takes=True),
    ),
    _answer(
        "cookies and a redirect of authentication",
        Answer(200, {"Set-Cookie": "a=b; Domain=example.com", "WWW-Authenticate": "Basic"}, takes=True),
    ),
    _answer(
        "a wrong length: the body is shorter",
        Answer(raw=_SUCCESS_HEAD + b"Content-Length: 500\r\n\r\nshort", takes=True),
        Rules(doubled=4 * BATCH),
        patience_s=1.0,
    ),
    _answer(
        "chunks that end in the middle",
        Answer(raw=_SUCCESS_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel", takes=True),
        Rules(doubled=4 * BATCH),
        patience_s=1.0,
    ),
    _answer("no length, closed", Answer(raw=_SUCCESS_HEAD + b"\r\n", takes=True)),
    _answer("an old protocol", Answer(raw=b"HTTP/1.0 200 OK\r\n\r\n", takes=True)),
    Case(
        "a success that comes too late, once",
        "answer",
        settings=_WORK,
        script=Script((Answer(200, takes=True, delay_s=1.6),), is_alternating=True),
        rules=Rules(doubled=BATCH),
    ),
    Case(
        "taken, but answered with 503, once",
        "answer",
        settings=_WORK,
        script=Script((Answer(503, takes=True),), is_alternating=True),
        rules=Rules(doubled=BATCH),
    ),
    _answer("a partial success that rejects nothing", partial_success(0)),
    Case(
        "a partial success that rejects one of the first batch",
        "answer",
        act="burst",
        settings={"count": 200, "rest": 0.5},
        script=Script((partial_success(1),), is_alternating=True),
        rules=Rules(lost=1, judges=("traces",), is_silent=False),
    ),
    Case(
        "413 for more than 50 records",
        "answer",
        act="burst",
        settings={"count": 600, "rest": 1.0},
        script=Script((Answer(413, max_records=50),)),
        rules=Rules(judges=("traces",)),
        patience_s=10.0,
        is_quick=True,
    ),
    Case(
        "413 always, for a while",
        "answer",
        settings=_WORK,
        script=Script((Answer(413),), seconds=0.3),
        rules=Rules(lost=_FEW, judges=("traces", "logs"), is_silent=False),
    ),
    Case(
        "a redirect to itself, for ever",
        "answer",
        settings=_WORK,
        script=Script((Answer(308, {"Location": "/v1/traces"}),), seconds=_OUTAGE_S),
        rules=Rules(lost=_FEW, judges=("traces", "logs"), is_silent=False),
        patience_s=10.0,
    ),
)
