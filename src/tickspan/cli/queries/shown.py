"""What the actions show: statements with their use, and findings, from whichever source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tickspan.analysis.findings import Finding

__all__ = ["FoundItem", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One statement.

    Attributes:
        service: `service.name`, "" where a server tells of all its clients.
        database: system and namespace.
        fingerprint: of the statement.
        summary: of the statement.
        text: canonical.
        calls: how often it ran.
        errors: how often it failed.
        rows: that it handed out, or changed.
        time_s: in all.
        p50_s: half of its calls took less; the mean where a server tells only that.
        p95_s: 95 % of its calls took less; None where that is not known.
    """

    service: str
    database: str
    fingerprint: str
    summary: str
    text: str
    calls: int
    errors: int
    rows: int
    time_s: float
    p50_s: float
    p95_s: float | None


@dataclass(frozen=True, slots=True)
class FoundItem:
    """A finding to show.

    Attributes:
        finding: what was found.
        place: in the program or in a file, "" when it is not known.
        count: how often it was seen.
        time_lost_s: of all times, 0 when it is not known.
        text: canonical text of the statement, "" when it is not known.
        data: everything, as JSON has it.
    """

    finding: Finding
    place: str
    count: int
    time_lost_s: float
    text: str
    data: Mapping[str, Any]
