"""What a search found, by kind; an exact hit by an id comes first. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tickspan_desk.store.reading import Match, OrderEntry, Window
from tickspan_desk.views.records import order_path
from tickspan_desk.views.text import shown

__all__ = ["Found", "Group", "exact_of", "found_of"]

KINDS: Final = (
    ("order", "Orders"),
    ("trace", "Traces"),
    ("span", "Spans"),
    ("log", "Log records"),
    ("operation", "Operations"),
    ("metric", "Metrics"),
)
"""Kinds of matches in the order in which they are shown, and their headings."""
MAX_TEXT: Final = 300


@dataclass(frozen=True, slots=True)
class Group:
    """Matches of one kind."""

    kind: str
    title: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes:
        exact: the one thing that has the text as its id.
        window: how far back was looked.
        kept_since_ns: when the oldest record that is kept came; 0 when nothing is kept.
        is_cut: whether there may be more than was asked for.
    """

    text: str
    exact: Match | None
    groups: tuple[Group, ...]
    count: int
    window: Window
    kept_since_ns: int
    is_cut: bool


def exact_of(text: str, order: OrderEntry | None, matches: Sequence[Match]) -> Match | None:
    """The order, trace or span whose id the text is, whatever its case in hex; None where it is none."""
    if order is not None:
        title = " ".join(word for word in (order.side, order.symbol, order.status) if word)
        return Match("order", order.order_id, title, order_path(order.order_id), order.start_ns)
    wanted = text.lower()
    is_trace_id, is_span_id = (_is_hex(wanted, digits) for digits in (32, 16))
    traces = [match for match in matches if match.kind == "trace" and match.path.endswith(f"/{wanted}")]
    spans = [match for match in matches if match.kind == "span" and is_span_id]
    if is_trace_id and traces:
        return traces[0]
    return spans[0] if len(spans) == 1 else None


def found_of(
    text: str, exact: Match | None, matches: Sequence[Match], window: Window, kept_since_ns: int, limit: int
) -> Found:
    """The page of a search, from matches in the store's order."""
    known = {kind for kind, _ in KINDS}
    shown = [_cut(match) for match in matches]
    groups = [
        Group(kind, title, tuple(match for match in shown if match.kind == kind)) for kind, title in KINDS
    ]
    rest = tuple(match for match in shown if match.kind not in known)
    return Found(
        text,
        _cut(exact) if exact is not None else None,
        tuple(group for group in (*groups, Group("other", "Others", rest)) if group.matches),
        len(matches),
        window,
        kept_since_ns,
        len(matches) >= limit,
    )


def _cut(match: Match) -> Match:
    return Match(
        match.kind, shown(match.title, MAX_TEXT), shown(match.detail, MAX_TEXT), match.path, match.time_ns
    )


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and all(letter in "0123456789abcdef" for letter in text)
