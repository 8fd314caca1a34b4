"""Memory, profiler and logs in figures, beside their peers.

Prints Markdown. Exit status 1: something was lost, or attributed to the wrong span; a figure that misses its
target changes no status.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.pipeline import program
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section
from benchmarks.runtime import (
    detection,
    functions,
    garbage,
    links,
    log_calls,
    log_search,
    samplers,
    watching,
)
from benchmarks.runtime.place import FULL, QUICK, Place, opened

MEASUREMENTS: Final[Mapping[str, Callable[[Place, Progress], Section]]] = {
    "log-calls": log_calls.called,
    "log-search": log_search.searched,
    "samplers": samplers.sampled,
    "links": links.linked,
    "functions": functions.profiled,
    "garbage": garbage.collected,
    "watching": watching.watched,
    "detection": detection.detected,
}
_WELL: Final = "All records were read back, and no sample was attributed to a wrong span."


if __name__ == "__main__":
    sys.exit(
        program.main(
            "bench-runtime",
            __doc__,
            MEASUREMENTS,
            opened,
            quick=QUICK,
            full=FULL,
            peers=lambda place: place.peers.versions(),
            well=_WELL,
        )
    )
