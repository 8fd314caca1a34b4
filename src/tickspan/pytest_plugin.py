"""The pytest plugin: fixtures `telemetry` and `venue`; strict mode where `tickspan_strict` asks for it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from tickspan.recording import strict

if TYPE_CHECKING:
    from tickspan.testing import Capture
    from tickspan.testing.venue import VenueSimulator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the setting `tickspan_strict`."""
    parser.addini(
        "tickspan_strict", "raise faults of tickspan's own code in tests", type="bool", default=False
    )


@pytest.fixture
def telemetry(request: pytest.FixtureRequest) -> Generator[Capture]:
    """Providers with counted ids and a fake clock; see `tickspan.testing.capture`."""
    from tickspan.testing import (
        capture,
    )  # the SDK: other test suites with tickspan installed do not wait for it

    with capture(is_strict=request.config.getini("tickspan_strict")) as captured:
        yield captured


@pytest.fixture
def venue(request: pytest.FixtureRequest) -> Generator[VenueSimulator]:
    """A running `VenueSimulator`. `@pytest.mark.parametrize("venue", [Behaviour(...)], indirect=True)`."""
    from tickspan.testing.venue import Behaviour, VenueSimulator  # brings aiohttp, which only its users have

    behaviour = getattr(request, "param", None)
    assert behaviour is None or isinstance(behaviour, Behaviour)
    with VenueSimulator(seed=7, behaviour=behaviour) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _tickspan_strict(request: pytest.FixtureRequest) -> Generator[None]:
    with strict(request.config.getini("tickspan_strict")):
        yield
