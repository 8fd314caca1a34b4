"""A table is run: its contenders are started, take turns in every round, and are checked after each turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from sidebyside.contender import expected_of
from sidebyside.costs import Cost
from sidebyside.lines import BENCHMARKS, Child, Launch
from sidebyside.results import TableResult, Tally, result_of
from sidebyside.stories import Expected, faults
from sidebyside.tables import Table

_LEAST_ROUNDS: Final = 3


class Asked(Protocol):
    """A child that answers."""

    def ask(self, question: Any) -> Any:
        """Its answer."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """What all contenders of a run share."""

    sink: Asked
    endpoint: str
    servers: dict[str, str]
    """Address of each server that runs, by name."""
    generations: Path
    """Folder of the overlays."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a table may go on."""

    rounds: int
    until: float
    """By `time.monotonic`; a few rounds take place all the same."""

    def numbers(self) -> Iterator[int]:
        """0, which is not timed, then the numbers of the rounds."""
        for number in range(self.rounds + 1):
            if number > _LEAST_ROUNDS and time.monotonic() > self.until:
                return
            yield number


def run_table(table: Table, budget: Budget, place: Place, after_round: Callable[[], None]) -> TableResult:
    """All rows of a table, in every round and once before the first to warm up.

    Raises:
        ChildError: a contender has ended before its time.
    """
    tallies = [Tally(row, []) for row in table.rows]
    if table.server and table.server not in place.servers:
        for tally in tallies:
            tally.unavailable = f"{table.server}-server is not on PATH"
        return result_of(table, (), tallies)
    with ExitStack() as stack:
        children = [stack.enter_context(_started(table, tally, place)) for tally in tallies]
        hellos = [child.hello() for child in children]
        place.sink.ask(0)  # what preparing and closing has told is no part of any turn
        for tally, said in zip(tallies, hellos, strict=True):
            tally.unavailable = said.get("unavailable")
        running = [
            _Turns(child, tally, expected_of(said))
            for child, tally, said in zip(children, tallies, hellos, strict=True)
            if tally.unavailable is None
        ]
        for number in budget.numbers():
            start = number % len(running)  # nobody is always first
            for turns in (*running[start:], *running[:start]):
                turns.take(table.operations, place.sink, is_timed=number > 0)
            after_round()
    libraries = {str(said["library"]) for said in hellos if said.get("library")}
    return result_of(table, tuple(sorted(libraries)), tallies)


def _started(table: Table, tally: Tally, place: Place) -> Child:
    row = tally.row
    overlay = place.generations / table.overlay
    return Child(
        "sidebyside.contender",
        f"{table.name}: {row.label}",
        row.workload,
        row.kind,
        place.endpoint,
        place.servers.get(table.server, ""),
        launch=Launch(path=(overlay, BENCHMARKS) if table.overlay and overlay.is_dir() else (BENCHMARKS,)),
    )


@dataclass(frozen=True, slots=True)
class _Turns:
    """One contender that takes turns."""

    child: Child
    tally: Tally
    expected: tuple[Expected, ...]

    def take(self, operations: int, sink: Asked, *, is_timed: bool) -> None:
        """A turn, and the comparison of what it recorded with what has arrived."""
        said = self.child.ask(operations)
        recorded = said["spans"]
        received = sink.ask(max(len(recorded), operations * len(self.expected)))
        self.tally.spans += len(recorded)
        self.tally.faults = self.tally.faults or tuple(faults(recorded, received, self.expected, operations))
        if is_timed:
            self.tally.rounds.append(Cost(**said["cost"]))
