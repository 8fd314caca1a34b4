"""The handover: where the processes of a spool have their rule file, for the agent that serves them.

An agent has its processes' environment, and neither their working folder nor what they set in code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tickspan.alerts.checkpoint import write_atomically
from tickspan.config import AlertSettings

__all__ = ["FILE", "hand_over", "handed_over"]

FILE: Final = "alerts-rules.json"


def hand_over(folder: Path, rules: Path, settings: AlertSettings) -> None:
    """Say it; the last process that did counts. Raises OSError."""
    told = {
        "file": str(rules.absolute()),
        "tiers": list(settings.tiers),
        "thresholds": list(settings.thresholds),
    }
    if _read(folder) != told:
        write_atomically(folder / FILE, told)


def handed_over(folder: Path) -> AlertSettings | None:
    """What was said last; None where nobody did, or it cannot be read."""
    told = _read(folder)
    try:
        return AlertSettings(
            file=str(told["file"]),
            tiers=tuple(map(str, told["tiers"])),
            thresholds=tuple(map(str, told["thresholds"])),
        )
    except (KeyError, TypeError):
        return None


def _read(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
