"""An index that does nothing which another of its table does not do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tickspan.analysis.findings import Confidence, Finding, Rule, Severity
from tickspan.analysis.indexes.candidates import covers
from tickspan.analysis.indexes.catalog import CatalogContext
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.sql.schema import Index

__all__ = ["RULE", "check"]

RULE: Final = Rule(
    "redundant_index",
    Severity.WARNING,
    "An index is the beginning of another one, and is written to for nothing.",
    "Drop it.",
)


def check(context: CatalogContext) -> Iterator[Finding]:
    """For each index that enforces nothing and that another valid index contains."""
    for table in context.schema:
        gone: list[Index] = []
        for index in sorted(table.indexes, key=lambda index: (len(index.columns), -len(index.name))):
            others = [other for other in table.indexes if other is not index and other not in gone]
            container = _container(index, others)
            if container is not None:
                gone.append(index)
                yield RULE.found(
                    f"{index.name} on {index.table} ({', '.join(index.columns)}) is contained in "
                    f"{container.name} ({', '.join(container.columns)}).",
                    {"table": index.table, "index": index.name, "container": container.name},
                    advice=context.drop(index),
                    confidence=Confidence.MEASURED,
                )


def _container(index: Index, others: Sequence[Index]) -> Index | None:
    if index.is_unique or index.is_primary or not index.columns:
        return None
    spec = IndexSpec(index.table, index.columns, index.includes, index.method, index.predicate)
    return next(
        (
            other
            for other in others
            if other.is_valid and other.method == index.method and covers(spec, other)
        ),
        None,
    )
