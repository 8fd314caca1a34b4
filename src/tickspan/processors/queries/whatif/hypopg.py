"""What-if for PostgreSQL: the extension hypopg shows its planner indexes that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, LiteralString

from tickspan.analysis.indexes.ddl import definition, quoted
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.indexes.sizes import btree_bytes
from tickspan.analysis.plans import Plan
from tickspan.analysis.plans.probe import Refused, Unreachable
from tickspan.analysis.sql import Dialect
from tickspan.analysis.sql.schema import Schema
from tickspan.processors.queries.catalogs.connection import rows
from tickspan.processors.queries.whatif.hypotheses import Hypotheses

if TYPE_CHECKING:
    from tickspan.processors.queries.probes.postgresql import PostgresqlProbe

__all__ = ["HypopgWhatIf"]

_LEAST_COST: Final = 0.01
_FIND: Final[LiteralString] = (
    "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e"
    " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'hypopg'"
)


class HypopgWhatIf(Hypotheses):
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
        super().__init__(probe, schema)
        self._telling = probe.telling
        self._session = probe.session()
        found = self._ask(_FIND)
        if not found:
            raise LookupError(
                "hypopg is not there: install it on the server (Debian: postgresql-15-hypopg) "
                "and run CREATE EXTENSION hypopg"
            )
        self._hypopg = str(found[0][0])
        self._oids: dict[IndexSpec, int] = {}
        self._shares: dict[tuple[str, str], float] = {}
        self._reset()

    def size(self, index: IndexSpec) -> int | None:
        """Computed from the statistics: hypopg's own estimate is up to six times what is built."""
        table = self._schema.table(index.table)
        return None if table is None else btree_bytes(index, table, self.share(index))

    def share(self, index: IndexSpec) -> float:
        """As the planner estimates the rows with the predicate; asked once for each predicate."""
        place = index.table, index.predicate
        if not index.predicate:
            return 1.0
        if place not in self._shares:
            self._shares[place] = self._estimated(index)
        return self._shares[place]

    def _estimated(self, index: IndexSpec) -> float:
        table = self._schema.table(index.table)
        where = quoted(index.table, Dialect.POSTGRESQL)
        try:
            plan = self._probe.explain(f"SELECT 1 FROM {where} WHERE {index.predicate}")  # noqa: S608 - planned, not run
        except Refused:
            return super().share(index)
        rows_of_table = 0 if table is None else table.rows or 0
        return min(1.0, (plan.root.rows or 0.0) / max(rows_of_table, 1))

    def close(self) -> None:
        """Forget the hypothetical indexes; the probe's connection stays open. With it, they are gone, too."""
        if not self._session.closed:
            with suppress(Unreachable):
                self._reset()

    def _cost(self, plan: Plan) -> float:
        return max(plan.cost or 0.0, _LEAST_COST)

    def _reset(self) -> None:
        self._ask(f"SELECT {self._hypopg}.hypopg_reset()")
        self._oids.clear()
        self._clear()

    def _change(self, gone: Sequence[IndexSpec], new: Sequence[IndexSpec]) -> None:
        if len(gone) == len(self._names) > 0:
            self._reset()
            gone = ()
        for spec in gone:
            self._pop(spec)
            self._ask(f"SELECT {self._hypopg}.hypopg_drop_index({self._oids.pop(spec)})")
        for spec in new:
            self._imagine(spec)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of one statement of ours. Raises `Refused` and `Unreachable`."""
        with self._telling():
            return rows(self._session, sql)

    def _imagine(self, spec: IndexSpec) -> None:
        table = quoted(spec.table, Dialect.POSTGRESQL)
        ddl = _literal(f"CREATE INDEX ON {table} {definition(spec, Dialect.POSTGRESQL)}")
        try:
            ((oid, name),) = self._ask(
                f"SELECT indexrelid, indexname FROM {self._hypopg}.hypopg_create_index({ddl})"  # noqa: S608 - quoted
            )
        except Refused:
            self._impossible.add(spec)
            return
        self._oids[spec] = int(oid)
        self._note(spec, str(name))


def _literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in escaped else f"'{escaped}'"
