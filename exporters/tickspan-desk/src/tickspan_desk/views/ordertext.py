"""An order's story as Markdown, to be pasted where people talk about it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from tickspan_desk.views.order import OrderStory

__all__ = ["markdown_of"]

_MARKUP: Final = re.compile(r"([\\`*_{}\[\]<>#|~!])")
_UNITS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))


def markdown_of(story: OrderStory) -> str:
    """Headings and tables; what telemetry says is told as it is and means nothing to Markdown."""
    return "\n".join([*_lines(story), ""])


def _lines(story: OrderStory) -> Iterator[str]:
    title = " ".join(word for word in (story.side, story.symbol, story.venue) if word)
    yield f"# Order {_plain(story.order_id)}"
    yield ""
    yield f"{_plain(title)}: **{_plain(story.status or 'no status told')}**, {_moment(story.start_ns)}"
    yield ""
    for warning in story.warnings:
        yield f"- **Look after it:** {_plain(warning)}"
    for named in (*story.ids, *story.facts):
        yield f"- {named.name}: {_plain(named.value)}"
    for trace_id in story.trace_ids:
        yield f"- trace: {_plain(trace_id)}"
    if story.cause is not None:
        words = f"{story.cause.venue} {story.cause.symbol} {story.cause.channel}"
        yield f"- cause: {_plain(words)}, {_moment(story.cause.time_ns)}"
    yield from _table(
        "Where the time went",
        ("stage", "from", "took"),
        (
            (stage.name, _length(stage.start_ns - story.start_ns), _length(stage.end_ns - stage.start_ns))
            for stage in story.way.stages
        ),
    )
    yield from _table(
        "What held it up",
        ("what", "took", "while", ""),
        ((hold.what, _length(hold.duration_ns), hold.span, hold.detail) for hold in story.holds),
    )
    yield from _table(
        "States",
        ("at", "what", "status", "by", ""),
        (
            (_length(state.offset_ns), state.what, state.status, state.source, state.detail)
            for state in story.states
        ),
    )
    yield from _table(
        "Fills",
        ("at", "execution", "filled", "quantity", "price", "fee", "liquidity"),
        (
            (
                _length(fill.time_ns - story.start_ns),
                fill.execution_id,
                "" if fill.filled_ratio is None else f"{fill.filled_ratio:.0%}",
                fill.quantity,
                fill.price,
                fill.fee,
                fill.liquidity,
            )
            for fill in story.fills
        ),
    )
    yield from _table(
        "Queries and cache calls",
        ("call", "of", "times", "took", "share of the way to the wire"),
        (
            (
                call.name,
                call.system,
                f"{call.count:,}",
                _length(call.duration_ns),
                f"{call.share:.0%}" if call.is_before else "after it was sent",
            )
            for call in story.calls
        ),
    )
    yield from _table(
        "Findings and alerts",
        ("kind", "severity", "what", "advice"),
        ((notice.kind, notice.severity, notice.title, notice.advice) for notice in story.notices),
    )
    yield from _table(
        "Everything, in its order",
        ("at", "took", "what", "", "process"),
        (
            (
                _length(entry.offset_ns),
                "" if entry.duration_ns is None else _length(entry.duration_ns),
                entry.name,
                entry.text,
                " ".join(word for word in (entry.service, entry.process) if word),
            )
            for entry in story.entries
        ),
    )
    if story.left_out:
        yield f"{story.left_out:,} more are left out."


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    lines = ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in rows]
    if lines:
        yield ""
        yield f"## {title}"
        yield ""
        yield f"| {' | '.join(heads)} |"
        yield "|" + " --- |" * len(heads)
        yield from lines


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _moment(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


def _length(duration_ns: int) -> str:
    for size, unit in _UNITS:
        if abs(duration_ns) >= size:
            return f"{duration_ns / size:.4g} {unit}"
    return f"{duration_ns} ns"
