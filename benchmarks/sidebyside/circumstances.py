"""Where and when a run took place: without that, its figures say nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and when: without these a figure says nothing."""

    date: str
    machine: str
    load: float
    """Processes that wanted a core when the run began, ours not counted."""
    python: str
    opentelemetry_sdk: str
    opentelemetry_instrumentation: str
    tickspan: str

    @staticmethod
    def now() -> Circumstances:
        """This machine, before a run."""
        return Circumstances(
            datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
            os.getloadavg()[0],
            f"{platform.python_implementation()} {platform.python_version()}",
            version("opentelemetry-sdk"),
            version("opentelemetry-instrumentation"),
            version("tickspan"),
        )

    def __str__(self) -> str:
        return (
            f"{self.date}\n{self.machine}, load {self.load:.1f} before the run\n"
            f"{self.python}, OpenTelemetry SDK {self.opentelemetry_sdk}, "
            f"instrumentors {self.opentelemetry_instrumentation}, tickspan {self.tickspan}"
        )


def _processor() -> str:
    """The processor's name, as far as the system says it."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(errors="replace").splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")
