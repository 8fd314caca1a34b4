"""What became of one setting of a preset in a program that runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tickspan.config import PresetRow


class State(StrEnum):
    """Whether the value of a row holds now, and if not, why not."""

    APPLIED = "applied"
    HELD = "held"
    """It held before."""
    KEPT = "kept"
    """The program, its environment or its file says something else, and is stronger."""
    AT_START = "at start"
    """It can only be chosen when the program starts."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row, and what became of it."""

    row: PresetRow
    state: State
    detail: str = ""
    """Why it was not applied, where it was not."""

    def __str__(self) -> str:
        told = f": {self.detail}" if self.detail else ""
        return f"{self.row.key} = {self.row.value!r}  [{self.state}{told}]"
