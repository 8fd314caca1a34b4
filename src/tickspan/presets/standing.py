"""The settings that this process runs with: those of its distribution, else those that it would read."""

from __future__ import annotations

import os

from tickspan.config import Reading, read_settings

__all__ = ["noted", "reading_used", "use_reading"]

_reading: Reading | None = None


def use_reading(reading: Reading | None) -> None:
    """Let presets go by these settings from now on; None: by what the process would read."""
    global _reading
    _reading = reading


def noted() -> Reading | None:
    """What `use_reading` was given last."""
    return _reading


def reading_used() -> Reading:
    """The settings in force, with the origin of each."""
    return _reading or read_settings(environ=os.environ)
