"""The hot modules of this package in the form that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickspan.profiler import snapshot, tally
else:
    from tickspan_spool.twins import hot

    snapshot = hot("tickspan", "profiler.snapshot")
    tally = hot("tickspan", "profiler.tally")

__all__ = ["snapshot", "tally"]
