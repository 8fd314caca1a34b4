"""The run as a person reads it, and as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from sidebyside.circumstances import Circumstances
from sidebyside.costs import Spread
from sidebyside.results import RowResult, TableResult

_LABEL: Final = 24
_RATIO: Final = 22
_LEGEND: Final = """\
µs: cost of an operation in a good round (10th percentile), for orientation only.
x: what a row adds to the row it stands over, as a multiple of what the peer, whose row says 1, adds in the
   same round: median (10th … 90th percentile) of the rounds. "again" is the noise: compare with it.
caller: CPU time of the calling thread. total: CPU time of the process until its spans are sent.
wall: time that the caller waited. spans: compared, one by one, with what arrived at the server."""


def text(tables: Sequence[TableResult]) -> str:
    """The tables, and how to read them."""
    return "\n".join(line for table in tables for line in (*_table(table), "")) + f"\n{_LEGEND}"


def verdict(tables: Sequence[TableResult]) -> str:
    """One line about delivery, after the faults if there are any."""
    faults = [fault for table in tables for fault in table.faults]
    spans = sum(row.spans for table in tables for row in table.rows)
    if faults:
        return "\n".join((*faults, f"Not all of {spans:,} spans arrived as they were recorded: see above."))
    if not spans:
        return "No contender that records spans could run."
    return f"All {spans:,} recorded spans arrived, each attribute as it was set."


def data(circumstances: Circumstances, tables: Sequence[TableResult]) -> dict[str, Any]:
    """The same as plain values; times in nanoseconds per operation."""
    return {"circumstances": asdict(circumstances), "tables": [asdict(table) for table in tables]}


def _table(result: TableResult) -> Iterator[str]:
    yield f"{result.table.title} ({', '.join((*result.libraries, f'rounds: {result.rounds}'))})"
    yield (
        f"{'':{_LABEL}}{'µs: caller':>11}{'total':>9}{'wall':>9}   "
        f"{'x caller CPU':{_RATIO}} {'x total CPU':{_RATIO}} {'x wall':{_RATIO}} spans"
    )
    for row in result.rows:
        yield _row(row, result.table.peer).rstrip()


def _row(result: RowResult, peer: str) -> str:
    label = f"{result.row.label:{_LABEL}}"
    if result.absolute is None:
        return f"{label}  missing: {result.unavailable}"
    absolute = result.absolute
    caller, total, wall = (clock.p10 / 1e3 for clock in (absolute.caller, absolute.total, absolute.wall))
    times = f"{caller:>11.2f}{total:>9.1f}{wall:>9.1f}"
    return f"{label}{times}   {_ratios(result, peer)}{_delivery(result)}{_goal(result)}"


def _ratios(result: RowResult, peer: str) -> str:
    added = result.added
    if result.row.over is None:
        cells = ("-",) * 3
    elif result.row.label == peer:
        cells = ("1",) * 3
    elif added is None:
        cells = ("no peer",) * 3
    else:
        cells = (_spread(added.caller), _spread(added.total), _spread(added.wall))
    return "".join(f"{cell:{_RATIO}} " for cell in cells)


def _spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.p10:.2f} … {spread.p90:.2f})"


def _delivery(result: RowResult) -> str:
    if result.faults:
        return f"{result.spans:,} FAULTY"
    return f"{result.spans:,}" if result.spans else "-"


def _goal(result: RowResult) -> str:
    if result.row.goal is None or result.added is None:
        return ""
    is_met = result.added.caller.median <= result.row.goal
    return f"   goal ≤ {result.row.goal:g}: {'met' if is_met else 'not met'}"
