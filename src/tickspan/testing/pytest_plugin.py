"""pytest fixtures: `telemetry`, and what `--tickspan-strict` or `tickspan_strict = true` turns on."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tickspan.recording import strict
from tickspan.testing.capture import Capture, capture


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the setting `tickspan_strict`."""
    parser.addini(
        "tickspan_strict", "raise faults of tickspan's own code in tests", type="bool", default=False
    )


@pytest.fixture
def telemetry(request: pytest.FixtureRequest) -> Generator[Capture]:
    """Providers with counted ids and a fake clock; see `tickspan.testing.capture`."""
    with capture(is_strict=request.config.getini("tickspan_strict")) as captured:
        yield captured


@pytest.fixture(autouse=True)
def _tickspan_strict(request: pytest.FixtureRequest) -> Generator[None]:
    with strict(request.config.getini("tickspan_strict")):
        yield
