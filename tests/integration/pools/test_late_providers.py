"""Pools that are made before there are providers are measured by those that come later."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.integration

PROGRAM = """
import json
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from tickspan.pools import create_broker_pool, create_database_pool, get_connection_context

create_database_pool("main_db", "sqlite:///x.db", max_connections=2)
create_broker_pool("alpaca", object)
for name in ("main_db", "alpaca"):
    with get_connection_context(name):
        pass
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
for name in ("main_db", "alpaca"):
    with get_connection_context(name):
        pass
(resource,) = reader.get_metrics_data().resource_metrics
found = {}
for scope in resource.scope_metrics:
    for metric in scope.metrics:
        points = metric.data.data_points
        found[metric.name] = [getattr(one, "count", getattr(one, "value", None)) for one in points]
print(json.dumps(found))
"""


def test_what_happens_after_they_came_is_told(
    run_python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    ended = run_python(PROGRAM)
    assert ended.stderr == ""
    found = json.loads(ended.stdout)
    names = ("count", "idle.max", "idle.min", "max", "pending_requests", "use_time", "wait_time")
    databases = {name: found[f"db.client.connection.{name}"] for name in names}
    brokers = {name: found[f"tickspan.broker.connection.{name}"] for name in names}
    expected = {"count": [1, 0], "idle.min": [0], "pending_requests": [0], "use_time": [1], "wait_time": [1]}
    assert databases == {**expected, "idle.max": [2], "max": [2]}
    assert brokers == {**expected, "idle.max": [10], "max": [10]}
