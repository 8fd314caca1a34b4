"""OTLP/gRPC: every status, every form of RetryInfo, and the connections that fail it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from ..case import BATCH, Case, Endpoint, Rules  # noqa: TID252
from ..network.answers import Answer, Script  # noqa: TID252
from ..network.grpc_server import CODES, RETRY_INFO  # noqa: TID252
from ..network.schedule import Mode, down  # noqa: TID252

_WORK: Final = {"seconds": 2.5}
_OUTAGE_S: Final = 1.2
_FEW: Final = 160
_FORMS: Final = ("0", "1", "0.3", "-5", "noise")
_RETRIED: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
"""OTLP's table; RESOURCE_EXHAUSTED only with RetryInfo."""
_ALIKE: Final = frozenset({"NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "UNAUTHENTICATED"})
"""Final like others that run by default."""
_QUICK: Final = frozenset({"UNAVAILABLE", "INTERNAL"})


def _case(name: str, **given: Any) -> Case:
    base = Case(
        name, "gRPC", settings=_WORK, endpoint=Endpoint.GRPC, needs=("grpc",), patience_s=10.0, rules=Rules()
    )
    changed = replace(base, **given)
    return replace(changed, rules=replace(changed.rules, agent_mib=96.0))  # grpcio alone takes 20 MiB


def _refusals(code: int) -> tuple[Answer, ...]:
    return (Answer(code), *(Answer(code, {RETRY_INFO: form}) for form in _FORMS))


def _statuses() -> Iterator[Case]:
    for code, name in CODES.items():
        is_retried = name in _RETRIED
        yield _case(
            f"{name} for a while, RetryInfo in turn",
            script=Script(_refusals(code), seconds=_OUTAGE_S),
            rules=Rules() if is_retried else Rules(lost=_FEW, is_silent=False, judges=("traces", "logs")),
            is_quick=name in _QUICK,
            is_full=name in _ALIKE,
        )
    exhausted = Script(tuple(Answer(8, {RETRY_INFO: form}) for form in ("0", "1", "0.3")), seconds=_OUTAGE_S)
    yield _case("RESOURCE_EXHAUSTED, always with RetryInfo", script=exhausted)


def _connections() -> Iterator[Case]:
    for mode in (
        Mode.REFUSE,
        Mode.UNANSWERED,
        Mode.RESET,
        Mode.BLACK_HOLE,
        Mode.HALF_OPEN,
        Mode.CUT_ANSWER,
        Mode.DRIP,
    ):
        yield _case(
            f"gRPC: {mode}, then well", link=down(mode, 1.5, after_s=0.4), rules=Rules(doubled=2 * BATCH)
        )


CASES: Final = (
    _case("gRPC: nothing is wrong", settings={"seconds": 1.5}, rules=Rules(stderr_bytes=0)),
    *_statuses(),
    *_connections(),
    _case(
        "gRPC: refused until after the end",
        act="several",
        settings={"count": 60},
        link=down(Mode.REFUSE),
    ),
    _case(
        "gRPC: os.fork while threads record",
        act="fork while recording",
        settings={},
        rules=Rules(judges=("traces", "logs"), longest_ms=600.0),
    ),
)
