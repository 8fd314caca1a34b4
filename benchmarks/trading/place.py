"""What all measurements share: nursery, server that telemetry goes to, folder, and how long to measure."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.pipeline import processes
from benchmarks.sidebyside.lines import Launch
from benchmarks.trading.nursery import Nursery, nursery
from tickspan.received import ReceivedMetric, ReceivedPoint
from tickspan.testing.otlp import OtlpServer

ROOT: Final = Path(__file__).resolve().parents[2]
PURE: Final = {"TICKSPAN_PURE": "1"}
ARRIVAL_S: Final = 15.0
_LAUNCH: Final = Launch(sys.executable, (ROOT,), {"PYTHONHASHSEED": "0"})


@dataclass(frozen=True, slots=True)
class Scale:
    """How long a run measures."""

    rounds: int
    batches: int
    """Of 100 messages each, for every kind, in a turn of the tick path."""
    orders: int
    """Whose lives are told in a turn."""
    held: int
    """Orders in a full registry."""
    alarms: int
    """Of each kind."""
    schedules: int
    """Of each client library."""
    quotes: int
    backtest_rounds: int


QUICK: Final = Scale(2, 15, 200, 2_000, 1, 2, 5_000, 3)
FULL: Final = Scale(8, 40, 1_000, 20_000, 10, 20, 20_000, 15)


@dataclass(frozen=True, slots=True)
class Place:
    """Where turns take place."""

    nursery: Nursery
    server: OtlpServer
    folder: Path
    scale: Scale

    @contextmanager
    def spool(self) -> Generator[dict[str, str]]:
        """Settings of a program whose telemetry comes here, with a spool and an agent of its own."""
        self.server.clear()
        folder = Path(tempfile.mkdtemp(prefix="spool-", dir=self.folder))
        try:
            yield {"TICKSPAN_SPOOL_DIR": str(folder), "OTEL_EXPORTER_OTLP_ENDPOINT": self.server.endpoint}
        finally:
            processes.end_agents(folder)
            shutil.rmtree(folder, ignore_errors=True)

    def arrived(self, holds: Callable[[OtlpServer], bool]) -> bool:
        """Whether it holds, sooner or later, of what has come."""
        try:
            self.server.wait_for(holds, ARRIVAL_S)
        except TimeoutError:
            return False
        return True


@contextmanager
def crew(size: int) -> Generator[list[Nursery]]:
    """Some more nurseries, for turns that wait most of the time and measure no cost."""
    with ExitStack() as stack:
        children = [stack.enter_context(nursery(_LAUNCH)) for _ in range(size)]
        for child in children:
            child.hello()
        yield [Nursery(child) for child in children]


@contextmanager
def opened(scale: Scale) -> Generator[Place]:
    """Start what is shared, and end it."""
    with (
        tempfile.TemporaryDirectory(prefix="tickspan-bench-") as folder,
        OtlpServer() as server,
        nursery(_LAUNCH) as child,
    ):
        child.hello()
        yield Place(Nursery(child), server, Path(folder), scale)


def in_turns(names: Iterable[str], rounds: int) -> Iterator[tuple[int, str]]:
    """Round and contender; nobody is always first."""
    known = tuple(names)
    for number in range(rounds):
        start = number % len(known)
        for name in (*known[start:], *known[:start]):
            yield number, name


def totals(metrics: Iterable[ReceivedMetric], name: str, **having: str) -> float:
    """What a counter, or the count of a distribution, adds up to over all that came.

    `having` are attributes, `__` in their names for a dot. Of cumulative series the last point counts.
    """
    wanted = {key.replace("__", "."): value for key, value in having.items()}
    last: dict[tuple[tuple[str, Any], ...], float] = {}
    for metric in metrics:
        if metric.name != name:
            continue
        for point in metric.points:
            if not wanted.items() <= dict(point.attributes).items():
                continue
            key = tuple(sorted(point.attributes.items()))
            amount = _amount(point)
            last[key] = amount if metric.temporality == "cumulative" else last.get(key, 0) + amount
    return sum(last.values())


def _amount(point: ReceivedPoint) -> float:
    return point.value if point.value is not None else point.count


def missing(found: Mapping[str, float], wanted: Mapping[str, float]) -> list[str]:
    """Where what came is not what was done, in words."""
    return [
        f"{name}: {found.get(name, 0):,.0f} came of {count:,.0f}"
        for name, count in wanted.items()
        if found.get(name, 0) != count
    ]
