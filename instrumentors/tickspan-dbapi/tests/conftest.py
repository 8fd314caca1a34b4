"""The instrumentor switched on, and spans as values without what differs between any two runs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
from tickspan.testing import Capture, RecordedSpan
from tickspan_dbapi import DbapiInstrumentor

INDIVIDUAL = (
    "code.",
    "tickspan.db.fetch.duration",
    "tickspan.db.params_hash",
    "tickspan.db.query.fingerprint",
    "tickspan.db.transaction.duration",
    "tickspan.db.transaction.id",
    "tickspan.db.transaction.idle",
)
"""Beginnings of attributes whose values differ between any two runs; each has tests of its own."""


@pytest.fixture
def recorded(telemetry: Capture) -> Generator[Capture]:
    """Telemetry of all drivers."""
    DbapiInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    yield telemetry
    DbapiInstrumentor().uninstrument()


@pytest.fixture
def spans(recorded: Capture) -> Callable[[], list[RecordedSpan]]:
    """Finished spans with the attributes that are the same in each run, and no events."""
    return lambda: [replace(span, attributes=_kept(span.attributes), events=()) for span in recorded.spans()]


@pytest.fixture
def story(spans: Callable[[], list[RecordedSpan]]) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """Names and attributes of finished spans, without those that name the database."""
    return lambda: [
        (span.name, {name: value for name, value in span.attributes.items() if name not in PLACES})
        for span in spans()
    ]


PLACES = ("db.system.name", "db.namespace", "server.address", "server.port", "db.query.summary")


def _kept(attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if not name.startswith(INDIVIDUAL)}
