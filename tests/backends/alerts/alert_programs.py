"""Programs that alert: a bot with its agent, gateways, and how to wait for what they do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from tickspan_spool import agent
from tickspan_spool.receiver import Batch, Receiver

BOT = Path(__file__).with_name("bot.py")
RULES = """
version: 1
notifiers:
  pager: {{type: {type}, {where}}}
rules:
  - name: SlowVenue
    metric: trading.order.duration
    by: [trading.venue.name]
    stat: {stat}
    window: 4s
    condition: gt
    threshold: 100ms
    severity: error
    annotations: {{summary: "{{{{ value }}}} at {{{{ labels.trading_venue_name }}}}"}}
  - name: ProcessDied
    kind: event
    event: tickspan.process_died
    by: [tickspan.service]
    window: 1m
    severity: critical
"""


def write_rules(folder: Path, where: str, kind: str = "alertmanager", stat: str = "p50") -> Path:
    """The rule file for a notifier."""
    path = folder / "alerts.yaml"
    path.write_text(RULES.format(type=kind, where=where, stat=stat))
    return path


def eventually(claim: Callable[[], bool], timeout_s: float = 30.0, what: str = "it") -> None:
    """Wait until a claim holds."""
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, f"{what} did not come true in {timeout_s:g} s"
        time.sleep(0.02)


@dataclass(slots=True)
class Webhook:
    """What a server on the loopback was sent: when, and the decoded body."""

    url: str
    posts: list[tuple[float, Any]] = field(default_factory=list[tuple[float, Any]])
    status: int = 200

    def statuses(self) -> list[tuple[str, str]]:
        """Status and name of each alert in each post."""
        return [
            (one["status"], one["labels"]["alertname"]) for _, body in self.posts for one in body["alerts"]
        ]


@dataclass(slots=True)
class Program:
    """A running program."""

    process: subprocess.Popen[str]
    lines: list[str]

    def say(self, word: str) -> None:
        """A line for its input, which it repeats when it has taken it."""
        assert self.process.stdin is not None
        before = len(self.lines)
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        eventually(lambda: word in self.lines[before:], what=word)

    def wait_for(self, text: str, timeout_s: float = 30.0) -> str:
        """The first line with this text."""
        eventually(lambda: any(text in line for line in self.lines), timeout_s, text)
        return next(line for line in self.lines if text in line)


@contextmanager
def program(*command: str | Path, cwd: Path, **environ: str) -> Generator[Program]:
    """Run a program of this Python; its output, and what it says on stderr, is in `lines`."""
    foreign = ("OTEL_", "TICKSPAN_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and not name.lower().endswith("_proxy")
    }
    process = subprocess.Popen(
        [sys.executable, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**kept, **environ},
        cwd=cwd,
    )
    lines: list[str] = []

    reader = threading.Thread(target=_reading(process, lines), daemon=True)
    reader.start()
    try:
        yield Program(process, lines)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(20)
        reader.join(5)
        if process.stdout is not None:
            process.stdout.close()


def _reading(process: subprocess.Popen[str], lines: list[str]) -> Callable[[], None]:
    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip("\n"))  # noqa: PERF401 - each as it comes

    return read


@contextmanager
def running_gateway(rules: Path, storage: Path, port: int = 0, *options: str) -> Generator[Program]:
    """`tickspan alerts gateway` on the loopback; its endpoint is in the first line."""
    command = ["-m", "tickspan", "alerts", "gateway", "--rules", str(rules), "--listen", f"127.0.0.1:{port}"]
    with program(*command, "--storage", str(storage), *options, cwd=rules.parent) as running:
        running.wait_for(" receives; ")
        yield running


def endpoint_of(gateway: Program) -> str:
    """Where a gateway receives."""
    return gateway.wait_for(" receives; ").split(" ")[1]


@contextmanager
def fan_out(*endpoints: str) -> Generator[str]:
    """An OTLP receiver that passes each request on to all; its endpoint."""

    def pass_on(batch: Batch) -> None:
        for endpoint in endpoints:
            head = {"Content-Type": "application/x-protobuf"}
            with urlopen(Request(f"{endpoint}/v1/{batch.signal}", batch.body, head), timeout=10) as answer:
                answer.read()

    with Receiver(pass_on) as receiver:
        yield receiver.endpoint


@contextmanager
def running_bot(folder: Path, rules: Path, endpoint: str, **environ: str) -> Generator[Program]:
    """The bot, with an agent of its own that ends with it."""
    spool = folder / "spool"
    given = {
        "TICKSPAN_SPOOL_DIR": str(spool),
        "TICKSPAN_ALERTS_FILE": str(rules),
        "OTEL_SERVICE_NAME": "bot",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        **environ,
    }
    with ExitStack() as stack:
        stack.callback(agent.stop, spool)
        running = stack.enter_context(program(BOT, cwd=folder, **given))
        running.wait_for("ready")
        yield running


def status_of(folder: Path) -> dict[str, Any]:
    """What the agent of a spool, or a gateway, wrote last of itself."""
    command = [sys.executable, "-m", "tickspan", "alerts", "status", "--json", "--directory", str(folder)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout or "{}")


def durations(start_s: float, at_s: float, quick: int, slow: int) -> bytes:
    """An export request: so many orders of 2 ms and of half a second at binance since the start."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    for name, value in (("service.name", "bot"), ("service.instance.id", "one")):
        group.resource.attributes.add(key=name).value.string_value = value
    metric = group.scope_metrics.add().metrics.add(name="trading.order.duration", unit="s")
    metric.histogram.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    point = metric.histogram.data_points.add(
        start_time_unix_nano=round(start_s * 1e9),
        time_unix_nano=round(at_s * 1e9),
        count=quick + slow,
        sum=quick * 0.002 + slow * 0.5,
        explicit_bounds=[0.005, 0.1, 1.0],
        bucket_counts=[quick, 0, slow, 0],
    )
    point.attributes.add(key="trading.venue.name").value.string_value = "binance"
    return request.SerializeToString()


def send(endpoint: str, signal: str, body: bytes) -> int:
    """Post a request; the status of the answer."""
    head = {"Content-Type": "application/x-protobuf"}
    try:
        with urlopen(Request(f"{endpoint}/v1/{signal}", body, head), timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        with error:
            return error.code
