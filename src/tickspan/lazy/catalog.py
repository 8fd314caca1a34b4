"""What a database says of a table: its columns, which may be NULL, and what makes its rows unique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tickspan.lazy.keyset import KeyColumn

_ROWIDS: Final = ("rowid", "_rowid_", "oid")
_PARTIAL: Final = ("postgresql_where", "sqlite_where")


@dataclass(frozen=True, slots=True)
class Catalog:
    """A table.

    Attributes:
        columns: by name, in the table's order.
        nullable: those that may be NULL.
        primary: the columns of the primary key.
        unique: sets of columns that no two rows share.
        rowid: a hidden column that numbers the rows, which SQLite has; else "".
    """

    columns: Mapping[str, sa.types.TypeEngine[Any]]
    nullable: frozenset[str]
    primary: tuple[str, ...]
    unique: tuple[frozenset[str], ...]
    rowid: str = ""

    def complete(self, key: Iterable[KeyColumn]) -> tuple[KeyColumn, ...]:
        """`key` with the primary key behind it, unless it is unique by itself.

        Raises:
            ValueError: there is neither, or a name is no column's.
        """
        wanted = tuple(key)
        self.check(column.name for column in wanted)
        if any(unique <= {column.name for column in wanted} for unique in self.unique):
            return wanted
        is_descending = bool(wanted) and wanted[-1].is_descending
        named = {column.name for column in wanted}
        tail = self.primary if frozenset(self.primary) in self.unique else (*self.primary, self.rowid)
        if not any(tail) or (not self.rowid and tail != self.primary):
            raise ValueError(
                "the table has no primary key, and the key is not unique: name columns with a unique index "
                "and NOT NULL, or read it by lazy.stream"
            )
        return wanted + tuple(KeyColumn(name, is_descending) for name in tail if name not in named)

    def check(self, names: Iterable[str]) -> None:
        """Raises ValueError for a name that is no column's."""
        unknown = [name for name in names if name not in self.columns and name != self.rowid]
        if unknown:
            raise ValueError(
                f"no column {', '.join(map(repr, unknown))}; there are {', '.join(self.columns)}"
            )


def catalog_of(connection: sa.Connection, table: str, schema: str | None) -> Catalog:
    """What the database says of `table`. Raises `sqlalchemy.exc.NoSuchTableError`."""
    inspector = sa.inspect(connection)
    found = inspector.get_columns(table, schema)
    columns: dict[str, sa.types.TypeEngine[Any]] = {column["name"]: column["type"] for column in found}
    primary = tuple(inspector.get_pk_constraint(table, schema)["constrained_columns"])
    nullable = {column["name"] for column in found if column["nullable"]}
    is_sqlite = connection.dialect.name == "sqlite"
    if not is_sqlite:
        nullable -= set(primary)
    elif len(primary) == 1 and str(columns[primary[0]]).upper() == "INTEGER":
        nullable -= set(primary)  # an alias of the rowid; other primary keys of SQLite may hold NULL
    unique = {frozenset(primary), *_uniques(inspector, table, schema)}
    return Catalog(
        columns,
        frozenset(nullable),
        primary,
        tuple(one for one in unique if one and not one & nullable),
        _rowid(connection, table, schema, columns) if is_sqlite else "",
    )


def _uniques(inspector: sa.Inspector, table: str, schema: str | None) -> Iterable[frozenset[str]]:
    for constraint in inspector.get_unique_constraints(table, schema):
        yield frozenset(constraint["column_names"])
    for index in inspector.get_indexes(table, schema):
        names = index["column_names"]
        options: Mapping[str, Any] = index.get("dialect_options", {})
        if index["unique"] and None not in names and not any(options.get(option) for option in _PARTIAL):
            yield frozenset(name for name in names if name is not None)


def _rowid(connection: sa.Connection, table: str, schema: str | None, columns: Mapping[str, Any]) -> str:
    """The name under which SQLite's row number can be asked for; "" for a view or a table without one."""
    catalog = f"{_quoted(connection, schema)}.sqlite_master" if schema else "sqlite_master"
    text: str | None = connection.execute(
        sa.text(f"SELECT sql FROM {catalog} WHERE type = 'table' AND name = :name"),  # noqa: S608 - quoted
        {"name": table},
    ).scalar()
    if text is None or "WITHOUTROWID" in "".join(text.upper().split()):
        return ""
    free = (name for name in _ROWIDS if name not in {column.lower() for column in columns})
    return next(free, "")


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
