"""A running program changes tables that others use."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tickspan.analysis.findings import Finding, Rule, Severity
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.rules.context import Context

__all__ = ["ON", "RULE", "check"]

RULE: Final = Rule(
    "ddl_at_runtime",
    Severity.ERROR,
    "A definition locks a table in use: everyone waits for it, and it waits for everyone.",
    "Move it to a migration, with a lock timeout.",
)
ON: Final = (exp.Create, exp.Alter, exp.Drop, exp.TruncateTable)


def check(node: exp.Expr, context: Context) -> Finding | None:
    """Of ALTER TABLE, TRUNCATE, CREATE INDEX and DROP INDEX on a table that the program has not made itself.

    Outside migrations always; inside them where PostgreSQL is not told CONCURRENTLY, NOT VALID or a lock
    timeout. New tables, temporary ones, views and DROP TABLE block nobody's work.
    """
    what, target, lacks = _read(node, context)
    if not what or target.casefold() in context.new_tables:
        return None
    if context.is_migration and not lacks:
        return None
    table = context.told(target) if target else ""
    return RULE.found(
        f"{what}{f' on {table}' if table else ''}"
        f" {'in a migration' if context.is_migration else 'at run time'}"
        f"{f' without {lacks}' if lacks else ''}.",
        {"definition": what, "table": table, "lacks": lacks},
        advice=_advice(lacks, context),
    )


def _read(node: exp.Expr, context: Context) -> tuple[str, str, str]:
    """What the definition is, of which table, and what it lacks; "" for one that does no harm."""
    if isinstance(node, exp.TruncateTable):
        return "TRUNCATE", _name(node.expressions[0] if node.expressions else None), _timeout(context)
    kind = node.args.get("kind")
    if isinstance(node, exp.Alter) and kind == "TABLE":
        return "ALTER TABLE", _name(node.this), _constraint(node, context) or _timeout(context)
    if kind != "INDEX":
        return "", "", ""
    waits = context.dialect is Dialect.POSTGRESQL and not node.args.get("concurrently")
    lacks = "CONCURRENTLY" if waits else ""
    if isinstance(node, exp.Create):
        return "CREATE INDEX", _name(node.this.args.get("table")), lacks
    return "DROP INDEX", "", lacks


def _constraint(node: exp.Alter, context: Context) -> str:
    """NOT VALID, where a constraint that all rows are checked for is added without it."""
    checked = node.find(exp.ForeignKey, exp.CheckColumnConstraint)
    is_checked = checked is not None and context.dialect is Dialect.POSTGRESQL
    return "NOT VALID" if is_checked and not node.args.get("not_valid") else ""


def _timeout(context: Context) -> str:
    return "lock_timeout" if context.dialect is Dialect.POSTGRESQL and not context.has_lock_timeout else ""


def _name(node: exp.Expr | None) -> str:
    return ".".join(part.name for part in node.parts) if isinstance(node, exp.Table) else ""


def _advice(lacks: str, context: Context) -> str:
    moved = "" if context.is_migration else "Move it to a migration. "
    if lacks == "CONCURRENTLY":
        return f"{moved}Add CONCURRENTLY, outside a transaction."
    if lacks == "NOT VALID":
        return f"{moved}Add the constraint NOT VALID, then VALIDATE CONSTRAINT in a statement of its own."
    if context.dialect is Dialect.POSTGRESQL:
        return f"{moved}Bound its wait for the lock before: SET lock_timeout = '2s';"
    if context.dialect is Dialect.MYSQL:
        return f"{moved}Use ALGORITHM=INPLACE, LOCK=NONE where MySQL can."
    return RULE.advice
