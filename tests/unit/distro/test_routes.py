"""Which taps of the agent a process asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickspan.config import read_settings
from tickspan.distro.routes import keeps_profiles, spool_plan

SENT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "otlp"}


@pytest.mark.parametrize(
    ("environ", "taps"),
    [
        (SENT, ("orders", "queries", "memory")),
        ({**SENT, "TICKSPAN_QUERIES_MODE": "off"}, ("orders", "memory")),
        ({**SENT, "TICKSPAN_TRADING_STORE": "off"}, ("queries", "memory")),
        ({**SENT, "OTEL_METRICS_EXPORTER": "otlp"}, ("orders", "queries", "host", "memory")),
        (
            {**SENT, "OTEL_METRICS_EXPORTER": "otlp", "TICKSPAN_METRICS_HOST": "false"},
            ("orders", "queries", "memory"),
        ),
        ({**SENT, "OTEL_METRICS_EXPORTER": "none"}, ("orders", "queries")),
        ({**SENT, "TICKSPAN_MEMORY_LEAKS": "false"}, ("orders", "queries")),
        ({}, ()),
    ],
)
def test_taps_are_asked_for_by_settings_where_an_agent_runs(
    environ: dict[str, str], taps: tuple[str, ...]
) -> None:
    assert spool_plan(read_settings(environ=environ), environ, "bot").taps == taps


@pytest.mark.parametrize(
    ("environ", "viewed"),
    [
        ({}, ("queries", "host", "memory")),
        ({"TICKSPAN_QUERIES_MODE": "off", "TICKSPAN_METRICS_HOST": "false"}, ("memory",)),
        ({"OTEL_METRICS_EXPORTER": "none"}, ("queries",)),
        ({**SENT, "OTEL_METRICS_EXPORTER": "otlp"}, ()),
    ],
)
def test_where_nothing_is_sent_taps_run_as_long_as_somebody_looks_on(
    environ: dict[str, str], viewed: tuple[str, ...]
) -> None:
    assert spool_plan(read_settings(environ=environ), environ, "bot").viewed_taps == viewed


def test_people_are_told_of_alerts_where_nothing_is_sent(tmp_path: Path) -> None:
    environ = {"TICKSPAN_ALERTS_FILE": str(tmp_path / "alerts.toml")}
    assert spool_plan(read_settings(environ=environ), environ, "bot").taps == ("alerts", "memory")


def test_rules_beside_settings_that_a_program_names_are_told_by_an_agent(tmp_path: Path) -> None:
    settings = tmp_path / "bot.toml"
    for path in (settings, tmp_path / "alerts.toml"):
        path.touch()
    settings.write_text("[memory]\nleaks = false\n")
    assert spool_plan(read_settings(settings, environ={}), {}, "bot").taps == ("alerts",)


def test_profiles_are_made_where_the_profiler_runs_and_sent_where_that_is_asked_for() -> None:
    tail = {"TICKSPAN_PROFILER_MODE": "tail"}
    sent = {**SENT, **tail, "TICKSPAN_PROFILER_EXPORT": "otlp"}
    plans = [spool_plan(read_settings(environ=one), one, "bot") for one in (SENT, tail, sent)]
    assert ["profiles" in plan.taps for plan in plans] == [False, True, True]
    assert [[one.url for one in plan.destinations if one.signal == "profiles"] for plan in plans] == [
        [],
        [],
        ["http://127.0.0.1:4318/v1development/profiles"],
    ]


@pytest.mark.parametrize(
    ("agent", "keeps"), [("auto", True), ("external", True), ("thread", False), ("off", False)]
)
def test_samples_are_written_down_only_where_an_agent_reads_them(agent: str, keeps: bool) -> None:
    environ = {"TICKSPAN_PROFILER_MODE": "tail", "TICKSPAN_AGENT": agent}
    assert keeps_profiles(spool_plan(read_settings(environ=environ), environ, "bot")) is keeps
