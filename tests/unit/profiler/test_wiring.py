"""What settings make of the profiler when telemetry starts."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tickspan_spool.entries import StreamKey

from tickspan.config import ProfileExport, ProfilerMode, ProfilerSettings
from tickspan.profiler import get_profiler, wiring
from tickspan.profiler.control import Answering
from tickspan.profiler.records import About, parse
from tickspan.testing import Capture


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """No test leaves the process's profiler running, or a call at the ticker."""
    answering: list[Any] = []

    def start(self: Answering) -> None:
        answering.append(self)

    monkeypatch.setattr(Answering, "start", start)
    yield answering
    get_profiler().stop()


def connect(telemetry: Capture, settings: ProfilerSettings, spool: Path | None) -> None:
    wiring.connect(settings, telemetry.tracer_provider, telemetry.logger_provider, spool)


def test_by_default_a_process_only_waits_to_be_asked(telemetry: Capture, stopped: list[Any], tmp_path: Path):
    connect(telemetry, ProfilerSettings(), tmp_path)
    assert (len(stopped), get_profiler().is_running) == (1, False)


def test_without_a_spool_or_when_switched_off_it_does_not_look(
    telemetry: Capture, stopped: list[Any], tmp_path: Path
):
    connect(telemetry, ProfilerSettings(), None)
    connect(telemetry, ProfilerSettings(control=False), tmp_path)
    assert stopped == []


@pytest.mark.parametrize("mode", [ProfilerMode.TAIL, ProfilerMode.CONTINUOUS])
def test_a_mode_samples_from_the_start_at_the_rate_that_is_set(telemetry: Capture, mode: ProfilerMode):
    connect(telemetry, ProfilerSettings(mode=mode, hz=33.0), None)
    statistics = get_profiler().statistics()
    assert statistics is not None
    assert (statistics.is_running, statistics.hz) == (True, 33.0)
    assert get_profiler().profile().service == "test"


def test_a_setting_that_cannot_be_is_told_and_nothing_is_sampled(
    telemetry: Capture, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(logging.getLogger("tickspan"), "propagate", True)
    connect(telemetry, ProfilerSettings(mode=ProfilerMode.TAIL, hz=0.0), None)
    assert not get_profiler().is_running
    assert "passes a second" in caplog.text


def test_what_is_kept_goes_into_the_spool_as_samples_of_the_service(telemetry: Capture):
    appended: list[tuple[StreamKey, bytes, int]] = []

    class Spool:
        def stream(self, key: StreamKey) -> Any:
            def append(record: bytes, items: int) -> None:
                appended.append((key, record, items))

            return SimpleNamespace(append=append)

    settings = ProfilerSettings(
        mode=ProfilerMode.CONTINUOUS, hz=200.0, cpu_budget=1.0, export=ProfileExport.OTLP
    )
    wiring.record(settings, telemetry.tracer_provider, Spool())
    try:
        connect(telemetry, settings, None)
        while not get_profiler().profile().samples:
            sum(range(100))
        get_profiler().stop()
    finally:
        get_profiler()._append = None
        atexit.unregister(get_profiler().stop)
    key, record, items = appended[0]
    assert (key.signal, b"service.name" in key.resource, b"tickspan.profiler" in key.scope) == (
        "samples",
        True,
        True,
    )
    assert (parse(record).about, sum(row[4] for row in parse(record).rows)) == (
        About("test", "", is_exported=True),
        items,
    )
