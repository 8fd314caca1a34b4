"""What is known of a database's tables: columns, indexes, sizes, and the statistics that decide plans."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Column", "ForeignKey", "Index", "Schema", "Table"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Statistics are None where the database has none.

    Attributes:
        name: as the database keeps it.
        type: as the dialect writes it, in lower case: `numeric(18,8)`, `timestamp with time zone`.
        is_nullable: whether it may hold NULL.
        distinct: how many different values, estimated.
        null_fraction: share of NULL, 0 to 1.
        width_bytes: average.
        correlation: of physical order and value, -1 to 1 (PostgreSQL's `pg_stats.correlation`).
        common_fractions: shares of the most common values, highest first, 0 to 1; the values stay away.
    """

    name: str
    type: str
    is_nullable: bool = True
    distinct: float | None = None
    null_fraction: float | None = None
    width_bytes: int | None = None
    correlation: float | None = None
    common_fractions: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Index:
    """One index that exists.

    Attributes:
        name: of the index.
        table: that it is on.
        columns: keys in order: columns or expressions in canonical form, ` DESC` behind a descending one.
        includes: columns that are stored, not sorted by.
        method: `btree`, `hash`, `gin`, `gist`, `brin`, …
        predicate: of a partial index, in canonical form; "" for a whole one.
        is_unique: whether it enforces uniqueness.
        is_primary: whether it is the primary key's.
        is_valid: False after a failed `CREATE INDEX CONCURRENTLY`.
        size_bytes: on disk, if known.
        scans: since statistics were reset, if known.
    """

    name: str
    table: str
    columns: tuple[str, ...]
    includes: tuple[str, ...] = ()
    method: str = "btree"
    predicate: str = ""
    is_unique: bool = False
    is_primary: bool = False
    is_valid: bool = True
    size_bytes: int | None = None
    scans: int | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns whose values stand in another table."""

    columns: tuple[str, ...]
    references: str
    referenced_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `rows` and `size_bytes` are estimates, None where the database has none."""

    name: str
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    rows: int | None = None
    size_bytes: int | None = None
    modified_since_analyze: int | None = None
    """Rows changed since the statistics were gathered."""
    is_partitioned: bool = False
    partition_key: tuple[str, ...] = ()
    """Columns that decide the partition, those inside an expression too."""
    partitions: tuple[str, ...] = ()
    """Names of its partitions, leaves only: tables in PostgreSQL, parts of the table elsewhere."""

    def column(self, name: str) -> Column | None:
        """By name, in either case."""
        wanted = name.casefold()
        return next((column for column in self.columns if column.name.casefold() == wanted), None)

    def has_unique_key(self, columns: Iterable[str]) -> bool:
        """Whether equality on these columns leaves at most one row."""
        known = {name.casefold() for name in columns}
        return any(
            index.is_unique and not index.predicate and {key.casefold() for key in index.columns} <= known
            for index in self.indexes
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables by name: as written in statements, with or without a namespace, in either case."""

    tables: tuple[Table, ...] = ()
    default_namespace: str = ""
    """What a name without a dot belongs to: `public`, the MySQL database, `main`."""
    search_path: tuple[str, ...] = ()
    """Namespaces in which such a name is looked for, in order; the default one alone when it is empty."""
    _by_name: Mapping[str, Table] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {table.name.casefold(): table for table in self.tables}
        places = [name.rpartition(".") for name in known]
        for wanted in self.search_path or (self.default_namespace,):
            for namespace, dot, bare in places:
                if namespace == wanted.casefold():
                    known.setdefault(bare, known[f"{namespace}{dot}{bare}"])
        object.__setattr__(self, "_by_name", known)

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def table(self, name: str) -> Table | None:
        """None when nothing is known of it."""
        wanted = name.casefold().replace('"', "").replace("`", "")
        found = self._by_name.get(wanted)
        if found is not None:
            return found
        namespace, _, bare = wanted.rpartition(".")
        if namespace != self.default_namespace.casefold():
            return None
        without = self._by_name.get(bare)
        return without if without is not None and "." not in without.name else None
