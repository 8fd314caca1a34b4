"""Memory, profiler and logs in figures, beside their peers.

Prints Markdown. Exit status 1: something was lost, or attributed to the wrong span; a figure that misses its
target changes no status.
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
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError

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


def main() -> int:
    """Measure, print, and say whether everything is there."""
    asked = program.options(
        __doc__, MEASUREMENTS, "to see that all works: no verdict to rely on"
    ).parse_args()
    scale = QUICK if asked.quick else FULL
    circumstances, begun = Circumstances.now(), time.monotonic()
    try:
        with opened(scale) as place:
            sections = [MEASUREMENTS[name](place, program.progress(name)) for name in asked.only]
            versions = place.peers.versions()
    except ChildError as error:
        print(f"bench-runtime: {error}", file=sys.stderr)
        return 1
    said = "Peers: " + ", ".join(f"{name} {version}" for name, version in versions.items())
    print(program.report(circumstances, sections, time.monotonic() - begun, peers=said, well=_WELL))
    if asked.json is not None:
        program.write_data(asked.json, circumstances, scale, sections, peers=versions)
    return 1 if any(section.faults for section in sections) else 0


if __name__ == "__main__":
    sys.exit(main())
