"""Colours of a trace: one for each service, or for each instrumentation where one service is alone in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tickspan_desk.views.text import shown
from tickspan_desk.views.tree import Node, Tree, service_of

__all__ = ["OTHERS", "Hue", "Hues"]

OTHERS: Final = 7
"""The colour of all that come after the first seven."""
_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Hue:
    """A colour, who has it, and how many spans that are."""

    name: str
    number: int
    spans: int


class Hues:
    """Colours by the order in which their owners come first."""

    def __init__(self, tree: Tree) -> None:
        """Those of a trace."""
        is_alone = len({service_of(node.span) for node in tree.nodes}) == 1
        self.by: Final = "instrumentation" if is_alone else "service"
        self._is_alone = is_alone
        counts: dict[str, int] = {}
        for node in tree.nodes:
            owner = self._owner(node)
            counts[owner] = counts.get(owner, 0) + 1
        self._numbers = {owner: min(number, OTHERS) for number, owner in enumerate(counts)}
        self.told: Final = tuple(
            Hue(shown(owner) or "without a name", self._numbers[owner], many)
            for owner, many in list(counts.items())[:_TOLD]
        )
        """For a legend."""

    def of(self, node: Node) -> int:
        """The number of a node's colour."""
        return self._numbers[self._owner(node)]

    def _owner(self, node: Node) -> str:
        return node.span.scope if self._is_alone else service_of(node.span)
