"""A foreign key without an index: every delete of a parent reads the whole child table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Confidence, Finding, Rule, Severity
from tickspan.analysis.indexes.candidates import MIN_ROWS
from tickspan.analysis.indexes.catalog import CatalogContext
from tickspan.analysis.indexes.ddl import create
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.schema import ForeignKey, Table

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "unindexed_fk",
    Severity.WARNING,
    "The columns of a foreign key have no index.",
    "Create one: deletes and key updates of the parent look up its children.",
)


def check(context: CatalogContext) -> Iterator[Finding]:
    """For each foreign key of a table of 500 rows or more; MySQL makes such indexes itself."""
    if context.dialect is Dialect.MYSQL:
        return
    for table in context.schema:
        if table.rows is not None and table.rows < MIN_ROWS:
            continue
        for key in table.foreign_keys:
            if _is_served(key, table):
                continue
            statements = create(
                IndexSpec(table.name, key.columns), context.dialect, is_partitioned=table.is_partitioned
            )
            evidence: dict[str, str | int | float | bool] = {
                "table": table.name,
                "columns": ", ".join(key.columns),
                "references": key.references,
            }
            if table.rows is not None:
                evidence["rows"] = table.rows
            yield RULE.found(
                f"({', '.join(key.columns)}) of {table.name} has no index: it is read whole when rows of "
                f"{key.references} go.",
                evidence,
                advice=f"{'; '.join(statements)};",
                confidence=Confidence.MEASURED,
            )


def _is_served(key: ForeignKey, table: Table) -> bool:
    wanted = {column.casefold() for column in key.columns}
    return any(
        wanted == {_column(column) for column in index.columns[: len(wanted)]}
        for index in table.indexes
        if index.is_valid and not index.predicate and index.method == "btree"
    )


def _column(key: str) -> str:
    return key.removesuffix(" DESC").casefold()
