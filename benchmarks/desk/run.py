"""The desk in figures: taking in, answering at a million spans, a day within bounds, its start.

Prints Markdown. Exit status 1: something was lost; a figure that misses its target changes no status.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.desk.day import day
from benchmarks.desk.ingest import ingested
from benchmarks.desk.questions import asked
from benchmarks.desk.scale import FULL, QUICK, Place
from benchmarks.desk.start import started
from benchmarks.pipeline import program
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError

MEASUREMENTS: Final[Mapping[str, Callable[[Place, Progress], Section]]] = {
    "ingest": ingested,
    "questions": asked,
    "day": day,
    "start": started,
}
_WELL: Final = "Everything that was sent was counted and read back, byte for byte."


def main() -> int:
    """Measure, print, and say whether everything was kept."""
    options = program.options(
        __doc__, MEASUREMENTS, "to see that all works: no verdict to rely on"
    ).parse_args()
    scale = QUICK if options.quick else FULL
    circumstances, begun = Circumstances.now(), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="tickspan-bench-desk-") as folder:
            place = Place(scale, Path(folder))
            sections = [MEASUREMENTS[name](place, program.progress(name)) for name in options.only]
    except ChildError as error:
        print(f"bench-desk: {error}", file=sys.stderr)
        return 1
    print(program.report(circumstances, sections, time.monotonic() - begun, well=_WELL))
    if options.json is not None:
        program.write_data(options.json, circumstances, scale, sections)
    return 1 if any(section.faults for section in sections) else 0


if __name__ == "__main__":
    sys.exit(main())
