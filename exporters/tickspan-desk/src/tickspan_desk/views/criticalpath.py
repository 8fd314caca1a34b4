"""The critical path of a trace: what, shortened, would have ended the trace sooner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tickspan_desk.views.tree import Node, Tree

__all__ = ["Held", "Stretch", "critical_path", "held"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time on the path in which one span itself ran; None where nothing was recorded."""

    node: Node | None
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Held:
    """How long a span itself held the trace up, all stretches together; None where nothing was recorded."""

    node: Node | None
    ns: int
    share: float
    """Of the trace's duration, from 0 to 1."""


def critical_path(tree: Tree) -> list[Stretch]:
    """Stretches in the order of time, without gap or overlap, from the trace's start to its end.

    It is walked backwards from the end. A span was last held up by the child that ended last, that one before
    by the child that had ended last when it started, and so on: a child that still ran then ran beside the
    path, not on it (the happens-before relation of Zhang et al., CRISP, USENIX ATC 2022). Between its
    children, a span held itself up. A span that outlives its parent was not waited for there, as what follows
    an order outlives the tick that caused it: it counts as a child of the nearest ancestor that ends no
    sooner than it, or as one of the trace itself. What no span of the trace itself covers was not recorded.
    """
    waited = _waited_for(tree)
    stretches: list[Stretch] = []
    # A span (None above all), the time that its path has to cover, its children, and from which one on.
    pending: list[tuple[Node | None, int, int, Sequence[Node], int]] = []

    def enter(node: Node | None, low: int, high: int) -> None:
        children = waited.get(-1 if node is None else node.place, [])
        by_end = sorted(children, key=lambda child: (child.end_ns, child.start_ns), reverse=True)
        pending.append((node, low, high, by_end, 0))

    enter(None, tree.start_ns, tree.end_ns)
    while pending:
        node, low, high, children, at = pending.pop()
        while at < len(children) and children[at].end_ns > high:
            at += 1
        child = children[at] if at < len(children) and children[at].end_ns > low else None
        if child is None:
            stretches.extend(_own(node, low, high))
            continue
        start_ns = max(child.start_ns, low)
        stretches.extend(_own(node, child.end_ns, high))
        pending.append((node, low, start_ns, children, at + 1))
        enter(child, start_ns, child.end_ns)
    return stretches[::-1]


def held(tree: Tree, stretches: Sequence[Stretch]) -> list[Held]:
    """What held the trace up, longest first."""
    total = max(tree.end_ns - tree.start_ns, 1)
    times: dict[int, int] = {}
    nodes: dict[int, Node | None] = {}
    for stretch in stretches:
        place = -1 if stretch.node is None else stretch.node.place
        nodes[place] = stretch.node
        times[place] = times.get(place, 0) + stretch.end_ns - stretch.start_ns
    ranked = sorted(times.items(), key=lambda item: (-item[1], item[0]))
    return [Held(nodes[place], ns, ns / total) for place, ns in ranked]


def _own(node: Node | None, start_ns: int, end_ns: int) -> list[Stretch]:
    return [Stretch(node, start_ns, end_ns)] if start_ns < end_ns else []


def _waited_for(tree: Tree) -> dict[int, list[Node]]:
    """Nodes by the place of the nearest ancestor that ends no sooner than they do; -1 for none."""
    above = [-1] * len(tree.nodes)
    found: dict[int, list[Node]] = {}
    for node, _ in tree.walk():
        place = node.parent
        while place >= 0 and tree.nodes[place].end_ns < node.end_ns:
            place = above[place]  # those between end sooner still
        above[node.place] = place
        found.setdefault(place, []).append(node)
    return found
