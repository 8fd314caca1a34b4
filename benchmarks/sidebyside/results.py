"""What a run has found out, as values."""

from __future__ import annotations

from dataclasses import dataclass

from sidebyside.costs import Comparison, Cost, Spread, compared
from sidebyside.tables import Row, Table


@dataclass(frozen=True, slots=True)
class Absolute:
    """Nanoseconds per operation: to see the order of magnitude. Other runs, other figures."""

    caller: Spread
    total: Spread
    wall: Spread

    @staticmethod
    def of(rounds: list[Cost]) -> Absolute:
        """The spread of at least one round."""
        return Absolute(
            Spread.of([cost.caller for cost in rounds]),
            Spread.of([cost.total for cost in rounds]),
            Spread.of([cost.wall for cost in rounds]),
        )


@dataclass(frozen=True, slots=True)
class RowResult:
    """A contender, afterwards."""

    row: Row
    unavailable: str | None
    """Why it did not run."""
    absolute: Absolute | None
    added: Comparison | None
    """What it adds to the row it stands over, as multiples of what the peer adds to its own."""
    spans: int
    """Compared with what arrived, one by one."""
    faults: tuple[str, ...]
    """What was wrong with them."""


@dataclass(frozen=True, slots=True)
class TableResult:
    """A table, afterwards."""

    table: Table
    libraries: tuple[str, ...]
    rounds: int
    """That were timed."""
    rows: tuple[RowResult, ...]

    @property
    def faults(self) -> list[str]:
        """All faults, with their contenders."""
        return [
            f"{self.table.name}, {each.row.label}: {fault}" for each in self.rows for fault in each.faults
        ]


@dataclass(slots=True)
class Tally:
    """What one contender's turns add up to; `rounds` holds the timed ones."""

    row: Row
    rounds: list[Cost]
    spans: int = 0
    faults: tuple[str, ...] = ()
    unavailable: str | None = None


def result_of(table: Table, libraries: tuple[str, ...], tallies: list[Tally]) -> TableResult:
    """The table, from the tallies of its rows."""
    by_label = {tally.row.label: tally for tally in tallies}
    rounds = max(len(tally.rounds) for tally in tallies)
    rows = tuple(_row(tally, by_label, table.peer) for tally in tallies)
    return TableResult(table, libraries, rounds, rows)


def _row(tally: Tally, by_label: dict[str, Tally], peer: str) -> RowResult:
    return RowResult(
        tally.row,
        tally.unavailable,
        Absolute.of(tally.rounds) if tally.rounds else None,
        _added(tally, by_label, by_label[peer]),
        tally.spans,
        tally.faults,
    )


def _added(tally: Tally, by_label: dict[str, Tally], peer: Tally) -> Comparison | None:
    if tally.row.over is None or peer.row.over is None:
        return None
    over, peer_over = by_label[tally.row.over], by_label[peer.row.over]
    if not (tally.rounds and peer.rounds and over.rounds):
        return None
    return compared(tally.rounds, over.rounds, peer.rounds, peer_over.rounds)
