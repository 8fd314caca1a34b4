"""A spool that fills up: what matters least stays outside first, audit has the rest, all is counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool.reasons import Reason
from tickspan_spool.sender import destinations_from_environment
from tickspan_spool.spool import Spool, SpoolPlan

from tickspan.config import LogSettings
from tickspan.logs.capture import Capture
from tickspan.logs.category import Category
from tickspan.logs.fullness import Fullness
from tickspan.logs.logger import CategoryLogger, DirectLogger
from tickspan.logs.overflow import floor_at, rank_of
from tickspan.providers.logger import LoggerProvider

_KIB = 1 << 10
_STEPS = 480
"""Until it is full. A segment and the one made ahead of it are less than what is between two floors."""
_TEXT = "x " * 500
_DEBUG = "debug"
_CATEGORIES = [str(one.value) for one in Category if one is not Category.AUDIT]


@dataclass(slots=True)
class Filling:
    """A capture over a spool of two megabytes, and what was given to it."""

    capture: Capture
    spool: Spool
    clock: list[float]
    given: dict[str, int] = field(default_factory=dict[str, int])
    first_lost: dict[str, int] = field(default_factory=dict[str, int])

    def write(self, step: int) -> None:
        """One record of each category and one for debugging; then a second passes."""
        for category in _CATEGORIES:
            self._give(category, category, logging.INFO, step)
        self._give(_DEBUG, "trading", logging.DEBUG, step)
        self.clock[0] += 5.0
        self.capture.look()

    def _give(self, what: str, category: str, level: int, step: int) -> None:
        before = sum(self.capture.statistics().dropped.values())
        DirectLogger("app", category, self.capture).log(level, _TEXT, step=step)
        self.given[category] = self.given.get(category, 0) + 1
        if sum(self.capture.statistics().dropped.values()) > before:
            self.first_lost.setdefault(what, step)


@pytest.fixture
def filling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Filling]:
    monkeypatch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)
    destinations = destinations_from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    plan = SpoolPlan(
        tmp_path, max_bytes=2048 * _KIB, segment_bytes=16 * _KIB, agent="off", destinations=destinations
    )
    spool, clock, capture = Spool(plan), [0.0], Capture()
    sink: Any = spool
    capture.start(
        LoggerProvider(shutdown_on_exit=False, sink=sink),
        LogSettings(level="DEBUG", throttle=0),
        share=Fullness(spool, lambda: clock[0]),
    )
    assert capture._stop_ticking is not None
    capture._stop_ticking()  # seconds pass by the test's clock
    yield Filling(capture, spool, clock)
    capture.stop()
    spool.stop()


def test_categories_stay_outside_in_order_and_each_record_is_counted_once(filling: Filling):
    for step in range(_STEPS):
        filling.write(step)
    lost = filling.first_lost
    groups = [[_DEBUG], ["market_data"], ["performance"], ["system"], ["trading", "risk", "security"]]
    steps = [[lost[name] for name in group] for group in groups]
    assert all(max(before) < min(after) for before, after in pairwise(steps)), steps
    found = filling.capture.statistics()
    assert {
        category: found.records[category] + found.dropped[category] for category in filling.given
    } == filling.given
    told = filling.spool.statistics()
    assert told.dropped["logs"] == {Reason.DISK_BOUND: sum(found.dropped.values())}
    assert told.ended["logs"] == sum(filling.given.values())


def test_the_last_tenth_is_for_audit_records(filling: Filling):
    for step in range(_STEPS):
        filling.write(step)
    before = filling.capture.statistics()
    log = CategoryLogger(logging.getLogger("app.audited"), "risk", filling.capture)
    told = [log.audit("limit %d", number) for number in range(20)]
    log.warning("stays outside")
    after = filling.capture.statistics()
    assert (told, after.records["audit"]) == ([True] * 20, 20)
    assert after.dropped == {**before.dropped, "risk": before.dropped["risk"] + 1}
    assert Reason.DISK_BOUND in filling.spool.statistics().dropped["logs"]


def test_when_there_is_room_again_everything_is_recorded_again(filling: Filling):
    for step in range(_STEPS):
        filling.write(step)
    assert filling.capture.floor > 0
    filling.capture._share = lambda: 0.1
    filling.capture.look()
    DirectLogger("app", "market_data", filling.capture).debug("recorded again")
    assert filling.capture.floor == 0


@pytest.mark.parametrize(
    ("share", "stays"),
    [
        (0.69, {"trading@10", "market_data", "performance", "system", "trading", "own", "audit", "audit@10"}),
        (0.70, {"market_data", "performance", "system", "trading", "own", "audit", "audit@10"}),
        (0.75, {"performance", "system", "trading", "own", "audit", "audit@10"}),
        (0.80, {"system", "trading", "own", "audit", "audit@10"}),
        (0.85, {"trading", "audit", "audit@10"}),
        (0.90, {"audit", "audit@10"}),
        (5.00, {"audit", "audit@10"}),
    ],
)
def test_a_share_of_the_bound_lets_these_through(share: float, stays: set[str]):
    asked = ["trading@10", "market_data", "performance", "system", "trading", "own", "audit", "audit@10"]
    ranks = {name: rank_of(name.partition("@")[0], 10 if "@" in name else 20) for name in asked}
    assert {name for name, rank in ranks.items() if rank >= floor_at(share)} == stays
