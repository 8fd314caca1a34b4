"""A program that leaks, with a real agent: the verdict, the owner, the alert of the default pack."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tickspan.semconv import alerts as alert_names
from tickspan.semconv import memory as names
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.integration

RULES = """
version: 1
include: default
rules:
  - name: MemoryLeak  # as in the pack, but for its patience
    metric: tickspan.memory.leak.slope
    by: [tickspan.memory.layer]
    stat: last
    window: 10m
    threshold: 10MiB/h
    severity: warning
"""
BOT = """
import pathlib, time
import tickspan
tickspan.init()

class Book:
    def __init__(self):
        self.orders = {}

book = Book()
until = time.monotonic() + 90
while time.monotonic() < until and not pathlib.Path("enough").exists():
    for _ in range(100):
        book.orders[len(book.orders)] = [0]
    time.sleep(0.01)
"""
QUICK = {
    "OTEL_SERVICE_NAME": "bot",
    "OTEL_METRIC_EXPORT_INTERVAL": "50",
    "TICKSPAN_MEMORY_LEAK_BUCKET_S": "0.1",
    "TICKSPAN_ALERTS_FILE": "alerts.yaml",
}


@pytest.mark.parametrize("agent", ["auto", "thread"])
def test_a_leak_is_told_with_its_owner_and_fires_the_alert(
    run: Callable[..., Any], tmp_path: Path, agent: str
) -> None:
    (tmp_path / "alerts.yaml").write_text(RULES)
    with OtlpServer() as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            run,
            *(sys.executable, "-c", BOT),
            **QUICK,
            PYTHONPATH=str(the_tap(tmp_path)),
            TICKSPAN_AGENT=agent,
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
        )
        server.wait_for(lambda server: bool(fired(server)), timeout_s=100)
        (tmp_path / "enough").touch()
        ended = running.result()
        verdicts = [one for one in server.logs() if one.event_name == names.EVENT_MEMORY_LEAK]
        slopes = [one for one in server.metrics() if one.name == names.MEMORY_LEAK_SLOPE]
        shares = [one for one in server.metrics() if one.name == names.MEMORY_PSS]
        tiers = fired(server)
    assert (ended.returncode, ended.stderr) == (0, "")
    leaks = [one for one in verdicts if one.attributes[names.MEMORY_VERDICT] == "leaking"]
    last: dict[str, Any] = dict(leaks[-1].attributes)
    assert verdicts[0].attributes[names.MEMORY_VERDICT] == "suspected"
    assert (last[names.MEMORY_LAYER], last[names.MEMORY_OWNER].partition(" ")[0]) == (
        "python",
        "__main__.book.orders:",
    )
    assert {str(point.attributes[names.MEMORY_LAYER]) for one in slopes for point in one.points} == {"python"}
    assert (tiers, bool(shares)) == (({"agent"}, True) if agent == "auto" else ({"process"}, False))


def the_tap(tmp_path: Path) -> Path:
    """As an installed distribution that has the agent's tap."""
    packages = tmp_path / "packages"
    folder = packages / "memory_tap-1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Name: memory-tap\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[tickspan_tap]\nmemory = tickspan.memory.tap:MemoryTap\n")
    return packages


def fired(server: OtlpServer) -> set[str]:
    """By which evaluators."""
    return {
        str(one.attributes[alert_names.ALERT_EVALUATOR])
        for one in server.logs()
        if one.event_name == alert_names.EVENT_STATE_CHANGE
        and (one.attributes[alert_names.ALERT_NAME], one.attributes[alert_names.ALERT_STATE])
        == ("MemoryLeak", "firing")
    }
