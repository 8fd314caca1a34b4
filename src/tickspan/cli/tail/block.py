"""A trace as people and as programs read it: a header with its bars below, or one JSON object. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from tickspan.analysis.scales import shown
from tickspan.cli.tail.assembly import Ended
from tickspan.received import ReceivedSpan, StatusCode
from tickspan.semconv.common import SERVICE_NAME
from tickspan.waterfall import LABEL, TIMING, Line, in_tree_order, tells_of_orders, waterfall

__all__ = ["Wanted", "block", "record"]

FOLD_FROM: Final = 4
"""So many calls alike in a row are one line."""
LEAST_BAR: Final = 12
MOST_LINES: Final = 60
"""Of one trace."""
_NS_PER_S: Final = 1e9
_RED: Final = "\x1b[31m"
_CYAN: Final = "\x1b[36m"
_BOLD: Final = "\x1b[1m"
_DIM: Final = "\x1b[2m"
_END: Final = "\x1b[0m"
Paint = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which traces are asked for; empty and 0 are all."""

    services: frozenset[str] = frozenset()
    least_s: float = 0.0
    only_errors: bool = False
    only_orders: bool = False
    since_ns: int = 0
    """Ended then or later, by the wall clock."""

    def accepts(self, ended: Ended) -> bool:
        """Whether this one is."""
        spans = ended.spans
        return (
            (not self.services or not self.services.isdisjoint(services_of(spans)))
            and duration_ns(spans) >= self.least_s * _NS_PER_S
            and (not self.only_errors or errors_of(spans) > 0)
            and (not self.only_orders or tells_of_orders(spans))
            and max(span.end_ns for span in spans) >= self.since_ns
        )


def services_of(spans: tuple[ReceivedSpan, ...]) -> list[str]:
    """Of the programs that took part, in the order of their first span."""
    return list(dict.fromkeys(str(span.resource.get(SERVICE_NAME, "")) for span in spans))


def duration_ns(spans: tuple[ReceivedSpan, ...]) -> int:
    """From the first begin to the last end."""
    return max(span.end_ns for span in spans) - min(span.start_ns for span in spans)


def errors_of(spans: tuple[ReceivedSpan, ...]) -> int:
    """Spans that failed."""
    return sum(span.status.code is StatusCode.ERROR for span in spans)


def block(ended: Ended, columns: int, *, has_colours: bool) -> str:
    """Some lines of text: when, who, what, how long, how many spans and errors, then the bars.

    Whatever could move a terminal's cursor is escaped.
    """
    paint = _painted if has_colours else _plain
    width = max(LEAST_BAR, columns - LABEL - TIMING - 2)
    lines = waterfall([_readable(span) for span in ended.spans], width, fold_from=FOLD_FROM)
    told = [_line(line, paint) for line in lines[:MOST_LINES]]
    if len(lines) > MOST_LINES:
        told.append(paint(f"  … and {len(lines) - MOST_LINES} more lines", _DIM))
    return "\n".join([_header(ended, paint), *told])


def _header(ended: Ended, paint: Paint) -> str:
    root, _ = next(in_tree_order(ended.spans))
    began = datetime.fromtimestamp(root.start_ns / _NS_PER_S)  # noqa: DTZ006 - the wall clock of who looks
    errors = errors_of(ended.spans)
    parts = [
        paint(f"{began:%H:%M:%S}.{began.microsecond // 1000:03}", _DIM),
        printable(", ".join(services_of(ended.spans))),
        paint(printable(root.name), _BOLD),
        shown(duration_ns(ended.spans) / _NS_PER_S, "s"),
        _counted(len(ended.spans), "span"),
        paint(_counted(errors, "error"), _RED) if errors else "",
        "(more of it)" if ended.is_later_part else "",
        paint(ended.trace_id, _DIM),
    ]
    return "  ".join(part for part in parts if part)


def _line(line: Line, paint: Paint) -> str:
    label = line.label
    mark = "!" if line.errors else " "
    colour = _RED if line.errors else _CYAN
    return f"{paint(mark, _RED) if line.errors else mark} {label}{paint(line.bar, colour)}{line.timing}"


def record(ended: Ended) -> str:
    """One line of JSON; times in nanoseconds since the epoch."""
    root, _ = next(in_tree_order(ended.spans))
    lines = waterfall(ended.spans, LEAST_BAR, fold_from=FOLD_FROM)
    return json.dumps(
        {
            "trace_id": ended.trace_id,
            "root": root.name,
            "services": services_of(ended.spans),
            "start_ns": min(span.start_ns for span in ended.spans),
            "duration_ns": duration_ns(ended.spans),
            "spans": len(ended.spans),
            "errors": errors_of(ended.spans),
            "is_order": tells_of_orders(ended.spans),
            "is_later_part": ended.is_later_part,
            "lines": [_as_data(line) for line in lines],
        },
        ensure_ascii=False,
    )


def _as_data(line: Line) -> dict[str, Any]:
    return {
        "name": line.span.name,
        "depth": line.depth,
        "count": line.count,
        "errors": line.errors,
        "start_ns": line.start_ns,
        "duration_ns": line.end_ns - line.start_ns,
    }


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _readable(span: ReceivedSpan) -> ReceivedSpan:
    return span if span.name.isprintable() else replace(span, name=printable(span.name))


def printable(text: str) -> str:
    """Text that cannot move a terminal's cursor."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _painted(text: str, colour: str) -> str:
    return f"{colour}{text}{_END}"


def _plain(text: str, _colour: str) -> str:
    return text
