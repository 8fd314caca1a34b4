"""The wrong spelling: which OpenTelemetry name is meant by what people, and other tools, call a metric."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from tickspan.analysis.rules.facts import MetricFact
from tickspan.analysis.rules.problems import shown, written
from tickspan.semconv.spellings import MEANT

__all__ = ["unknown_metric"]

_WORDS: Final = re.compile(r"[a-z0-9]+")
_SUFFIXES: Final = frozenset(
    {
        *("seconds", "second", "milliseconds", "millis", "microseconds", "ms", "us", "ns", "s"),
        *("bytes", "byte", "by", "kb", "mb", "gb"),
        *("percent", "percentage", "pct", "ratio"),
        *("total", "count", "bucket", "sum", "value"),
    }
)
_CLOSE: Final = 0.75
_MAX_NAME: Final = 200


def unknown_metric(name: str, facts: Mapping[str, MetricFact], threshold: object = None) -> str:
    """What to say of a metric that is not known: the one that is meant, its unit, and the threshold in it.

    Args:
        name: as the file has it.
        facts: of the metrics that are known.
        threshold: that the rule has, for metrics that are called after another unit; None is none.
    """
    meant = _meant(name, facts)
    if meant is None:
        return f"unknown metric {shown(name)}; name it under 'metrics' if a program of yours records it"
    unit = f", unit {meant.unit}" if meant.unit else ""
    advice = _advice(name, meant.unit, threshold)
    return f"unknown metric {shown(name)}: expected '{meant.name}'{unit}{advice}"


def _meant(name: str, facts: Mapping[str, MetricFact]) -> MetricFact | None:
    words = _words(name[:_MAX_NAME].lower())
    bare = _without_unit(words)
    for spelled in (words, bare):
        known = facts.get(MEANT.get(".".join(spelled), ""))
        if known is not None:
            return known
    same = [fact for fact in facts.values() if _same(fact.name, words, bare)]
    if same:
        return min(same, key=lambda fact: (len(fact.name), fact.name))
    nearest = difflib.get_close_matches(name[:_MAX_NAME].lower(), sorted(facts), n=1, cutoff=_CLOSE)
    return facts[nearest[0]] if nearest else None


def _words(name: str) -> list[str]:
    return _WORDS.findall(name)


def _without_unit(words: Iterable[str]) -> list[str]:
    bare = list(words)
    while len(bare) > 1 and bare[-1] in _SUFFIXES:
        bare.pop()
    return bare


def _same(known: str, words: list[str], bare: list[str]) -> bool:
    """Whether only separators, case and unit differ: Prometheus has `trading_order_duration_seconds`."""
    its = _words(known)
    return its in (words, bare) or _without_unit(its) == bare


def _advice(name: str, unit: str, threshold: object) -> str:
    number = written(threshold) or ""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", number):
        return ""
    words = set(_words(name.lower()))
    for units, spelled in (
        ({"percent", "percentage", "pct"}, "%"),
        ({"ms", "millis", "milliseconds"}, "ms"),
        ({"us", "microseconds"}, "us"),
        ({"mb"}, "MB"),
        ({"gb"}, "GB"),
        ({"kb"}, "KB"),
    ):
        if units & words and unit in _UNIT_OF[spelled]:
            return f": write threshold: {number}{spelled}"
    return ""


_UNIT_OF: Final[Mapping[str, frozenset[str]]] = {
    "%": frozenset({"1", "%"}),
    "ms": frozenset({"s"}),
    "us": frozenset({"s"}),
    "MB": frozenset({"By"}),
    "GB": frozenset({"By"}),
    "KB": frozenset({"By"}),
}
