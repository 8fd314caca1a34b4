"""How many Python functions a measurement enters: counted, not timed: the same on every machine."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tickspan.recording import metering as source
from tickspan.recording import wire
from tickspan.testing.ceilings import calls_of

pytestmark = pytest.mark.perf

ATTRIBUTES = {"venue": "binance", "symbol": "BTC/USDT", "code": 200}


@pytest.fixture
def twin() -> Any:
    return pytest.importorskip("tickspan._compiled.recording.metering", reason="not compiled here")


def recorder_of(form: Any, kind: int) -> Any:
    stream = form.Stream(
        "metric", "", "", kind, wire.CUMULATIVE, is_monotonic=True, is_synchronous=True, clock=time.time_ns
    )
    return form.Recorder("metric", [stream], forbids_negative=True)


@pytest.mark.parametrize("kind", [source.SUM, source.LAST_VALUE, source.BUCKETS, source.EXPONENTIAL])
def test_a_compiled_measurement_enters_no_python_function(twin: Any, kind: int) -> None:
    recorder = recorder_of(twin, kind)
    assert calls_of(recorder.measure, 1.5, ATTRIBUTES) == 0
    assert calls_of(recorder.bind(ATTRIBUTES).add, 1.5) == 0


@pytest.mark.parametrize("kind", [source.SUM, source.LAST_VALUE, source.BUCKETS, source.EXPONENTIAL])
def test_an_interpreted_measurement_enters_six_functions_and_five_when_bound(kind: int) -> None:
    recorder = recorder_of(source, kind)
    assert calls_of(recorder.measure, 1.5, ATTRIBUTES) <= 6
    assert calls_of(recorder.bind(ATTRIBUTES).add, 1.5) <= 5
