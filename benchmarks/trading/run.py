"""The trading part in figures: ticks, orders, memory, alarms, matching, back-tests, what goes over the wire.

Prints Markdown. Exit status 1: something is missing or was told wrongly; a figure that misses its target
changes no status.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline import program
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError
from benchmarks.trading import alarms, backtests, matching, memory, orders, profiles, ticks, wire
from benchmarks.trading.place import FULL, QUICK, Place, opened

Measurement = Callable[[Place, Progress], Section]

MEASUREMENTS: Final[Mapping[str, Measurement]] = {
    "ticks": ticks.tick_path,
    "orders": orders.order_lives,
    "memory": memory.full_registry,
    "alarms": alarms.alarms,
    "matching": matching.schedules,
    "backtest": backtests.backtests,
    "wire": wire.wire,
    "profile": profiles.where_time_goes,
}


def main() -> int:
    """Measure, print, and say whether everything is there."""
    asked = _arguments()
    scale = QUICK if asked.quick else FULL
    if asked.schedules is not None:
        scale = replace(scale, schedules=asked.schedules)
    circumstances, begun = Circumstances.now(), time.monotonic()
    try:
        with opened(scale) as place:
            sections = [MEASUREMENTS[name](place, program.progress(name)) for name in asked.only]
    except ChildError as error:
        print(f"bench-trading: {error}", file=sys.stderr)
        return 1
    print(program.report(circumstances, sections, time.monotonic() - begun))
    if asked.json is not None:
        program.write_data(asked.json, circumstances, scale, sections)
    return 1 if any(section.faults for section in sections) else 0


def _arguments() -> argparse.Namespace:
    parser = program.options(__doc__, MEASUREMENTS, "to see that all works: no verdict to rely on")
    parser.add_argument("--schedules", type=int, metavar="N", help="random schedules of each library")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
