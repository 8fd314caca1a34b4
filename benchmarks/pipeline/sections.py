"""Sections of a report as values: tables, targets that are met or not, and the rounds behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sidebyside.costs import Spread


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first column names the contender."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach, and what was found."""

    what: str
    contender: str
    wanted: str
    found: str
    is_met: bool | None
    """None: nothing could be found out."""


@dataclass(frozen=True, slots=True)
class Section:
    """One measurement."""

    name: str
    tables: tuple[Table, ...]
    targets: tuple[Target, ...] = ()
    faults: tuple[str, ...] = ()
    """What did not arrive, or not as it was recorded, of contenders that promise delivery."""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """All rounds, for `--json`."""
    bars: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    """What a plot shows: figure, contender, multiple of the stock SDK's."""


def at_most(
    what: str, contender: str, spread: Spread | None, limit: float, goal: float | None = None
) -> Target:
    """A target for the median of a ratio."""
    wanted = f"≤ {limit:g}x" + (f" (goal {goal:g}x)" if goal is not None else "")
    if spread is None:
        return Target(what, contender, wanted, "not measured", None)
    return Target(what, contender, wanted, multiple(spread), spread.median <= limit)


def at_least(what: str, contender: str, spread: Spread | None, limit: float) -> Target:
    """A target for the median of a ratio that should be large."""
    wanted = f"≥ {limit:g}x"
    if spread is None:
        return Target(what, contender, wanted, "not measured", None)
    return Target(what, contender, wanted, multiple(spread), spread.median >= limit)


def multiple(spread: Spread | None) -> str:
    """A ratio for people: median, and the 10th to 90th percentile of the rounds."""
    if spread is None:
        return "-"
    return f"{spread.median:.3f}x ({spread.p10:.3f} … {spread.p90:.3f})"


def markdown(section: Section) -> str:
    """Title, table and note of each table of a section."""
    return "\n\n".join(
        part for table in section.tables for part in (f"### {table.title}", _table(table), table.note) if part
    )


def targets_markdown(sections: Sequence[Section]) -> str:
    """All targets in one table."""
    rows = tuple(
        (target.what, target.contender, target.wanted, target.found, _verdict(target.is_met))
        for section in sections
        for target in section.targets
    )
    return _table(Table("", ("figure", "contender", "wanted", "found", "verdict"), rows))


def _verdict(is_met: bool | None) -> str:
    return "-" if is_met is None else "met" if is_met else "**not met**"


def _table(table: Table) -> str:
    lines = (table.columns, tuple("---" for _ in table.columns), *table.rows)
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
