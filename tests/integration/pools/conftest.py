"""Pools whose telemetry is captured, forgotten after each test; servers that a test may kill."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tickspan.pools import telling
from tickspan.pools.broker.budget import forget_budgets
from tickspan.pools.registry import registry
from tickspan.testing import Capture


@pytest.fixture
def told(telemetry: Capture) -> Generator[Capture]:
    """What pools tell."""
    telling.use(telemetry.meter_provider, telemetry.logger_provider)
    yield telemetry
    registry.clear()
    forget_budgets()
    telling.use(None, None)
