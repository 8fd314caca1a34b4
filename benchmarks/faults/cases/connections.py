"""Connections that fail: refused, reset, black hole, half-open, slow, dripping, DNS, TLS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import certifi

from ..case import BATCH, Case, Endpoint, Rules  # noqa: TID252
from ..network.schedule import Mode, Phase, Schedule, down  # noqa: TID252

_WORK: Final = {"seconds": 2.5}
_AMBIGUOUS: Final = frozenset(
    {
        Mode.BLACK_HOLE,
        Mode.HALF_OPEN,
        Mode.STALL,
        Mode.SLOW,
        Mode.DRIP,
        Mode.DRIP_REQUEST,
        Mode.CUT_ANSWER,
        Mode.HALF_ANSWER,
        Mode.GARBAGE,
        Mode.RESET,
    }
)
"""A request may have arrived although its answer was lost: its batch may come twice."""
_QUICK: Final = frozenset({Mode.REFUSE, Mode.BLACK_HOLE, Mode.DRIP})


def _rules(mode: Mode, **given: Any) -> Rules:
    return Rules(doubled=2 * BATCH if mode in _AMBIGUOUS else 0, **given)


def _down_for_a_while() -> Iterator[Case]:
    for mode in Mode:
        if mode in (Mode.PASS, Mode.CLOSE_IDLE):
            continue
        yield Case(
            f"{mode}, then well",
            "connection",
            settings=_WORK,
            link=down(mode, 1.5, after_s=0.4),
            rules=_rules(mode),
            is_quick=mode in _QUICK,
        )


def _down_to_the_end() -> Iterator[Case]:
    for mode in (Mode.REFUSE, Mode.UNANSWERED, Mode.BLACK_HOLE, Mode.STALL, Mode.DRIP, Mode.RESET):
        yield Case(
            f"{mode} until after the end",
            "connection",
            act="several",
            settings={"count": 60},
            link=down(mode),
            rules=_rules(mode),
            is_quick=mode is Mode.REFUSE,
        )


def _certificates() -> Iterator[Case]:
    for kind in ("good", "wrong authority", "expired", "wrong name"):
        yield Case(
            f"TLS: {kind}" + (", then a good one" if kind != "good" else ""),
            "TLS",
            settings=_WORK,
            endpoint=Endpoint.TLS,
            certificate=kind,
            rules=Rules(is_silent=kind == "good"),
            is_quick=kind == "wrong authority",
        )


_FLAPPING: Final = Schedule((Phase(Mode.PASS, 0.2), Phase(Mode.REFUSE, 0.2)), is_repeated=True)
_EVERYTHING: Final = Schedule(
    tuple(Phase(mode, 0.25) for mode in Mode if mode is not Mode.PASS),
)

CASES: Final = (
    Case(
        "nothing is wrong", "healthy", settings={"seconds": 1.5}, rules=Rules(stderr_bytes=0), is_quick=True
    ),
    Case("connections closed after each answer", "connection", settings=_WORK, link=down(Mode.CLOSE_IDLE)),
    *_down_for_a_while(),
    *_down_to_the_end(),
    Case("flapping", "connection", settings=_WORK, link=_FLAPPING, rules=Rules(doubled=2 * BATCH)),
    Case(
        "one fault after the other",
        "connection",
        settings={"seconds": 4.0},
        link=_EVERYTHING,
        rules=Rules(doubled=4 * BATCH),
    ),
    Case(
        "outage longer than the process, then a restart",
        "connection",
        act="several",
        settings={"count": 60},
        link=down(Mode.REFUSE),
        restarts=True,
    ),
    Case(
        "outage at a high rate",
        "connection",
        settings={"seconds": 2.5, "rate": 1500},
        link=down(Mode.REFUSE, 2.0),
        patience_s=12.0,
    ),
    Case(
        "a host that nobody knows",
        "DNS",
        settings={"seconds": 1.0},
        endpoint=Endpoint.UNKNOWN_HOST,
        patience_s=0.3,
        rules=Rules(may_be_kept=True, stderr_bytes=100_000),
        is_quick=True,
    ),
    Case(
        "an endpoint that is no URL of HTTP",
        "DNS",
        settings={"seconds": 1.0},
        endpoint=Endpoint.NOT_HTTP,
        patience_s=0.3,
        rules=Rules(may_be_kept=True, is_silent=False),
    ),
    *_certificates(),
    Case(
        "TLS: good, while REQUESTS_CA_BUNDLE names other authorities",
        "TLS",
        settings={"seconds": 1.0},
        endpoint=Endpoint.TLS,
        certificate="good",
        environment={"REQUESTS_CA_BUNDLE": certifi.where()},
    ),
    Case(
        "flush with a short timeout, black hole",
        "connection",
        act="flushes",
        link=down(Mode.BLACK_HOLE),
        rules=Rules(longest_ms=600.0, doubled=2 * BATCH),
    ),
    Case(
        "flush with a short timeout, refused",
        "connection",
        act="flushes",
        link=down(Mode.REFUSE),
        rules=Rules(longest_ms=600.0),
    ),
)
