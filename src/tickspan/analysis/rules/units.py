"""Units: durations as people write them, and numbers with a unit as numbers in a metric's unit.

Units of metrics are UCUM, as OpenTelemetry has them: `s`, `By`, `1`, `%`, `{order}`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from tickspan.analysis.rules.problems import Misread, shown, written

__all__ = ["ONE", "duration_s", "example_of", "quantity", "told_duration"]

ONE: Final = "1"
"""The unit of fractions."""

_MAX_DURATION_S: Final = 3650 * 86_400.0
_MAX_TEXT: Final = 64

_SECONDS: Final[Mapping[str, float]] = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,  # micro sign
    "μs": 1e-6,  # Greek mu, as some keyboards have it
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([a-zµμ]+) ?")
_NUMBER: Final = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?) ?([%A-Za-zµμ]*)(?:/([a-z]+))?"
)


class _Scale(NamedTuple):
    """What a unit measures, and how many base units it is."""

    dimension: str
    factor: float


_TIME: Final = {name: _Scale("time", factor) for name, factor in _SECONDS.items()}
_DATA: Final = {
    f"{prefix}{byte}": _Scale("data", factor)
    for prefix, factor in (
        ("", 1.0),
        ("k", 1e3),
        ("K", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("Ki", 1024.0),
        ("Mi", 1024.0**2),
        ("Gi", 1024.0**3),
        ("Ti", 1024.0**4),
    )
    for byte in ("B", "By")
}
_FRACTION: Final = {ONE: _Scale("fraction", 1.0), "%": _Scale("fraction", 0.01)}
_SCALES: Final[Mapping[str, _Scale]] = {**_TIME, **_DATA, **_FRACTION}
_EXAMPLES: Final[Mapping[str, str]] = {"time": "'100ms'", "data": "'100MiB'", "fraction": "'90%' or 0.9"}
_PER: Final[Mapping[str, float]] = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def duration_s(raw: object) -> float:
    """Seconds of a duration like `5s`, `1h30m`, `250ms`; 0 needs no unit.

    Raises:
        Misread: it is none, or longer than ten years.
    """
    text = written(raw) or ""
    if text in {"0", "0.0"}:
        return 0.0
    seconds = _added_up(text) if len(text) <= _MAX_TEXT else None
    if seconds is None:
        raise Misread(f"expected a duration like '5s', got {shown(raw)}")
    if seconds > _MAX_DURATION_S:
        raise Misread(f"expected a duration of ten years at most, got {shown(raw)}")
    return seconds


def _added_up(text: str) -> float | None:
    seconds, position = 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != position or part[2] not in _SECONDS:
            return None
        seconds += float(part[1]) * _SECONDS[part[2]]
        position = part.end()
    return float(f"{seconds:.15g}") if position == len(text) and position else None


def told_duration(seconds: float) -> str:
    """A duration as rule files write it, the shortest way: `90s`, `5m`, `250ms`."""
    for name in ("w", "d", "h", "m", "s"):
        number = seconds / _SECONDS[name]
        if number >= 1 and number == int(number):
            return f"{int(number)}{name}"
    return f"{seconds * 1000:.10g}ms" if 0 < seconds < 1 else f"{seconds:.10g}s"


def quantity(raw: object, unit: str) -> float:
    """A number in the unit: `100ms` with unit `s` is 0.1; a number without a unit is in it already.

    A unit that ends in `/s`, `/min` or `/h` is a rate: `30/min` with unit `{order}/s` is 0.5.

    Raises:
        Misread: it is no finite number, or its unit measures something else.
    """
    text = written(raw) or ""
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise Misread(f"expected {example_of(unit)}, got {shown(raw)}")
    number, scale, per = float(match[1]), match[2], match[3]
    base, wanted = _split(unit)
    if per is not None:
        if wanted is None or per not in _PER:
            raise Misread(f"expected {example_of(unit)}, got {shown(raw)}")
        number *= _PER[wanted] / _PER[per]
    if scale:
        number *= _factor(scale, base, unit, raw)
    if not math.isfinite(number):
        raise Misread(f"expected a finite number, got {shown(raw)}")
    return float(f"{number:.15g}")  # 70 times 0.01 is 0.7


def _split(unit: str) -> tuple[str, str | None]:
    """The unit, and the time by which it is divided; None where it is no rate."""
    base, slash, per = unit.rpartition("/")
    return (base, per) if slash and per in _PER else (unit, None)


def _factor(name: str, base: str, unit: str, raw: object) -> float:
    given, wanted = _SCALES.get(name), _SCALES.get(base)
    if given is None or wanted is None or given.dimension != wanted.dimension:
        raise Misread(f"expected {example_of(unit)}, got {shown(raw)}")
    return given.factor / wanted.factor


def example_of(unit: str) -> str:
    """What a number in the unit looks like, for errors: `a number like '100ms' (unit s)`."""
    base, per = _split(unit)
    scale = _SCALES.get(base)
    if scale is None:
        return f"a number{f' (unit {unit})' if unit else ''}"
    if per is not None:
        return f"a number like '{_RATES[scale.dimension]}/{per}' (unit {unit})"
    return f"a number like {_EXAMPLES[scale.dimension]} (unit {unit})"


_RATES: Final[Mapping[str, str]] = {"time": "100ms", "data": "10MiB", "fraction": "0.5"}
