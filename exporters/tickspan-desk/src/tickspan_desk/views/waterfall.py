"""A waterfall: a line for each span of a tree; those alike fold, and of too many the least are left out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from opentelemetry.trace import StatusCode

from tickspan_desk.views.hues import OTHERS, Hues
from tickspan_desk.views.text import shown
from tickspan_desk.views.tree import Node, Tree, service_of

__all__ = ["ABOUT_MAX", "DEPTH_MAX", "ROWS_MAX", "Row", "Tick", "Waterfall", "is_error"]

ROWS_MAX: Final = 1000
"""Spans in a waterfall; of more, those on the critical path, failed ones and the longest are shown."""
ABOUT_MAX: Final = 300
"""Spans whose attributes come with the page; those of others are asked for one at a time."""
ALIKE_LEAST: Final = 5
"""As many siblings alike in a row are folded into one line."""
DEPTH_MAX: Final = 60
"""Levels that fold; deeper ones stand on that of the last."""

_TICKS: Final = 6

_Item: TypeAlias = "Node | tuple[Node, ...] | int"
"""A span, spans alike, or how many are left out."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of the ruler, nanoseconds from the trace's start, and its place from 0 to 100."""

    offset_ns: int
    at: float


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a waterfall.

    Attributes:
        kind: "span", "alike" (siblings that are folded, which follow one level deeper) or "left out".
        span_id: its own, of the first that it stands for, or of the span whose children are left out.
        many: spans that it stands for.
        depth: below the root, at most `DEPTH_MAX`.
        has_more: whether rows of a deeper level follow that fold into it.
        is_open: whether they are shown at first.
        closes: levels that end after this row.
        total_ns, self_ns: of all that it stands for.
        at, width: of its bar, in hundredths of what is shown.
        marks: places of its events and log records, in hundredths.
        is_held: whether it is on the critical path.
        problem: status text of a failed span, or how many failed; "" when none did.
        has_about: whether what it says of itself comes with the page.
    """

    kind: str
    span_id: str
    many: int
    depth: int
    closes: int
    name: str = ""
    service: str = ""
    span_kind: str = ""
    hue: int = OTHERS
    has_more: bool = False
    is_open: bool = False
    offset_ns: int = 0
    total_ns: int = 0
    self_ns: int = 0
    at: float = 0.0
    width: float = 0.0
    marks: tuple[float, ...] = ()
    is_held: bool = False
    errors: int = 0
    problem: str = ""
    has_about: bool = False


@dataclass(frozen=True)
class Waterfall:
    """What lines are made from.

    Attributes:
        path: places of the nodes on the critical path, and how long each held the trace up.
        marks: times of events and log records, by the place of their node.
        part: the node that is shown with what is under it, alone; None for the whole trace.
        selected: a node that has a row however many there are, and tells of itself.
    """

    tree: Tree
    hues: Hues
    path: Mapping[int, int]
    marks: Mapping[int, Sequence[int]]
    part: Node | None = None
    selected: Node | None = None
    _start_ns: int = field(init=False)
    _length_ns: int = field(init=False)

    def __post_init__(self) -> None:
        """Work out which time is shown."""
        under = self._under()
        start_ns = min(node.start_ns for node in under)
        object.__setattr__(self, "_start_ns", start_ns)
        object.__setattr__(self, "_length_ns", max(max(node.end_ns for node in under) - start_ns, 1))

    def rows(self) -> Iterator[Row]:
        """Lines from the top; what is folded follows what it is folded into."""
        chosen = self._chosen()
        telling = self._telling(chosen)
        below = self._below()
        # What, how deep, how many levels end after it, and the span whose child it is.
        pending: list[tuple[_Item, int, int, str]] = []

        def put(
            nodes: Sequence[Node], depth: int, closes: int, under: str, *, is_folding: bool = True
        ) -> None:
            kept = [node for node in nodes if node.place in chosen]
            left_out = sum(1 + below[node.place] for node in nodes if node.place not in chosen)
            items: list[_Item] = [*(_alike(kept) if is_folding else kept)]
            if left_out:
                items.append(left_out)
            last = len(items) - 1
            told = [(item, depth, closes * (at == last), under) for at, item in enumerate(items)]
            pending.extend(reversed(told))

        put(self.tree.roots if self.part is None else [self.part], 0, 0, "")
        while pending:
            item, depth, closes, under = pending.pop()
            if isinstance(item, int):
                yield Row("left out", under, item, depth, closes)
            elif isinstance(item, tuple):
                yield self._alike_row(item, depth)
                put(item, depth + 1, closes + 1, under, is_folding=False)
            else:
                children = self.tree.children_of(item)
                folds = bool(children) and depth < DEPTH_MAX
                yield self._span_row(item, depth, 0 if children else closes, folds, item.place in telling)
                put(children, depth + folds, closes + folds, item.span.span_id)

    def ticks(self) -> Iterator[Tick]:
        """Marks at round times, about `_TICKS` of them."""
        rough = self._length_ns / _TICKS
        power = 10 ** math.floor(math.log10(max(rough, 1)))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        offset_ns = self._start_ns - self.tree.start_ns
        for tick in range(-(-offset_ns // step) * step, offset_ns + self._length_ns + 1, step):
            yield Tick(tick, round((tick - offset_ns) / self._length_ns * 100, 3))

    def _under(self) -> list[Node]:
        return [node for node, _ in self.tree.walk(self.part)]

    def _chosen(self) -> AbstractSet[int]:
        """Places of the nodes that have a row; with a node its ancestors have one."""
        under = self._under()
        within = {node.place for node in under}
        if len(under) <= ROWS_MAX:
            return within
        ranked = sorted(
            under,
            key=lambda node: (
                node is not self.selected,
                node.place not in self.path,
                not is_error(node),
                -node.duration_ns,
                node.place,
            ),
        )
        chosen: set[int] = set()
        for node in ranked:
            way = [node.place, *(one.place for one in self.tree.ancestors(node) if one.place in within)]
            missing = [place for place in way if place not in chosen]
            if len(chosen) + len(missing) <= ROWS_MAX:
                chosen.update(missing)
        return chosen

    def _below(self) -> Sequence[int]:
        """For each node how many are under it."""
        below = [0] * len(self.tree.nodes)
        for node, _ in reversed(list(self.tree.walk())):
            if node.parent >= 0:
                below[node.parent] += 1 + below[node.place]
        return below

    def _telling(self, chosen: AbstractSet[int]) -> AbstractSet[int]:
        """Places of the nodes that tell of themselves on the page: all, or those that matter most."""
        if len(chosen) <= ABOUT_MAX:
            return chosen
        ranked = sorted(
            (self.tree.nodes[place] for place in chosen),
            key=lambda node: (
                node is not self.selected,
                node is not self.part,
                not is_error(node),
                -self.path.get(node.place, 0),
                node.place,
            ),
        )
        return {node.place for node in ranked[:ABOUT_MAX]}

    def _bar(self, start_ns: int, end_ns: int) -> tuple[float, float]:
        """Place and width, in hundredths of what is shown."""
        at = (start_ns - self._start_ns) / self._length_ns * 100
        width = (end_ns - start_ns) / self._length_ns * 100
        return round(min(max(at, 0.0), 100.0), 3), round(min(width, 100.0), 3)

    def _span_row(self, node: Node, depth: int, closes: int, folds: bool, has_about: bool) -> Row:
        span, failed = node.span, is_error(node)
        at, width = self._bar(node.start_ns, node.end_ns)
        return Row(
            kind="span",
            span_id=span.span_id,
            many=1,
            depth=depth,
            closes=closes,
            name=shown(span.name),
            service=shown(service_of(span)),
            span_kind=span.kind.name.lower(),
            hue=self.hues.of(node),
            has_more=folds,
            is_open=True,
            offset_ns=node.start_ns - self.tree.start_ns,
            total_ns=node.duration_ns,
            self_ns=self.tree.self_ns[node.place],
            at=at,
            width=width,
            marks=tuple(self._bar(mark, mark)[0] for mark in self.marks.get(node.place, ())),
            is_held=node.place in self.path,
            errors=int(failed),
            problem=(shown(span.status.description) or "failed") if failed else "",
            has_about=has_about,
        )

    def _alike_row(self, nodes: Sequence[Node], depth: int) -> Row:
        first, errors = nodes[0], sum(map(is_error, nodes))
        at, width = self._bar(first.start_ns, max(node.end_ns for node in nodes))
        return Row(
            kind="alike",
            span_id=first.span.span_id,
            many=len(nodes),
            depth=depth,
            closes=0,
            name=shown(first.span.name),
            service=shown(service_of(first.span)),
            span_kind=first.span.kind.name.lower(),
            hue=self.hues.of(first),
            has_more=True,
            is_open=self.selected in nodes,
            offset_ns=first.start_ns - self.tree.start_ns,
            total_ns=sum(node.duration_ns for node in nodes),
            self_ns=sum(self.tree.self_ns[node.place] for node in nodes),
            at=at,
            width=width,
            is_held=any(node.place in self.path for node in nodes),
            errors=errors,
            problem=f"{errors} failed" if errors else "",
        )


def is_error(node: Node) -> bool:
    """Whether its span failed."""
    return node.span.status.code is StatusCode.ERROR


def _alike(nodes: Sequence[Node]) -> list[Node | tuple[Node, ...]]:
    """Siblings, with runs of those that have the same name, kind and service put together."""
    runs: list[list[Node]] = []
    for node in nodes:
        if runs and _likeness(runs[-1][0]) == _likeness(node):
            runs[-1].append(node)
        else:
            runs.append([node])
    found: list[Node | tuple[Node, ...]] = []
    for run in runs:
        found.extend([tuple(run)] if len(run) >= ALIKE_LEAST else run)
    return found


def _likeness(node: Node) -> tuple[str, str, str]:
    return node.span.name, node.span.kind.name, service_of(node.span)
