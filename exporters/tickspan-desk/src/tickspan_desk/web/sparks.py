"""Small pictures of counts over time, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from tickspan_desk.views.logs import Bucket
from tickspan_desk.views.records import Severity
from tickspan_desk.web.drawing import element

__all__ = ["severity_bars", "sparkline"]

SPARK_WIDTH: Final = 110
SPARK_HEIGHT: Final = 24
BARS_HEIGHT: Final = 72
MAX_POINTS: Final = 120
"""More are joined, several to a bar as high as the highest of them."""


def sparkline(values: Sequence[float], bad: Sequence[float] = (), label: str = "") -> Markup:
    """Bars as high as the values, each as a part of the greatest; `bad` parts of them stand before them.

    Args:
        values: not negative.
        bad: parts of the values, such as errors among calls; empty for none.
        label: what it shows, for who does not see it.
    """
    heights, marked = _joined(values), _joined(bad)
    most = max(heights, default=0)
    scale = (SPARK_HEIGHT - 2) / most if most > 0 else 0.0
    step = SPARK_WIDTH / max(len(heights), 1)
    bars = [
        _bar(colour, number * step, step, min(value * scale, SPARK_HEIGHT - 2))
        for colour, row in (("c0", heights), ("bad", marked))
        for number, value in enumerate(row)
        if value > 0
    ]
    ground = element("path", class_="grid", d=f"M0 {SPARK_HEIGHT - 0.5}H{SPARK_WIDTH}")
    return element(
        "svg",
        ground,
        *bars,
        class_="spark",
        viewBox=f"0 0 {SPARK_WIDTH} {SPARK_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )


def severity_bars(buckets: Sequence[Bucket], severities: Sequence[Severity]) -> Markup:
    """Records over time: bars in pieces by severity, the gravest at the bottom; each leads to its time."""
    most = max((sum(bucket.counts) for bucket in buckets), default=0)
    if not most:
        return Markup()
    step, total = 100 / len(buckets), sum(sum(bucket.counts) for bucket in buckets)
    stacks = [
        _stack(bucket, severities, number * step, step, BARS_HEIGHT / most)
        for number, bucket in enumerate(buckets)
        if any(bucket.counts)
    ]
    ground = element("line", class_="axis", x1=0, x2="100%", y1=BARS_HEIGHT + 0.5, y2=BARS_HEIGHT + 0.5)
    return element(
        "svg",
        ground,
        *stacks,
        class_="chart",
        height=BARS_HEIGHT + 1,
        role="group",
        aria_label=f"{total:,} records over time",
    )


def _stack(bucket: Bucket, severities: Sequence[Severity], left: float, step: float, scale: float) -> Markup:
    bottom, pieces, told = float(BARS_HEIGHT), list[Markup](), list[str]()
    for severity, count in zip(severities, bucket.counts, strict=True):
        if count:
            height = min(max(count * scale, 1.0), bottom)
            bottom -= height
            pieces.append(
                element(
                    "rect",
                    class_=severity.tone or "c7",
                    x=f"{left + step * 0.1:.2f}%",
                    y=round(bottom, 1),
                    width=f"{step * 0.8:.2f}%",
                    height=round(height, 1),
                )
            )
            told.append(f"{count:,} {severity.word}")
    return element("a", element("title", ", ".join(told)), *pieces, href=bucket.path)


def _joined(values: Sequence[float]) -> list[float]:
    size = max(-(-len(values) // MAX_POINTS), 1)
    return [max(values[at : at + size]) for at in range(0, len(values), size)]


def _bar(colour: str, left: float, step: float, height: float) -> Markup:
    tall = max(height, 1.0)
    return element(
        "rect",
        class_=colour,
        x=f"{left:.2f}",
        y=f"{SPARK_HEIGHT - 1 - tall:.1f}",
        width=f"{max(step * 0.8, 0.6):.2f}",
        height=f"{tall:.1f}",
    )
