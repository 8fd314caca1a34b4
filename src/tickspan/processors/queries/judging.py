"""What rules about catalogs look at, asked through a probe."""

from __future__ import annotations

from tickspan.analysis.indexes.catalog import CatalogContext
from tickspan.analysis.plans.probe import Probe
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.postgresql import read_statistics_age_s
from tickspan.processors.queries.probes.postgresql import PostgresqlProbe

__all__ = ["catalog_context"]


def catalog_context(probe: Probe, schema: Schema, dialect: Dialect) -> CatalogContext:
    """With how long uses of indexes have been counted, where the database tells. Raises `Unreachable`."""
    if not isinstance(probe, PostgresqlProbe):
        return CatalogContext(schema, dialect)
    with probe.telling():
        return CatalogContext(schema, dialect, read_statistics_age_s(probe.session()))
