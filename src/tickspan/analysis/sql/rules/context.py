"""What a rule may know beside the node that it looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.schema import Schema
from tickspan.analysis.sql.statement import Statement

if TYPE_CHECKING:
    from tickspan.analysis.sql.rules.outline import Outline

__all__ = ["Context"]


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of one statement. Defaults are what is assumed when nobody knows.

    Attributes:
        statement: its canonical form.
        dialect: whose rules its text follows.
        schema: tables that are known.
        names: words that findings may show, in lower case (`Parsed.names`).
        longest_list: items of its longest IN list; 0 when only the canonical text is known.
        raw_texts: how many different raw texts had its fingerprint.
        blocks_event_loop: whether a synchronous driver ran it in a thread whose event loop was running.
        has_lock_timeout: whether the session bounds its waits for locks.
        is_migration: whether a migration runs it.
        new_tables: tables that the same program has created before, in lower case.
        outline: of the tree at hand, made once for all rules.
    """

    statement: Statement
    dialect: Dialect = Dialect.GENERIC
    schema: Schema = field(default_factory=Schema)
    names: frozenset[str] = frozenset()
    longest_list: int = 0
    raw_texts: int = 1
    blocks_event_loop: bool = False
    has_lock_timeout: bool = False
    is_migration: bool = False
    new_tables: frozenset[str] = frozenset()
    outline: Outline | None = field(default=None, repr=False, compare=False)

    def told(self, name: str) -> str:
        """A dotted name as findings may show it: each part that the canonical text does not have is `?`."""
        return ".".join(part if part.casefold() in self.names else "?" for part in name.split("."))
