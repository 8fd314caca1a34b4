"""Queries in figures: what a statement costs its application, what analysis disturbs, what advice gives.

Prints Markdown. Exit status 1: something is missing or was told wrongly; a figure that misses its target
changes no status.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline import program
from benchmarks.pipeline.ground import opened
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section
from benchmarks.queries import advice, hotpath, stalls
from benchmarks.queries.place import FULL, QUICK, Place

MEASUREMENTS: Final[Mapping[str, Callable[[Place, Progress], Section]]] = {
    "hotpath": hotpath.texts,
    "sqlalchemy": hotpath.statements,
    "stall": stalls.stalls,
    "advice": advice.advised,
}


if __name__ == "__main__":
    sys.exit(program.main("bench-queries", __doc__, MEASUREMENTS, opened, quick=QUICK, full=FULL))
