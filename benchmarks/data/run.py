"""Data access in figures: cache, tiers, stampedes, Redis, outages, pools, lazy rows, beside their peers.

Prints Markdown. Exit status 1: something came back wrongly; a figure that misses its target changes no
status.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.data import (
    hit_ratios,
    hits,
    lazily,
    mission,
    mux,
    near,
    outage,
    pools,
    redis_client,
    stampede,
    tiers,
)
from benchmarks.data.place import FULL, QUICK, Place, opened
from benchmarks.pipeline import program
from benchmarks.pipeline.race import Progress
from benchmarks.pipeline.sections import Section
from benchmarks.sidebyside.circumstances import Circumstances
from benchmarks.sidebyside.lines import ChildError

MEASUREMENTS: Final[Mapping[str, Callable[[Place, Progress], Section]]] = {
    "hits": hits.hits,
    "ratios": hit_ratios.replayed,
    "tiers": tiers.tiers,
    "stampede": stampede.stampedes,
    "mux": mux.asked,
    "near": near.neighbours,
    "outage": outage.outages,
    "pools": pools.checkouts,
    "lazily": lazily.walks,
    "redis-client": redis_client.told,
    "mission": mission.figures,
}
_WELL: Final = "All values that came back were compared, and are those that were stored."


def main() -> int:
    """Measure, print, and say whether all values came back as they were."""
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
        print(f"bench-data: {error}", file=sys.stderr)
        return 1
    said = "Peers: " + ", ".join(f"{name} {version}" for name, version in versions.items())
    print(program.report(circumstances, sections, time.monotonic() - begun, peers=said, well=_WELL))
    if asked.json is not None:
        program.write_data(asked.json, circumstances, scale, sections, peers=versions)
    return 1 if any(section.faults for section in sections) else 0


if __name__ == "__main__":
    sys.exit(main())
