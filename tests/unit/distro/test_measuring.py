"""What a program measures without being asked to, in processes of their own: providers are global."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.integration

RunPython = Callable[..., subprocess.CompletedProcess[str]]

_NAMES = """
import tickspan
tickspan.record_metric("early.trades", 2, kind="counter")
tickspan.init({"agent": "off", "metrics": METRICS})
from opentelemetry import metrics
metrics.get_meter_provider().collect()
found = {one.metric for one in tickspan.performance_summary().metrics}
print(sorted(name for name in found if name in WANTED))
"""


def measured(run_python: RunPython, settings: str, wanted: tuple[str, ...]) -> str:
    ended = run_python(_NAMES.replace("METRICS", settings, 1).replace("WANTED", repr(wanted)))
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_a_process_measures_itself_and_keeps_what_came_before_it_was_started(run_python: RunPython) -> None:
    wanted = ("process.memory.usage", "cpython.gc.collections", "early.trades", "system.cpu.time")
    assert measured(run_python, "{}", wanted) == (
        "['cpython.gc.collections', 'early.trades', 'process.memory.usage']"
    )


def test_a_process_does_not_measure_itself_where_that_is_switched_off(run_python: RunPython) -> None:
    wanted = ("process.memory.usage", "cpython.gc.collections", "early.trades")
    assert measured(run_python, "{'process': False}", wanted) == "['early.trades']"


def test_no_past_is_kept_where_that_is_switched_off(run_python: RunPython) -> None:
    assert measured(run_python, "{'history': 0}", ("early.trades",)) == "[]"


_RESOURCE = """
import tickspan
tickspan.init({"agent": "off"})
from opentelemetry import metrics
provider = metrics.get_meter_provider()
print(provider._sdk_config.resource.attributes["host.name"], provider.interval_s)
"""


def test_the_host_is_named_and_metrics_are_collected_every_ten_seconds(run_python: RunPython) -> None:
    assert run_python(_RESOURCE).stdout == f"{socket.gethostname()} 10.0\n"


def test_the_standard_variables_are_stronger(run_python: RunPython) -> None:
    environ = {"OTEL_RESOURCE_ATTRIBUTES": "host.name=desk-1", "OTEL_METRIC_EXPORT_INTERVAL": "2500"}
    assert run_python(_RESOURCE, **environ).stdout == "desk-1 2.5\n"
