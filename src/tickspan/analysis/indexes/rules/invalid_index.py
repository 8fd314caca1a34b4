"""An index that a failed CREATE INDEX CONCURRENTLY left: it is written to, and never read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tickspan.analysis.findings import Confidence, Finding, Rule, Severity
from tickspan.analysis.indexes.catalog import CatalogContext

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "invalid_index",
    Severity.ERROR,
    "An index is invalid: writes maintain it, and no query may read it.",
    "Drop it, and create it again.",
)


def check(context: CatalogContext) -> Iterator[Finding]:
    """For each invalid index; that of a partitioned table is valid when all partitions have theirs."""
    for table in context.schema:
        for index in table.indexes:
            if index.is_valid:
                continue
            told = (
                f"{index.name} on {index.table} is invalid: not every partition has its part of it."
                if table.is_partitioned
                else f"{index.name} on {index.table} is invalid: creating it failed, or still goes on."
            )
            yield RULE.found(
                told,
                {"table": index.table, "index": index.name},
                advice=(
                    "Create the index on the partitions that lack it, and ALTER INDEX … ATTACH PARTITION."
                    if table.is_partitioned
                    else f"Unless pg_stat_progress_create_index shows it: {context.drop(index)}"
                ),
                confidence=Confidence.MEASURED,
            )
