"""Log records of real programs: a declarative file, `configure`, uids and counts in the collector."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tickspan_spool import agent

from tickspan.logs import SearchResult, search
from tickspan.testing.otlp import OtlpServer

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]

_FILE = """
file_format: "1.1"
logger_provider:
  processors:
    - batch: {{exporter: {{otlp_http: {{endpoint: "{endpoint}/v1/logs"}}}}}}
distribution:
  tickspan:
    service_name: oms
    logs:
      level: WARNING
      throttle: 2
      directory: {folder}
      prefix: declared
      performance: false
      console: true
      format: json
"""
_DECLARED = """
import logging, tickspan
from tickspan import logs
tickspan.init()
logging.getLogger("app").info("below")
for number in range(5):
    logging.getLogger("app").warning("order %d", number)
tickspan.get_logger("perf", logs.Category.PERFORMANCE).error("switched off")
tickspan.get_logger("oms", logs.Category.RISK).error("limit", symbol="AAPL", api_key="hunter2hunter2")
"""
_CONFIGURED = """
import tickspan
from tickspan import logs
given = {"max_file_bytes": 100 << 20, "backup_count": 10, "rotate": "size", "console": False}
logs.configure(directory="logs", prefix="oms", **given)
tickspan.init(service_name="oms")
log = tickspan.get_logger("oms", logs.Category.TRADING)
log.info("Trade executed", symbol="AAPL", quantity=100)
try:
    logs.configure(rotate="hourly")
except ValueError as error:
    print(error)
print(logs.configure(logs.LoggingConfig(directory="logs", prefix="oms", level="ERROR")).level)
log.info("below the level that is configured now")
log.error("rejected")
"""


def lines(folder: Path, count: int) -> SearchResult:
    """Of the log files, once the agent has written so many."""
    deadline_s = time.monotonic() + 30.0
    while True:
        found = search(directory=folder, limit=0) if folder.is_dir() else SearchResult()
        if len(found) >= count or time.monotonic() >= deadline_s:
            return found
        time.sleep(0.1)


def test_a_declarative_file_says_what_is_recorded(run: Run, tmp_path: Path):
    folder, file = tmp_path / "logs", tmp_path / "otel.yaml"
    with OtlpServer() as server:
        file.write_text(_FILE.format(endpoint=server.endpoint, folder=folder))
        ended = run(
            sys.executable,
            "-c",
            _DECLARED,
            OTEL_CONFIG_FILE=str(file),
            OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint,
        )
        server.wait_for(lambda server: len(server.logs()) >= 4, 20.0)
        told = sorted((str(log.body), log.event_name) for log in server.logs())
    assert (ended.returncode, ended.stdout) == (0, "")
    assert told == [
        ("3 more", "tickspan.log.suppressed"),
        ("limit", ""),
        ("order 0", ""),
        ("order 1", ""),
    ]
    lines = ended.stderr.splitlines()
    console = [json.loads(line)["message"] for line in lines if line.startswith("{")]
    assert (console, "hunter2" in ended.stderr) == (["order 0", "order 1", "limit"], False)
    assert "no files are written: they are made from the spool" in lines[0]
    assert not folder.exists()


def test_configure_before_and_after_the_start_says_the_same_in_code(run: Run, tmp_path: Path):
    ended = run(sys.executable, "-c", _CONFIGURED)
    assert ended.stdout == ("logs.rotate: expected one of size, daily, session, got 'hourly'\nERROR\n")
    hits = lines(tmp_path / "logs", 2)
    assert [(hit.message, hit.fields) for hit in hits] == [
        ("Trade executed", {"symbol": "AAPL", "quantity": 100}),
        ("rejected", {}),
    ]


def test_a_records_uid_is_the_same_in_the_collector_and_in_the_file_and_all_are_counted(
    run: Run, tmp_path: Path
):
    program = """
import logging, tickspan
from opentelemetry import metrics
tickspan.init({"logs": {"directory": "logs", "throttle": 3}}, service_name="oms")
log = tickspan.get_logger("oms", "trading")
for number in range(10):
    log.info("order %d", number)
logging.getLogger("app").warning("plain")
log.audit("limit")
metrics.get_meter_provider().force_flush(10_000)
"""
    with OtlpServer() as server:
        run(sys.executable, "-c", program, OTEL_EXPORTER_OTLP_ENDPOINT=server.endpoint)
        hits = lines(tmp_path / "logs", 6)
        agent.drain(tmp_path / "spool", 10.0)
        server.wait_for(lambda server: len(server.logs()) >= 6, 20.0)
        sent = {log.attributes.get("log.record.uid"): log.body for log in server.logs()}
        counts = _counts(server)
    written = {str(hit.line["uid"]): hit.message for hit in hits}
    assert sorted(map(str, written.values())) == [
        "7 more",
        "limit",
        "order 0",
        "order 1",
        "order 2",
        "plain",
    ]
    assert {uid: body for uid, body in sent.items() if uid in written} == written
    assert counts["tickspan.log.records"] == {"trading": 3, "system": 1, "audit": 1}
    assert counts["tickspan.log.suppressed"] == {"trading": 7}
    assert counts["otel.sdk.log.created"][None] >= 5


def _counts(server: OtlpServer) -> dict[str, dict[Any, Any]]:
    """The last value of each counter of log records, by category."""
    found: dict[str, dict[Any, Any]] = {}
    for metric in server.metrics():
        for point in metric.points:
            if "log" in metric.name:
                found.setdefault(metric.name, {})[point.attributes.get("tickspan.log.category")] = point.value
    return found
