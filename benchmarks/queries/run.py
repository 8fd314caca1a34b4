"""Queries in figures: what a statement costs its application, what analysis disturbs, what advice gives.

Prints Markdown. Exit status 1: something is missing or was told wrongly; a figure that misses its target
changes no status.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline import program
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section
from benchmarks.queries import advice, hotpath, stalls
from benchmarks.queries.place import FULL, QUICK, Place, opened
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError

Measurement = Callable[[Place, Progress], Section]

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "hotpath": hotpath.texts,
    "sqlalchemy": hotpath.statements,
    "stall": stalls.stalls,
    "advice": advice.advised,
}


def main() -> int:
    """Measure, print, and say whether everything is there."""
    quick = "to see that all works: no verdict to rely on"
    asked = program.options(__doc__, MEASUREMENTS, quick).parse_args()
    scale = QUICK if asked.quick else FULL
    circumstances, begun = Circumstances.now(), time.monotonic()
    try:
        with opened(scale) as place:
            sections = [MEASUREMENTS[name](place, program.progress(name)) for name in asked.only]
    except ChildError as error:
        print(f"bench-queries: {error}", file=sys.stderr)
        return 1
    print(program.report(circumstances, sections, time.monotonic() - begun))
    if asked.json is not None:
        program.write_data(asked.json, circumstances, scale, sections)
    return 1 if any(section.faults for section in sections) else 0


if __name__ == "__main__":
    sys.exit(main())
