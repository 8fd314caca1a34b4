"""Metrics and alerts in figures: collections, samplers, rules, and how soon a breach is told.

Prints Markdown. Exit status 1: something is missing or was told wrongly; a figure that misses its target
changes no status.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.metrics import breaches, collecting, evaluating, sampling
from benchmarks.metrics.place import FULL, QUICK, Place
from benchmarks.pipeline import program
from benchmarks.pipeline.ground import opened
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section

MEASUREMENTS: Final[Mapping[str, Callable[[Place, Progress], Section]]] = {
    "collection": collecting.collected,
    "samplers": sampling.sampled,
    "rules": evaluating.evaluated,
    "breaches": breaches.breached,
}


if __name__ == "__main__":
    sys.exit(program.main("bench-metrics", __doc__, MEASUREMENTS, opened, quick=QUICK, full=FULL))
