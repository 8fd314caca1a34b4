"""An index that nobody reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Confidence, Finding, Rule, Severity
from tickspan.analysis.indexes.catalog import CatalogContext
from tickspan.analysis.sql.schema import Index, Table

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "unused_index",
    Severity.WARNING,
    "No query has read an index for a week or longer, and every write pays for it.",
    "Drop it, after a look at the replicas: each counts its own scans.",
)
_DAY_S: Final = 86_400
_LEAST_S: Final = 7 * _DAY_S
_LEAST_BYTES: Final = 1 << 20


def check(context: CatalogContext) -> Iterator[Finding]:
    """For each index of 1 MiB or more, unread for seven days, that enforces nothing and serves no key."""
    if context.counted_s is None or context.counted_s < _LEAST_S:
        return
    for table in context.schema:
        for index in table.indexes:
            if index.scans == 0 and _is_free(index, table) and (index.size_bytes or 0) >= _LEAST_BYTES:
                days = int(context.counted_s // _DAY_S)
                yield RULE.found(
                    f"{index.name} on {index.table} was not read once in {days} days, and takes "
                    f"{(index.size_bytes or 0) / (1 << 20):.0f} MiB.",
                    {
                        "table": index.table,
                        "index": index.name,
                        "days": days,
                        "size_bytes": index.size_bytes or 0,
                    },
                    advice=f"If the replicas do not read it either: {context.drop(index)}",
                    confidence=Confidence.MEASURED,
                )


def _is_free(index: Index, table: Table) -> bool:
    """Whether it enforces nothing, and no foreign key begins with its columns."""
    if index.is_unique or index.is_primary or not index.is_valid:
        return False
    return not any(
        {column.casefold() for column in key.columns}
        == {column.casefold() for column in index.columns[: len(key.columns)]}
        for key in table.foreign_keys
    )
