"""What tests of memory share: the collector as it was, and telemetry as a value."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.resources import Resource

from tickspan.memory import telling
from tickspan.providers import LoggerProvider, MeterProvider
from tickspan.testing.sink import MemorySink


@pytest.fixture(autouse=True, scope="package")
def _frozen() -> Iterator[None]:
    """What the run has frozen is frozen again afterwards."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    gc.enable()


@pytest.fixture
def sink() -> Iterator[MemorySink]:
    """Where events and metrics of memory go meanwhile."""
    made = MemorySink()
    meters = MeterProvider(resource=Resource({}), shutdown_on_exit=False, sink=made)
    telling.use(meters, LoggerProvider(resource=Resource({}), shutdown_on_exit=False, sink=made))
    yield made
    telling.use(None, None)
