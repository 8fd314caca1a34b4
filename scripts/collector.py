"""Collector: an OpenTelemetry Collector that runs for one test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tickspan.received import Telemetry, read_json_lines

from .servers import Server, free_port, running

CONFIGURATIONS = Path(__file__).resolve().parent.parent / "collector-config"

_READY = "Everything is ready."
_POLL_S = 0.05
_PORTS = ("HTTP", "GRPC", "SHARD", "HEALTH", "METRICS")


@dataclass(frozen=True, slots=True)
class Collector:
    """A running collector.

    Attributes:
        server: its log and pid; the URL is that of its OTLP/HTTP receiver.
        grpc_endpoint: of its OTLP/gRPC receiver.
        output: the file that it writes to, when its configuration has a `file` exporter.
    """

    server: Server
    grpc_endpoint: str
    output: Path

    @property
    def endpoint(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return self.server.url

    def wait_for(self, predicate: Callable[[Telemetry], bool], timeout_s: float = 20.0) -> Telemetry:
        """What its file holds as soon as `predicate` holds of it.

        Raises:
            TimeoutError: with what came, and the end of the collector's log.
        """
        deadline = time.monotonic() + timeout_s
        while not predicate(telemetry := read_json_lines(self.output)):
            if time.monotonic() > deadline:
                raise TimeoutError(self._describe(telemetry, timeout_s))
            time.sleep(_POLL_S)
        return telemetry

    def _describe(self, telemetry: Telemetry, timeout_s: float) -> str:
        counts = f"{len(telemetry.spans)} spans, {len(telemetry.metrics)} metrics, {len(telemetry.logs)} logs"
        return f"after {timeout_s:g} s the collector wrote {counts}\n{self.server.log_tail()}"


@contextmanager
def running_collector(
    executable: Path,
    configuration: Path | Sequence[Path],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    gates: str = "",
) -> Generator[Collector]:
    """Start a collector and wait until it says that everything is ready.

    Args:
        executable: the collector.
        configuration: its file, or several that are merged; ports, storage and output are given by
            `TICKSPAN_COLLECTOR_*` variables.
        folder: for its log, storage and output; a second start with it goes on where the first ended.
        environment: further variables, or others than these.
        gates: features to switch on, separated by commas.

    Raises:
        ServerError: it did not become ready; with the end of its log.
    """
    settings = {
        **os.environ,
        **{f"TICKSPAN_COLLECTOR_{name}_PORT": str(free_port()) for name in _PORTS},
        "TICKSPAN_COLLECTOR_STORAGE": str(folder / "storage"),
        "TICKSPAN_COLLECTOR_OUTPUT": str(folder / "otlp.jsonl"),
        **(environment or {}),
    }
    log = folder / "collector.log"
    files = [configuration] if isinstance(configuration, Path) else configuration
    command = [executable, *(part for file in files for part in ("--config", file))]
    command += ["--feature-gates", gates] if gates else []
    with running(command, log=log, is_ready=lambda: _READY in _whole(log), environment=settings) as process:
        server = Server(f"http://127.0.0.1:{settings['TICKSPAN_COLLECTOR_HTTP_PORT']}", log, process.pid)
        grpc_endpoint = f"http://127.0.0.1:{settings['TICKSPAN_COLLECTOR_GRPC_PORT']}"
        yield Collector(server, grpc_endpoint, folder / "otlp.jsonl")


def _whole(log: Path) -> str:
    """All of a log: some components say more than its tail holds as soon as they are ready."""
    return log.read_text(errors="replace") if log.exists() else ""
