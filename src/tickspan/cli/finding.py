"""One line of what `tickspan doctor` tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A subject, and what was found of it. `is_well` is None where there is nothing to be well or ill."""

    subject: str
    is_well: bool | None
    detail: str
