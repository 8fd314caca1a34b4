"""A stage for tests of orders."""

import sys
from collections.abc import Generator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds nothing

from order_stage import OrderStage

from tickspan.testing.capture import Capture


@pytest.fixture
def stage(telemetry: Capture) -> Generator[OrderStage]:
    """Registries that are closed when the test is over."""
    made = OrderStage(telemetry)
    yield made
    for orders in made.made:
        orders.close()
