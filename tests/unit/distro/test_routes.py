"""Which taps of the agent a process asks for."""

from __future__ import annotations

import pytest

from tickspan.config import read_settings
from tickspan.distro.routes import spool_plan

SENT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "otlp"}


@pytest.mark.parametrize(
    ("environ", "taps"),
    [
        (SENT, ("orders", "queries")),
        ({**SENT, "TICKSPAN_QUERIES_MODE": "off"}, ("orders",)),
        ({**SENT, "TICKSPAN_TRADING_STORE": "off"}, ("queries",)),
        ({}, ()),
    ],
)
def test_taps_are_asked_for_by_settings_where_an_agent_runs(
    environ: dict[str, str], taps: tuple[str, ...]
) -> None:
    settings = read_settings(environ=environ).settings
    assert spool_plan(settings, environ, "bot").taps == taps
