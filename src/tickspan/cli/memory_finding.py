"""What becomes of plans for the garbage collector here."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tickspan.cli.finding import Finding
from tickspan.config import MemorySettings
from tickspan.memory.governor import reason_to_decline

_SUBJECT = "memory"


def memory_findings(
    settings: MemorySettings, version: tuple[int, int, int] = sys.version_info[:3]
) -> Iterable[Finding]:
    """One finding where a plan is asked for, or where none would change anything."""
    declined, plan = reason_to_decline(version), settings.optimize.value
    if declined is not None:
        asked = f"memory.optimize={plan} changes nothing" if plan else "plans of the collector change nothing"
        yield Finding(_SUBJECT, False if plan else None, f"{asked}: {declined}")
    elif plan:
        told = f"the plan '{plan}' is applied {settings.warm_up_s:g} s after the start"
        yield Finding(_SUBJECT, is_well=True, detail=told)
