"""Durations as options take them: `50ms`, `90s`, `15m`, `1h`, `7d`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["duration_s"]

_UNITS_S: Final[Mapping[str, float]] = {"ms": 1e-3, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


def duration_s(text: str) -> float:
    """Seconds, for `type=`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"expected a duration such as 90s, 15m, 1h or 7d, got '{text}'")
    return float(found[1]) * _UNITS_S[found[2]]
