"""The desk in figures: taking in, answering at a million spans, a day within bounds, its start.

Prints Markdown. Exit status 1: something was lost; a figure that misses its target changes no status.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.desk.day import day
from benchmarks.desk.ingest import ingested
from benchmarks.desk.questions import asked
from benchmarks.desk.scale import FULL, QUICK, Place, opened
from benchmarks.desk.start import started
from benchmarks.pipeline import program
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section

MEASUREMENTS: Final[Mapping[str, Callable[[Place, Progress], Section]]] = {
    "ingest": ingested,
    "questions": asked,
    "day": day,
    "start": started,
}
_WELL: Final = "Everything that was sent was counted and read back, byte for byte."


if __name__ == "__main__":
    sys.exit(program.main("bench-desk", __doc__, MEASUREMENTS, opened, quick=QUICK, full=FULL, well=_WELL))
