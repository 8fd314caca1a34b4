"""Data access in figures: cache, tiers, stampedes, Redis, outages, pools, lazy rows, beside their peers.

Prints Markdown. Exit status 1: something came back wrongly; a figure that misses its target changes no
status.
"""

from __future__ import annotations

import sys
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


if __name__ == "__main__":
    sys.exit(
        program.main(
            "bench-data",
            __doc__,
            MEASUREMENTS,
            opened,
            quick=QUICK,
            full=FULL,
            peers=lambda place: place.peers.versions(),
            well=_WELL,
        )
    )
