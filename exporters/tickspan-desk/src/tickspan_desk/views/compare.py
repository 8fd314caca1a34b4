"""Two traces side by side: aligned by the way of names that leads to a span, what differs first in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from opentelemetry.trace import StatusCode

from tickspan.received import ReceivedSpan
from tickspan_desk.views.text import shown
from tickspan_desk.views.tree import Tree, service_of

__all__ = ["CompareView", "Compared", "Side", "Totals", "compare_view"]

ROWS_MAX: Final = 1000
_ALIKE: Final = 0.05
"""A difference below this share of the larger time is none to speak of."""
_LEAST_NS: Final = 1000

Word = Literal["slower", "faster", "alike", "only in A", "only in B"]


@dataclass(frozen=True, slots=True)
class Side:
    """All spans of one way of names in one trace; times are sums."""

    calls: int
    errors: int
    ns: int
    self_ns: int


@dataclass(frozen=True, slots=True)
class Compared:
    """One way of names.

    Attributes:
        depth: names above it.
        difference_ns: B's time less A's.
        self_difference_ns: the same of the time of the spans themselves.
        word: what became of it from A to B.
        weight: of the difference of self time, the share of the largest, from 0 to 1.
    """

    depth: int
    name: str
    service: str
    a: Side
    b: Side
    difference_ns: int
    self_difference_ns: int
    word: Word
    weight: float


@dataclass(frozen=True, slots=True)
class Totals:
    """One of the two traces."""

    trace_id: str
    name: str
    service: str
    start_ns: int
    duration_ns: int
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class CompareView:
    """Both, and each way of names in the order of the trees; `most`: whose self time differs most."""

    a: Totals
    b: Totals
    difference_ns: int
    word: Word
    rows: tuple[Compared, ...]
    most: tuple[Compared, ...]
    left_out: int


@dataclass(slots=True, eq=False)
class _Way:
    """A way of names in both trees."""

    name: str
    service: str
    depth: int
    sums: tuple[list[int], list[int]] = field(default_factory=lambda: ([0, 0, 0, 0], [0, 0, 0, 0]))
    below: dict[tuple[str, str], _Way] = field(default_factory=dict["tuple[str, str]", "_Way"])


def compare_view(a: Sequence[ReceivedSpan], b: Sequence[ReceivedSpan]) -> CompareView:
    """Spans of two traces, at least one of each. B is told against A."""
    trees = Tree(a), Tree(b)
    top = _Way("", "", -1)
    for side, tree in enumerate(trees):
        _add(top, side, tree)
    ways = _in_order(top)
    largest = max((abs(_self_difference(way)) for way in ways), default=0) or 1
    rows = [_compared(way, largest) for way in ways]
    totals = _totals(trees[0]), _totals(trees[1])
    differing = [row for row in rows if row.self_difference_ns]
    most = sorted(differing, key=lambda row: -abs(row.self_difference_ns))
    return CompareView(
        *totals,
        difference_ns=totals[1].duration_ns - totals[0].duration_ns,
        word=_word(totals[0].duration_ns, totals[1].duration_ns),
        rows=tuple(rows[:ROWS_MAX]),
        most=tuple(most[:8]),
        left_out=max(len(rows) - ROWS_MAX, 0),
    )


def _add(top: _Way, side: int, tree: Tree) -> None:
    of_place: dict[int, _Way] = {-1: top}
    for node, depth in tree.walk():
        name = service_of(node.span), node.span.name
        above = of_place[node.parent]
        way = above.below.setdefault(name, _Way(node.span.name, name[0], depth))
        of_place[node.place] = way
        told = 1, int(node.span.status.code is StatusCode.ERROR), node.duration_ns, tree.self_ns[node.place]
        sums = way.sums[side]
        for place, number in enumerate(told):
            sums[place] += number


def _in_order(top: _Way) -> list[_Way]:
    found: list[_Way] = []
    pending = list(reversed(top.below.values()))
    while pending:
        way = pending.pop()
        found.append(way)
        pending.extend(reversed(way.below.values()))
    return found


def _compared(way: _Way, largest: int) -> Compared:
    a, b = Side(*way.sums[0]), Side(*way.sums[1])
    word: Word = "only in B" if not a.calls else "only in A" if not b.calls else _word(a.ns, b.ns)
    difference = _self_difference(way)
    return Compared(
        way.depth,
        shown(way.name),
        shown(way.service),
        a,
        b,
        b.ns - a.ns,
        difference,
        word,
        round(abs(difference) / largest, 4),
    )


def _self_difference(way: _Way) -> int:
    return way.sums[1][3] - way.sums[0][3]


def _word(a_ns: int, b_ns: int) -> Word:
    if abs(b_ns - a_ns) < max(max(a_ns, b_ns) * _ALIKE, _LEAST_NS):
        return "alike"
    return "slower" if b_ns > a_ns else "faster"


def _totals(tree: Tree) -> Totals:
    first = tree.roots[0].span
    return Totals(
        first.trace_id,
        shown(first.name),
        shown(service_of(first)),
        tree.start_ns,
        tree.end_ns - tree.start_ns,
        len(tree.nodes),
        sum(node.span.status.code is StatusCode.ERROR for node in tree.nodes),
    )
