"""The series notation: how promtool's unit tests write a series and its values.

The grammar is that of Prometheus's `promql/parser` (series descriptions), read in 3.16.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tickspan.analysis.rules.problems import Misread, shown
from tickspan.analysis.rules.readings import ExplicitBuckets, ExponentialBuckets, HistogramPoint

__all__ = ["STALE", "NativeHistogram", "Sample", "Stale", "label_set", "matchers", "samples"]

_CUSTOM_BUCKETS: Final = -53
"""The schema of a native histogram with bounds of its own."""
_MAX_SAMPLES: Final = 100_000

_NUMBER: Final = r"(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN])"
_NUMBERS: Final = re.compile(rf"([+-]?{_NUMBER})(?:([+-]{_NUMBER})?x(\d+))?")
_GAP: Final = re.compile(r"_(?:x(\d+))?")
_HISTOGRAM: Final = re.compile(r"\{\{([^}]*)\}\}(?:(?:([+-])\{\{([^}]*)\}\})?x(\d+))?")
_HISTOGRAM_PART: Final = re.compile(r"\s*(\w+):(\[[^\]]*\]|\S+)")
_SERIES: Final = re.compile(r"([a-zA-Z_:][\w:]*)?\s*(?:\{(.*)\})?", re.DOTALL)
_MATCHER: Final = re.compile(
    r"""\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(?:,|$)"""
)
_ESCAPE: Final = re.compile(r"\\(.)")
_ESCAPED: Final[Mapping[str, str]] = {"n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Stale:
    """The mark of a series that has ended."""


STALE: Final = Stale()


@dataclass(frozen=True, slots=True)
class NativeHistogram:
    """A native histogram. Bucket `i` ends at `2^(i * 2^-schema)`, or at `custom_values[i]`.

    Attributes:
        schema: -4 to 8, or -53 for custom values.
        count: of all measurements.
        sum: of all measurements.
        zero: measurements in the zero bucket.
        positive: counts by index.
        negative: counts by index.
        custom_values: upper bounds.
    """

    schema: int = 0
    count: float = 0.0
    sum: float = 0.0
    zero: float = 0.0
    positive: Mapping[int, float] = field(default_factory=dict[int, float])
    negative: Mapping[int, float] = field(default_factory=dict[int, float])
    custom_values: tuple[float, ...] = ()

    def plus(self, other: NativeHistogram, sign: float) -> NativeHistogram:
        """Both added up, or their difference with sign -1. Raises `Misread` when they do not fit."""
        if (self.schema, self.custom_values) != (other.schema, other.custom_values):
            raise Misread("expected histograms of one schema on both sides of the sign")
        return NativeHistogram(
            self.schema,
            self.count + sign * other.count,
            self.sum + sign * other.sum,
            self.zero + sign * other.zero,
            _added(self.positive, other.positive, sign),
            _added(self.negative, other.negative, sign),
            self.custom_values,
        )

    def point(self) -> HistogramPoint:
        """The same as OpenTelemetry has it, whose exponential bucket `i` is Prometheus's `i + 1`.

        Raises:
            Misread: a count is no whole number.
        """
        if self.schema == _CUSTOM_BUCKETS:
            places = range(len(self.custom_values) + 1)
            counts = tuple(_whole(self.positive.get(place, 0.0)) for place in places)
            return HistogramPoint(_whole(self.count), self.sum, ExplicitBuckets(self.custom_values, counts))
        positive, negative = (
            {index - 1: _whole(count) for index, count in side.items()}
            for side in (self.positive, self.negative)
        )
        buckets = ExponentialBuckets(self.schema, _whole(self.zero), positive, negative)
        return HistogramPoint(_whole(self.count), self.sum, buckets)


Sample: TypeAlias = float | NativeHistogram | Stale | None
"""A value, the mark of an end, or nothing at this time."""


def label_set(text: str) -> dict[str, str]:
    """The labels of a series, `__name__` among them: `m{job="a"}`. Raises `Misread`."""
    labels: dict[str, str] = {}
    for name, sign, value in matchers(text):
        if sign != "=":
            raise Misread(f"""expected labels like 'm{{job="bot"}}', got {shown(text)}""")
        labels[name] = value
    return labels


def matchers(text: str) -> tuple[tuple[str, str, str], ...]:
    """Name, sign and value of each matcher of a selector: `m{job=~"a|b"}`. Raises `Misread`."""
    found = _SERIES.fullmatch(text.strip())
    if found is None:
        raise Misread(f"""expected a series like 'm{{job="bot"}}', got {shown(text)}""")
    name, inside = found[1], (found[2] or "").strip()
    given = [("__name__", "=", name)] if name else []
    position = 0
    while position < len(inside):
        part = _MATCHER.match(inside, position)
        if part is None:
            raise Misread(f"""expected labels like '{{job="bot"}}', got {shown(text)}""")
        given.append((part[1], part[2], _unquoted(part[3])))
        position = part.end()
    return tuple(given)


def samples(text: str) -> tuple[Sample, ...]:
    """The values of a series, one for each interval: `0+10x100 _x5 stale 7`. Raises `Misread`."""
    found: list[Sample] = []
    for word in _words(text):
        found.extend(_expanded(word))
        if len(found) > _MAX_SAMPLES:
            raise Misread(f"expected at most {_MAX_SAMPLES} values, got more")
    return tuple(found)


def _words(text: str) -> Iterator[str]:
    """Parts between blanks; blanks within `{{…}}` do not count."""
    return (match[0] for match in re.finditer(r"(?:\{\{[^}]*\}\}|\S)+", text))


def _expanded(word: str) -> Iterator[Sample]:
    if word == "stale":
        yield STALE
    elif gap := _GAP.fullmatch(word):
        yield from [None] * (1 if gap[1] is None else _repeats(gap[1]))
    elif numbers := _NUMBERS.fullmatch(word):
        yield from _line(float(numbers[1]), float(numbers[2] or 0), _repeats(numbers[3]))
    elif histograms := _HISTOGRAM.fullmatch(word):
        first, sign, step, times = histograms.groups()
        yield from _histograms(first, sign, step, _repeats(times))
    else:
        raise Misread(
            f"expected values like '0+10x100', '_', 'stale' or '{{{{count:3 sum:4}}}}', got {shown(word)}"
        )


def _repeats(text: str | None) -> int:
    times = int(text or 0)
    if times > _MAX_SAMPLES:
        raise Misread(f"expected at most {_MAX_SAMPLES} values, got {times}")
    return times


def _line(value: float, step: float, times: int) -> Iterator[float]:
    """As Prometheus does it: by adding, so that rounding is the same."""
    yield value
    for _ in range(times):
        value += step
        yield value


def _histograms(first: str, sign: str | None, step: str | None, times: int) -> Iterator[NativeHistogram]:
    value = _histogram(first)
    yield value
    change = None if step is None else _histogram(step)
    for _ in range(times):
        value = value if change is None else value.plus(change, -1.0 if sign == "-" else 1.0)
        yield value


def _histogram(text: str) -> NativeHistogram:
    given: dict[str, str] = {}
    position = 0
    while position < len(text.rstrip()):
        part = _HISTOGRAM_PART.match(text, position)
        if part is None or part[1] not in _HISTOGRAM_KEYS:
            raise Misread(
                f"expected a histogram like '{{{{schema:0 count:3 sum:4 buckets:[1 2]}}}}', got {shown(text)}"
            )
        given[part[1]] = part[2]
        position = part.end()
    try:
        return NativeHistogram(
            schema=int(given.get("schema", 0)),
            count=float(given.get("count", 0)),
            sum=float(given.get("sum", 0)),
            zero=float(given.get("z_bucket", 0)),
            positive=_buckets(given.get("buckets", "[]"), int(given.get("offset", 0))),
            negative=_buckets(given.get("n_buckets", "[]"), int(given.get("n_offset", 0))),
            custom_values=_list(given.get("custom_values", "[]")),
        )
    except ValueError:
        raise Misread(f"expected numbers in a histogram, got {shown(text)}") from None


_HISTOGRAM_KEYS: Final = frozenset(
    {
        "schema",
        "count",
        "sum",
        "z_bucket",
        "z_bucket_w",
        "buckets",
        "offset",
        "n_buckets",
        "n_offset",
        "custom_values",
        "counter_reset_hint",
    }
)


def _buckets(text: str, offset: int) -> dict[int, float]:
    return {offset + place: count for place, count in enumerate(_list(text)) if count}


def _list(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.strip("[]").split())


def _added(one: Mapping[int, float], other: Mapping[int, float], sign: float) -> dict[int, float]:
    return {
        index: one.get(index, 0.0) + sign * other.get(index, 0.0)
        for index in sorted(one.keys() | other.keys())
    }


def _whole(count: float) -> int:
    if not math.isfinite(count) or count != int(count):
        raise Misread(f"expected whole counts in a histogram, got {count:g}")
    return int(count)


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text[1:-1])
