"""Runs the rules over statements: one walk of a tree for all of them, and none that raises twice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding
from tickspan.analysis.sql.parsed import Parsed
from tickspan.analysis.sql.rules.context import Context
from tickspan.analysis.sql.rules.outline import Outline
from tickspan.analysis.sql.rules.registry import TREE_RULES, TreeRule
from tickspan.analysis.sql.rules.tokens import token_findings

__all__ = ["Checker", "CheckerStatistics"]

_MOST_NEW_TABLES: Final = 10_000
_LOCK_SETTINGS: Final = frozenset({"lock_timeout", "innodb_lock_wait_timeout", "statement_timeout"})


@dataclass(frozen=True, slots=True)
class CheckerStatistics:
    """What was done so far."""

    statements: int
    findings: int
    disabled: Mapping[str, str]
    """Ids of rules that raised, each with the name of the exception's class."""


class Checker:
    """The rules over statements, for one program and one database.

    It remembers which tables the program has created, so that an index on a new table is no harm. Not safe
    from several threads at once.

    Args:
        ignore: ids of rules that are not asked.
        tell: is told once for each rule that raised and is asked no more, in a sentence without data.
        rules: over trees; those of this package unless given.
    """

    def __init__(
        self,
        *,
        ignore: Collection[str] = (),
        tell: Callable[[str], None] | None = None,
        rules: Iterable[TreeRule] = TREE_RULES,
    ) -> None:
        self._ignore = frozenset(ignore)
        self._tell = tell
        self._by_node: dict[type[exp.Expr], list[TreeRule]] = {}
        self._disabled: dict[str, str] = {}
        self._new_tables: frozenset[str] = frozenset()
        self._statements = 0
        self._findings = 0
        for rule in rules:
            for kind in rule.ON if rule.RULE.id not in self._ignore else ():
                self._by_node.setdefault(kind, []).append(rule)

    def __repr__(self) -> str:
        off = len(self._disabled)
        return f"<Checker {self._statements} statements, {self._findings} findings, {off} disabled>"

    def check(self, parsed: Parsed, context: Context) -> tuple[Finding, ...]:
        """All findings of one text, one for each rule, the worst first.

        What `parsed` tells goes into the context: `names`, `longest_list`, `has_lock_timeout`.
        """
        self._statements += 1
        context = replace(
            context,
            names=parsed.names,
            longest_list=parsed.longest_list,
            has_lock_timeout=context.has_lock_timeout or bool(parsed.settings & _LOCK_SETTINGS),
            new_tables=context.new_tables | self._new_tables,
        )
        worst = {found.rule: found for found in token_findings(context, self._ignore)}
        for tree in parsed.trees:
            for found in self._walk(tree, context):
                known = worst.get(found.rule)
                if known is None or found.severity > known.severity:
                    worst[found.rule] = found
            context = replace(context, new_tables=context.new_tables | self._note_new_table(tree))
        statement = context.statement
        told = [
            replace(found, fingerprint=statement.fingerprint, summary=statement.summary)
            for found in worst.values()
        ]
        self._findings += len(told)
        return tuple(sorted(told, key=lambda found: -found.severity))

    def statistics(self) -> CheckerStatistics:
        """What was done so far."""
        return CheckerStatistics(self._statements, self._findings, dict(self._disabled))

    def _walk(self, tree: exp.Expr, context: Context) -> list[Finding]:
        findings: list[Finding] = []
        by_node = self._by_node
        outline = Outline(tree)
        context = replace(context, outline=outline)
        for node in outline.nodes:
            for rule in by_node.get(type(node), ()):
                if rule.RULE.id not in self._disabled:
                    self._ask(rule, node, context, findings)
        return findings

    def _ask(self, rule: TreeRule, node: exp.Expr, context: Context, findings: list[Finding]) -> None:
        try:
            found = rule.check(node, context)
        except RecursionError:
            return  # this text's, or a caller's that is deep in its own stack: the rule is as good as before
        except Exception as error:  # noqa: BLE001 - an observer that breaks is switched off, once, and says so
            self._disable(rule.RULE.id, type(error).__name__)
            return
        if found is not None:
            findings.append(found)

    def _disable(self, rule: str, error: str) -> None:
        self._disabled[rule] = error
        if self._tell is not None:
            self._tell(f"rule '{rule}' disabled after {error}; the others go on")

    def _note_new_table(self, tree: exp.Expr) -> frozenset[str]:
        if (
            not isinstance(tree, exp.Create)
            or tree.kind != "TABLE"
            or len(self._new_tables) >= _MOST_NEW_TABLES
        ):
            return frozenset()
        table = tree.find(exp.Table)
        name = ".".join(part.name for part in table.parts).casefold() if table is not None else ""
        self._new_tables |= {name}
        return frozenset({name})
