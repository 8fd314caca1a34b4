"""What all measurements share: the server that telemetry goes to, a folder, and how long to measure."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.pipeline import processes
from benchmarks.sidebyside.lines import Launch
from tickspan.testing.otlp import OtlpServer

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run measures."""

    rounds: int
    batches: int
    """In a turn, of each operation."""
    size: int
    """Operations in a batch."""
    ticking_s: float
    """How long a thread ticks in a turn."""
    statements: int
    """New ones that are analysed beside it."""


QUICK: Final = Scale(rounds=2, batches=10, size=50, ticking_s=1.0, statements=100)
FULL: Final = Scale(rounds=10, batches=40, size=100, ticking_s=6.0, statements=1_000)


@dataclass(frozen=True, slots=True)
class Place:
    """Where turns take place."""

    server: OtlpServer
    folder: Path
    scale: Scale

    @contextmanager
    def spool(self) -> Generator[tuple[Path, dict[str, str]]]:
        """A spool with an agent of its own, and the settings of a program that uses it."""
        self.server.clear()
        folder = Path(tempfile.mkdtemp(prefix="spool-", dir=self.folder))
        try:
            yield (
                folder,
                {"TICKSPAN_SPOOL_DIR": str(folder), "OTEL_EXPORTER_OTLP_ENDPOINT": self.server.endpoint},
            )
        finally:
            processes.end_agents(folder)
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def opened(scale: Scale) -> Generator[Place]:
    """Start what is shared, and end it."""
    with tempfile.TemporaryDirectory(prefix="tickspan-bench-") as folder, OtlpServer() as server:
        yield Place(server, Path(folder), scale)


def launch(settings: Mapping[str, str] | None = None, *before: Path, python: str = sys.executable) -> Launch:
    """How a contender is started: `before` are folders that are searched before the installed packages."""
    return Launch(python, (*before, ROOT), {"PYTHONHASHSEED": "0", **(settings or {})})


def in_turns(names: Iterable[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Round and contender; nobody is always first."""
    known = tuple(names)
    for number in range(rounds):
        start = number % len(known)
        for name in (*known[start:], *known[:start]):
            yield number, name
