"""A flame graph of a trace: spans with the same names above them are one frame, as wide as their time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tickspan_desk.views.text import shown
from tickspan_desk.views.tree import Node, Tree, service_of

__all__ = ["FRAMES_MAX", "Flame", "Frame", "flame"]

FRAMES_MAX: Final = 500
DEPTH_MAX: Final = 60
_LEAST: Final = 0.1
"""Hundredths of the width: narrower frames cannot be seen."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame.

    Attributes:
        at, width: in hundredths of all frames' self time.
        ns: self time of it and of all above it; of spans that ran at once, each counts.
        self_ns: of it alone.
        slowest: id of the longest span among them.
    """

    name: str
    service: str
    hue: int
    depth: int
    at: float
    width: float
    calls: int
    ns: int
    self_ns: int
    slowest: str


@dataclass(frozen=True, slots=True)
class Flame:
    """Frames, how many levels they have, and how many are too narrow, too deep or too many to be drawn."""

    frames: tuple[Frame, ...]
    depth: int
    left_out: int


@dataclass(slots=True, eq=False)
class _Merged:
    """Spans with the same way of names."""

    node: Node
    depth: int
    calls: int = 0
    self_ns: int = 0
    ns: int = 0
    slowest: Node | None = None
    children: dict[tuple[str, str], _Merged] = field(default_factory=dict["tuple[str, str]", "_Merged"])


def flame(tree: Tree, hue_of: Callable[[Node], int]) -> Flame:
    """The frames of a trace, parents before their children; a child's frame lies within its parent's."""
    roots = _merged(tree)
    total = sum(root.ns for root in roots) or 1
    frames: list[Frame] = []
    left_out = 0
    pending = _beside(roots, 0.0, total)
    while pending:
        one, at = pending.pop()
        width = one.ns / total * 100
        if width < _LEAST or len(frames) == FRAMES_MAX or one.depth > DEPTH_MAX:
            left_out += 1
        else:
            frames.append(_frame(one, at, width, hue_of))
        pending.extend(_beside(list(one.children.values()), at, total))
    return Flame(tuple(frames), 1 + max((frame.depth for frame in frames), default=0), left_out)


def _beside(merged: list[_Merged], at: float, total: int) -> list[tuple[_Merged, float]]:
    """With the place of each, from `at` on; the first last, as a stack wants them."""
    found: list[tuple[_Merged, float]] = []
    for one in merged:
        found.append((one, at))
        at += one.ns / total * 100
    return found[::-1]


def _frame(one: _Merged, at: float, width: float, hue_of: Callable[[Node], int]) -> Frame:
    slowest = one.slowest or one.node
    return Frame(
        name=shown(one.node.span.name),
        service=shown(service_of(one.node.span)),
        hue=hue_of(one.node),
        depth=one.depth,
        at=round(at, 3),
        width=round(width, 3),
        calls=one.calls,
        ns=one.ns,
        self_ns=one.self_ns,
        slowest=slowest.span.span_id,
    )


def _merged(tree: Tree) -> list[_Merged]:
    roots: dict[tuple[str, str], _Merged] = {}
    of_place: dict[int, _Merged] = {}
    ordered: list[_Merged] = []
    for node, depth in tree.walk():
        above = of_place.get(node.parent)
        siblings = roots if above is None else above.children
        name = (service_of(node.span), node.span.name)
        if name not in siblings:
            siblings[name] = _Merged(node, depth)
            ordered.append(siblings[name])
        one = siblings[name]
        of_place[node.place] = one
        one.calls += 1
        one.self_ns += tree.self_ns[node.place]
        if one.slowest is None or one.slowest.duration_ns < node.duration_ns:
            one.slowest = node
    for one in reversed(ordered):
        one.ns = one.self_ns + sum(child.ns for child in one.children.values())
    return list(roots.values())
