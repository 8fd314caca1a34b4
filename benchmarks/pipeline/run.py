"""The pipeline beside its peers: caller cost, total CPU, tails, delivery, metrics, logs, exit, start-up.

Prints Markdown. Exit status 1: something that tickspan recorded did not arrive as it was recorded; a figure
that misses its target changes no status.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline import (
    delivery,
    exits,
    metering,
    peers,
    place,
    plot,
    program,
    records,
    starts,
    tails,
)
from benchmarks.pipeline.scale import FULL, QUICK, Scale
from benchmarks.pipeline.sections import Section
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError

Measurement = Callable[[place.Place, Scale, Callable[[str], None]], Section]

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "caller": records.spans,
    "tail": tails.tails,
    "delivery": delivery.delivery,
    "metrics": metering.metrics,
    "logs": records.logs,
    "exit": exits.exits,
    "startup": starts.starts,
}


def main() -> int:
    """Measure, print, and say whether all that we recorded arrived."""
    asked = _arguments()
    scale = QUICK if asked.quick else FULL
    environment = peers.ready()
    circumstances = Circumstances.now()
    begun = time.monotonic()
    try:
        with place.opened(environment) as there:
            sections = [MEASUREMENTS[name](there, scale, program.progress(name)) for name in asked.only]
    except ChildError as error:
        print(f"bench-pipeline: {error}", file=sys.stderr)
        return 1
    versions = environment.versions()
    print(program.report(circumstances, sections, time.monotonic() - begun, peers=versions))
    if asked.json is not None:
        program.write_data(asked.json, circumstances, scale, sections, peers=versions)
    if asked.plot is not None:
        bars = {figure: values for section in sections for figure, values in section.bars.items() if values}
        asked.plot.write_text(
            plot.svg(bars, f"{circumstances.date}, {circumstances.machine}"), encoding="utf-8"
        )
    return 1 if any(section.faults for section in sections) else 0


def _arguments() -> argparse.Namespace:
    quick = "two minutes instead of twelve: no verdict to rely on"
    parser = program.options(__doc__, MEASUREMENTS, quick)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the ratios as an SVG, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
