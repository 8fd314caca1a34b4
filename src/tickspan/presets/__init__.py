"""Presets `hft`, `risk`, `oms` and `debug`: bundles of settings, chosen at the start or applied to a program.

`tickspan run --preset hft`, `TICKSPAN_PRESET`, `preset = "hft"` in `tickspan.toml` and
`tickspan.init(preset="hft")` choose one at the start. `apply` changes a program that runs, and can be undone.
The rows stand in `tickspan.config.presets`.
"""

from tickspan.config import PRESETS, PURPOSES, PresetRow
from tickspan.presets.application import Applied, apply
from tickspan.presets.outcome import Outcome, State

__all__ = ["PRESETS", "PURPOSES", "Applied", "Outcome", "PresetRow", "State", "apply"]
