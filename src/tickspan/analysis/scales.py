"""Numbers in UCUM units as people read them: `1.5 MiB`, `20 ms`, `85 %`."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["shown"]

_BYTES: Final = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_SECONDS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_IN_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3_600.0}
_LONG_S: Final = 180.0
"""Below which times stay in seconds, so that 100 s is no 1.67 min."""


def shown(value: float, unit: str) -> str:
    """The number with its unit; what is in braces is left out, a share is told in percent."""
    if not math.isfinite(value):
        return "-"
    if unit in _IN_SECONDS:
        return _time(value * _IN_SECONDS[unit])
    if unit == "By":
        return _scaled(value, _BYTES, "B")
    if unit == "1":
        return f"{_rounded(value * 100)} %"
    plain = unit.startswith("{") or not unit
    return _rounded(value) if plain else f"{_rounded(value)} {unit}"


def _time(seconds: float) -> str:
    if abs(seconds) < 1e-6:  # noqa: PLR2004 - a microsecond
        return f"{_rounded(seconds * 1e9)} ns" if seconds else "0 s"
    scales = _SECONDS if abs(seconds) >= _LONG_S else _SECONDS[3:]
    return _scaled(seconds, scales, "s")


def _scaled(value: float, scales: tuple[tuple[float, str], ...], least: str) -> str:
    for size, name in scales:
        if abs(value) >= size:
            return f"{_rounded(value / size)} {name}"
    return f"{_rounded(value)} {least}"


def _rounded(value: float) -> str:
    """Three digits, or all of a whole number."""
    if value == int(value) or abs(value) >= 1_000:  # noqa: PLR2004 - no fractions of thousands
        return f"{value:,.0f}"
    return f"{value:.3g}"
