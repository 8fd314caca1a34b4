"""What-if for PostgreSQL: the extension hypopg shows its planner indexes that are not there."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, LiteralString, Self

from tickspan.analysis.indexes.ddl import definition, quoted
from tickspan.analysis.indexes.model import IndexSpec, WorkloadQuery
from tickspan.analysis.indexes.sizes import btree_bytes
from tickspan.analysis.indexes.whatif import Estimate, NoPlan
from tickspan.analysis.plans.probe import Refused
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.connection import rows

if TYPE_CHECKING:
    from tickspan.processors.queries.probes.postgresql import PostgresqlProbe

__all__ = ["HypopgWhatIf"]

_LEAST_COST: Final = 0.01
_FIND: Final[LiteralString] = (
    "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e"
    " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'"
)


class HypopgWhatIf:
    """Plans with hypothetical indexes. Nothing is written: hypopg keeps them in the session's memory.

    One thread at a time. Behind pgbouncer the probe must be connected in session mode.

    Args:
        probe: asks for the plans, and admits what may be asked; its session holds the indexes.
        schema: of its database.

    Raises:
        LookupError: the extension is not in that database; the message says what to do.
        Unreachable: there is no connection.
    """

    def __init__(self, probe: PostgresqlProbe, schema: Schema) -> None:
        self._probe = probe
        self._schema = schema
        self._session = probe.session()
        found = rows(self._session, _FIND)
        if not found:
            raise LookupError(
                "hypopg is not there: install it on the server (Debian: postgresql-15-hypopg) "
                "and run CREATE EXTENSION hypopg"
            )
        self._hypopg = str(found[0][0])
        self._oids: dict[IndexSpec, int] = {}
        self._specs: dict[str, IndexSpec] = {}
        self._impossible: set[IndexSpec] = set()
        self._reset()

    def __repr__(self) -> str:
        return f"<HypopgWhatIf {len(self._oids)} hypothetical indexes>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def used(self, query: WorkloadQuery, indexes: Collection[IndexSpec]) -> Estimate:
        """See `WhatIf.used`."""
        self._offer(indexes)
        try:
            plan = self._probe.explain(query.sql)
        except Refused as refused:
            raise NoPlan(str(refused)) from None
        used = frozenset(self._specs[node.index] for node in plan.nodes() if node.index in self._specs)
        return Estimate(max(plan.cost or 0.0, _LEAST_COST), used)

    def cost(self, query: WorkloadQuery, indexes: Collection[IndexSpec]) -> float:
        """See `WhatIf.cost`."""
        return self.used(query, indexes).cost

    def size(self, index: IndexSpec) -> int | None:
        """Computed from the statistics: hypopg's own estimate is up to six times what is built."""
        table = self._schema.table(index.table)
        return None if table is None else btree_bytes(index, table)

    def close(self) -> None:
        """Forget the hypothetical indexes; the probe's connection stays open."""
        if not self._session.closed:
            self._reset()

    def _reset(self) -> None:
        rows(self._session, f"SELECT {self._hypopg}.hypopg_reset()")
        self._oids.clear()
        self._specs.clear()

    def _offer(self, indexes: Collection[IndexSpec]) -> None:
        """Have these and no others."""
        wanted = dict.fromkeys(spec for spec in indexes if spec not in self._impossible)
        gone = [spec for spec in self._oids if spec not in wanted]
        if len(gone) == len(self._oids) > 0:
            self._reset()
            gone = []
        for spec in gone:
            rows(self._session, f"SELECT {self._hypopg}.hypopg_drop_index({self._oids.pop(spec)})")
            self._specs = {name: other for name, other in self._specs.items() if other != spec}
        for spec in wanted:
            if spec not in self._oids:
                self._imagine(spec)

    def _imagine(self, spec: IndexSpec) -> None:
        import psycopg  # the probe has it already

        table = quoted(spec.table, Dialect.POSTGRESQL)
        ddl = _literal(f"CREATE INDEX ON {table} {definition(spec, Dialect.POSTGRESQL)}")
        try:
            ((oid, name),) = rows(
                self._session,
                f"SELECT indexrelid, indexname FROM {self._hypopg}.hypopg_create_index({ddl})",  # noqa: S608 - quoted
            )
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            self._impossible.add(spec)
            return
        self._oids[spec] = int(oid)
        self._specs[str(name)] = spec


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else f"'{escaped}'"
