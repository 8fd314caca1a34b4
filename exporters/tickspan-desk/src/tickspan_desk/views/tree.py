"""A trace as a tree, whatever came of it: parents that are missing, circles, spans that came twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from tickspan.received import ReceivedSpan
from tickspan.semconv.common import SERVICE_NAME

__all__ = ["Node", "Tree", "service_of"]

_NOWHERE: Final = -1


@dataclass(frozen=True, slots=True)
class Node:
    """A span in its place. `end_ns` is never before `start_ns`, whatever the span says."""

    place: int
    """In `Tree.nodes`."""
    parent: int
    """Its place; -1 for a root."""
    span: ReceivedSpan
    start_ns: int
    end_ns: int

    @property
    def duration_ns(self) -> int:
        """At least 0."""
        return self.end_ns - self.start_ns


class Tree:
    """Spans of one trace. One whose parent is not among them is a root; of a circle, the first to start."""

    def __init__(self, spans: Sequence[ReceivedSpan]) -> None:
        """`spans` in any order; of those with the same id the first is taken."""
        ordered = sorted(spans, key=lambda span: (span.start_ns, -span.end_ns))
        first = {span.span_id: span for span in reversed(ordered)}
        kept = [span for span in ordered if first[span.span_id] is span]
        places = {span.span_id: place for place, span in enumerate(kept)}
        parents = [places.get(span.parent_span_id or "", _NOWHERE) for span in kept]
        self.repeated: Final = len(ordered) - len(kept)
        """Spans that came again under the same id."""
        self.orphans: Final = sum(
            parent == _NOWHERE and span.parent_span_id is not None
            for span, parent in zip(kept, parents, strict=True)
        )
        """Spans that name a parent that is not here."""
        self.circles: Final = _cut_circles(parents)
        """Spans that were their own ancestor."""
        self.nodes: Final[Sequence[Node]] = [
            Node(place, parent, span, span.start_ns, max(span.start_ns, span.end_ns))
            for place, (span, parent) in enumerate(zip(kept, parents, strict=True))
        ]
        """Spans by their start."""

    def __repr__(self) -> str:
        return f"<Tree {len(self.nodes)} spans, {len(self.roots)} roots>"

    @cached_property
    def children(self) -> Mapping[int, Sequence[Node]]:
        """By the place of their parent, by their start; roots are those of -1."""
        found: dict[int, list[Node]] = {_NOWHERE: []}
        for node in self.nodes:
            found.setdefault(node.parent, []).append(node)
        return found

    @property
    def roots(self) -> Sequence[Node]:
        """By their start."""
        return self.children[_NOWHERE]

    def children_of(self, node: Node) -> Sequence[Node]:
        """By their start."""
        return self.children.get(node.place, ())

    def walk(self, start: Node | None = None) -> Iterator[tuple[Node, int]]:
        """Nodes with their depth, parents first, siblings by start: all, or a node and what is under it."""
        pending = [(node, 0) for node in reversed(self.roots if start is None else [start])]
        while pending:
            node, depth = pending.pop()
            yield node, depth
            pending.extend((child, depth + 1) for child in reversed(self.children_of(node)))

    def ancestors(self, node: Node) -> Iterator[Node]:
        """Its parent, that one's parent, up to a root."""
        while node.parent != _NOWHERE:
            node = self.nodes[node.parent]
            yield node

    @cached_property
    def start_ns(self) -> int:
        """Of the first span; 0 without spans."""
        return self.nodes[0].start_ns if self.nodes else 0

    @cached_property
    def end_ns(self) -> int:
        """Of the last span; 0 without spans."""
        return max((node.end_ns for node in self.nodes), default=0)

    @cached_property
    def self_ns(self) -> Sequence[int]:
        """For each node the time in which it ran and no child of it did."""
        return [node.duration_ns - _covered(node, self.children_of(node)) for node in self.nodes]


def service_of(span: ReceivedSpan) -> str:
    """The service that it is of; "" when its resource does not say."""
    name = span.resource.get(SERVICE_NAME, "")
    return name if isinstance(name, str) else ""


def _covered(node: Node, children: Sequence[Node]) -> int:
    """Nanoseconds of the node in which at least one child ran; children are in the order of their start."""
    covered, until = 0, node.start_ns
    for child in children:
        end = min(child.end_ns, node.end_ns)
        covered += max(0, end - max(child.start_ns, until))
        until = max(until, end)
    return covered


def _cut_circles(parents: list[int]) -> int:
    """Make the first span of each circle a root; how many spans were in circles."""
    state = [0] * len(parents)  # 0: not seen, 1: on the way up from here, 2: leads to a root
    in_circles = 0
    for place in range(len(parents)):
        way: list[int] = []
        at = place
        while at != _NOWHERE and state[at] == 0:
            state[at] = 1
            way.append(at)
            at = parents[at]
        if at != _NOWHERE and state[at] == 1:
            circle = way[way.index(at) :]
            parents[min(circle)] = _NOWHERE
            in_circles += len(circle)
        for seen in way:
            state[seen] = 2
    return in_circles
