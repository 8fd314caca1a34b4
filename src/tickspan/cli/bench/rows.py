"""The rows of `tickspan bench`: what is asked for, what this machine shows, and what the two mean."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from tickspan.cli.bench.report import Figure, facts, tell, where, words_of_where
from tickspan.cli.queries.layout import table

__all__ = ["Row", "Standing", "Table", "exit_status", "publish_table"]

_LIBRARIES: Final = ("redis", "hiredis", "sqlalchemy", "msgspec")


class Standing(StrEnum):
    """How a figure stands to its target."""

    MET = "met"
    MISSED = "missed"
    WATCHED = "watched"
    """A rule holds programs to it while they run."""
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table.

    Attributes:
        name: for `--only`.
        figure: what is asked for and what was found; `found` says why, when nothing could be measured.
        standing: of it.
    """

    name: str
    figure: Figure
    standing: Standing

    @staticmethod
    def of(name: str, figure: Figure) -> Row:
        """What was measured."""
        return Row(name, figure, Standing.MET if figure.is_met else Standing.MISSED)

    @staticmethod
    def of_rule(name: str, figure: Figure) -> Row:
        """What a rule watches; missed when the rule does not do what its tests want."""
        return Row(name, figure, Standing.WATCHED if figure.is_met else Standing.MISSED)

    @staticmethod
    def unmeasured(name: str, what: str, target: str, reason: str) -> Row:
        """What could not be measured; `reason` says what would help."""
        return Row(name, Figure(what, target, reason, "", "", is_met=False), Standing.NOT_MEASURED)


@dataclass(frozen=True, slots=True)
class Table:
    """All rows, and how often an empty function is called a second: the interpreter's own limit."""

    rows: tuple[Row, ...]
    empty_per_second: float


def exit_status(rows: Iterable[Row]) -> int:
    """1 when something is missed, 0 when what could be measured is met, 2 when nothing could be."""
    standings = {row.standing for row in rows}
    if Standing.MISSED in standings:
        return 1
    return 0 if standings & {Standing.MET, Standing.WATCHED} else 2


def publish_table(told: Table, *, as_json: bool) -> int:
    """Print it; returns the exit status."""
    print(_json(told) if as_json else "\n".join(_lines(told)))
    return exit_status(told.rows)


def _lines(told: Table) -> Iterator[str]:
    if sys.stderr.isatty():
        tell("")
    yield words_of_where(_LIBRARIES)
    yield f"an empty Python function is called {told.empty_per_second:,.0f} times a second here"
    if _is_busy():
        yield "other programs keep the processors busy: what is missed here may be met when they do not"
    yield ""
    yield from table(("", "row", "target", "here"), [_cells(row) for row in told.rows])
    for row in told.rows:
        if row.standing is not Standing.NOT_MEASURED:
            yield ""
            yield f"{row.standing}: {row.name}: {row.figure.what}"
            yield from facts(row.figure)


def _is_busy() -> bool:
    """Whether more wanted to run in the last minute than there are processors."""
    return os.getloadavg()[0] > (os.cpu_count() or 1)


def _cells(row: Row) -> Sequence[str]:
    return (row.standing.value, row.name, row.figure.target, row.figure.found)


def _json(told: Table) -> str:
    rows = [{"name": row.name, "standing": row.standing.value, **_data(row.figure)} for row in told.rows]
    answer = {
        "where": {**where(_LIBRARIES), "empty_function_per_second": told.empty_per_second},
        "rows": rows,
        "exit_status": exit_status(told.rows),
    }
    return json.dumps(answer, indent=2)


def _data(figure: Figure) -> dict[str, object]:
    return {key: value for key, value in asdict(figure).items() if key != "is_met"}
