"""What the catalog rules are shown: the schema of one database, and for how long it counted scans."""

from __future__ import annotations

from dataclasses import dataclass

from tickspan.analysis.indexes.ddl import LOCK_TIMEOUT_S, quoted
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.schema import Index, Schema

__all__ = ["CatalogContext"]


@dataclass(frozen=True, slots=True)
class CatalogContext:
    """One database.

    Attributes:
        schema: of it.
        dialect: of it.
        counted_s: seconds for which `Index.scans` were counted; None when that is not known.
    """

    schema: Schema
    dialect: Dialect
    counted_s: float | None = None

    def drop(self, index: Index) -> str:
        """The statements that remove an index without holding up others."""
        if self.dialect is Dialect.MYSQL:
            return f"DROP INDEX {quoted(index.name, self.dialect)} ON {quoted(index.table, self.dialect)};"
        namespace, _, _ = index.table.rpartition(".")
        name = quoted(f"{namespace}.{index.name}" if namespace else index.name, self.dialect)
        if self.dialect is Dialect.SQLITE:
            return f"DROP INDEX {name};"
        return f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'; DROP INDEX CONCURRENTLY {name};"
