"""Where turns take place: the server that telemetry goes to, a folder for spools, and how long to measure."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from benchmarks.pipeline import processes
from benchmarks.sidebyside.lines import Launch
from tickspan.testing.otlp import OtlpServer

ROOT: Final = Path(__file__).resolve().parents[2]

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Ground(Generic[S]):
    """What all measurements of a run share; `scale` says how long they measure."""

    server: OtlpServer
    folder: Path
    scale: S

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
def opened(scale: S) -> Generator[Ground[S]]:
    """Start what is shared, and end it."""
    with tempfile.TemporaryDirectory(prefix="tickspan-bench-") as folder, OtlpServer() as server:
        yield Ground(server, Path(folder), scale)


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
