"""Which taps of the agent a process asks for."""

from __future__ import annotations

from pathlib import Path

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
        ({**SENT, "OTEL_METRICS_EXPORTER": "otlp"}, ("orders", "queries", "host")),
        (
            {**SENT, "OTEL_METRICS_EXPORTER": "otlp", "TICKSPAN_METRICS_HOST": "false"},
            ("orders", "queries"),
        ),
        ({}, ()),
    ],
)
def test_taps_are_asked_for_by_settings_where_an_agent_runs(
    environ: dict[str, str], taps: tuple[str, ...]
) -> None:
    settings = read_settings(environ=environ).settings
    assert spool_plan(settings, environ, "bot").taps == taps


def test_people_are_told_of_alerts_where_nothing_is_sent(tmp_path: Path) -> None:
    environ = {"TICKSPAN_ALERTS_FILE": str(tmp_path / "alerts.toml")}
    settings = read_settings(environ=environ).settings
    assert spool_plan(settings, environ, "bot").taps == ("alerts",)
