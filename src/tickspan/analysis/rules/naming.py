"""The Prometheus name: how OpenTelemetry's metrics and attributes are called there.

The convention is "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification 1.38. The
letter of it is module `github.com/prometheus/otlptranslator` 1.0 (strategy UnderscoreEscapingWithSuffixes),
which Prometheus's OTLP receiver and the collector's Prometheus exporters share. Its units are repeated
here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tickspan.analysis.rules.readings import PointKind

__all__ = ["prometheus_label", "prometheus_name"]

_WORDS: Final = re.compile(r"[a-zA-Z0-9:]+")
_FORBIDDEN_IN_UNIT: Final = re.compile(r"[^a-zA-Z0-9:]+")
_FORBIDDEN_IN_LABEL: Final = re.compile(r"[^a-zA-Z0-9]+")
_RESERVED: Final = re.compile(r"__(.*)__", re.DOTALL)

_UNITS: Final[Mapping[str, str]] = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER_UNITS: Final[Mapping[str, str]] = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}


def prometheus_label(name: str) -> str:
    """The label of an attribute: runs of other characters than letters and digits become one underscore.

    `trading.venue.name` becomes `trading_venue_name`, `3d.engine` `key_3d_engine`; `__name__` stays as it is.
    Raises `ValueError` where nothing but underscores is left.
    """
    reserved = _RESERVED.fullmatch(name)
    label = _FORBIDDEN_IN_LABEL.sub("_", reserved[1] if reserved else name)
    if reserved:
        label = f"__{label}__"
    if not label.strip("_"):
        raise ValueError(f"expected an attribute name with a letter or digit, got '{name}'")
    return f"key_{label}" if label[0].isdigit() else label


def prometheus_name(metric: str, unit: str, kind: PointKind, *, is_sum: bool = False) -> str:
    """The name of a metric; a classic histogram's series have `_bucket`, `_count` and `_sum` behind it.

    Args:
        metric: its OpenTelemetry name.
        unit: UCUM, such as `s`, `By/s`, `{order}`, `1`.
        kind: of its points.
        is_sum: a gauge that is an up-down counter: it never gets `_ratio`.

    Raises:
        ValueError: if no letter or digit is left.
    """
    words = _WORDS.findall(metric)
    main, per = (word if word not in words else "" for word in _unit_words(unit))
    words += [word for word in (main.removesuffix("_") if per else main, per) if word]
    if kind is PointKind.COUNTER:
        words = _ending_in("total", words)
    if unit == "1" and kind is PointKind.GAUGE and not is_sum:
        words = _ending_in("ratio", words)
    name = "_".join(words)
    if not name:
        raise ValueError(f"expected a metric name with a letter or digit, got '{metric}'")
    return f"_{name}" if name[0].isdigit() else name


def _unit_words(unit: str) -> tuple[str, str]:
    """What a unit adds: `By/s` gives `bytes` and `per_second`; "" where it adds nothing."""
    main, _, per = (part.strip() for part in unit.partition("/"))
    main_word = "" if _is_annotation(main) else _cleaned(_UNITS.get(main, main))
    per_word = "" if _is_annotation(per) else _cleaned(_PER_UNITS.get(per, per)).rstrip("_")
    return main_word, f"per_{per_word}" if per_word else ""


def _ending_in(last: str, words: list[str]) -> list[str]:
    return [*(word for word in words if word != last), last]


def _is_annotation(unit: str) -> bool:
    """Whether a unit is words for people, such as `{order}`."""
    return "{" in unit or "}" in unit


def _cleaned(unit: str) -> str:
    return _FORBIDDEN_IN_UNIT.sub("_", unit).removeprefix("_")
