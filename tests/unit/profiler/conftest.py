"""Profiles as values, for tests of what is made of them."""

from __future__ import annotations

import pytest

from tickspan.analysis.profiles import Frame, Link, Profile, Sample

ENGINE = Frame("Engine.on_tick", "/bot/engine.py", 42, 40)
PRICE = Frame("price", "/bot/pricing.py", 7, 3)
MAIN = Frame("<module>", "/bot/main.py", 9, 1)
LINK = Link(0xA1, 0xB2)


@pytest.fixture
def profile() -> Profile:
    """Seven samples of two threads, two of them linked."""
    return Profile(
        service="bot",
        version="1.2",
        pid=77,
        started_unix_ns=1_700_000_000_000_000_000,
        duration_ns=2_000_000_000,
        period_ns=100_000_000,
        frames=(PRICE, ENGINE, MAIN),
        stacks=((), (0, 1, 2), (1, 2)),
        samples=(
            Sample(1, "MainThread", "cpu", LINK, 2, 200_000_000),
            Sample(1, "MainThread", "cpu", None, 1, 100_000_000),
            Sample(2, "MainThread", "io", None, 3, 300_000_000),
            Sample(2, "worker;1", "lock", None, 1, 100_000_000),
        ),
        lost=4,
        own_cpu_ns=5_000_000,
    )
