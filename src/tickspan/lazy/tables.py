"""Tables and queries by keyset paging: a page costs the same wherever it is, and any row can be resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, Literal

import sqlalchemy as sa

from tickspan.lazy.catalog import Catalog, catalog_of
from tickspan.lazy.engines import (
    AnyEngine,
    AnySelect,
    Engine,
    Work,
    begin_snapshot,
    checked_statement,
    engine_of,
    is_bound_to_thread,
    reader_of,
)
from tickspan.lazy.keyset import KeyColumn, Ordered, beyond, has_row_values, nulls_are_large
from tickspan.lazy.making import Into, Make, checked, maker
from tickspan.lazy.source import AsyncReader, Chunk, Dataset, Position, Reader
from tickspan.lazy.token import TokenError, written_values

__all__ = ["KeyColumn", "select", "table"]

Key = str | KeyColumn
_POSITION: Final = "tickspan_key_"
_HEAD: Final = "tickspan_head_"
_LIMIT: Final = "tickspan_limit"
_ROWS: Final = "tickspan_rows"
_INEXACT: Final = {"mysql": (sa.Float, sa.Enum), "mariadb": (sa.Float, sa.Enum)}
"""Types whose values do not come back as they are ordered: FLOAT is rounded, ENUM is ordered by number."""


def table(
    engine: AnyEngine,
    name: str,
    *,
    where: str | None = None,
    params: Mapping[str, Any] | None = None,
    key: Iterable[Key] | Key | None = None,
    columns: Iterable[str] | None = None,
    schema: str | None = None,
    until: Literal["start"] | None = None,
    snapshot: bool = False,
    settle_s: float = 0.0,
    into: Into = "tuple",
) -> Dataset[Any]:
    """The rows of a table or view in the order of a key, paged by that key.

    ```python
    lazy.table(engine, "trades", where="ts > :t", params={"t": t0}, key=("ts", "id"))
    ```

    Rows are tuples of values as the driver gives them; `lazy.select` of a SQLAlchemy Core statement converts
    them to the types of its columns. An index should begin with the key. The primary key is appended to a key
    that is not unique; the catalog is asked for it once for each source.

    While the table is written to, a row whose key stays comes once or, when it is inserted behind the place
    that is being read or deleted, not at all; a row whose key is changed meanwhile may come twice or not at
    all, unless `snapshot`.

    Args:
        engine: an `Engine`, an `AsyncEngine`, a URL, or a function that makes a `sqlite3` connection.
        name: of the table, perhaps `schema.table`.
        where: a condition in SQL. It is your text: bring values in by `:name` and `params` only. A tuple as a
            value is for `IN :name`.
        params: values for it.
        key: columns, `"-ts"` for descending; the primary key when not given.
        columns: to read; all when not given.
        schema: of the table, instead of `schema.table`.
        until: "start" reads no further than the last key that is there when reading starts.
        snapshot: read everything in one transaction that sees one moment, and holds one connection:
            REPEATABLE READ on PostgreSQL, a consistent snapshot on MariaDB, a read transaction on SQLite.
        settle_s: for keys that grow, such as an identity: look at the last key, wait so long, and read no
            further. Transactions that took lower keys and committed later are read then.
        into: "tuple", "named", "dict", or a function of a row's values.

    Raises:
        TypeError: `engine` is none.
        ValueError: an argument is out of its range. Reading raises ValueError for names that are no columns,
            and for a table that has no unique key.
    """
    given_schema, _, bare = ("", "", name) if schema is not None else name.rpartition(".")
    if not bare:
        raise ValueError(f"expected the name of a table, got {name!r}")
    return _Keyset(
        engine_of(engine),
        _Table(
            bare,
            schema or given_schema or None,
            where,
            dict(params or {}),
            _key(key),
            None if columns is None else tuple(columns),
        ),
        _Reach(until, snapshot, settle_s),
        checked(into),
    )


def select(
    engine: AnyEngine,
    statement: str | AnySelect,
    *,
    key: Iterable[Key] | Key,
    params: Mapping[str, Any] | None = None,
    not_null: bool = False,
    name: str = "select",
    until: Literal["start"] | None = None,
    snapshot: bool = False,
    settle_s: float = 0.0,
    into: Into = "tuple",
) -> Dataset[Any]:
    """The rows of any query in the order of a key, paged by that key.

    The query becomes a subquery, so the database must be able to see through it for a page to be cheap. Leave
    ORDER BY out. Of a SQLAlchemy Core statement rows are SQLAlchemy's, with the types of its columns.

    Args:
        engine: as for `table`.
        statement: SQL text or a Core `select()`.
        key: columns of the result that are unique together; `"-ts"` for descending.
        params: values for `:name` in the statement.
        not_null: whether no column of the key is ever NULL, where a Core statement does not say so itself.
            Pages of a key that might be NULL are dearer in some databases.
        name: of the dataset, in telemetry.
        until: as for `table`.
        snapshot: as for `table`.
        settle_s: as for `table`.
        into: as for `table`.

    Raises:
        TypeError: `engine` or `statement` is none.
        ValueError: as for `table`; reading raises it also when two rows have the same key, rather than losing
            one.
    """
    columns = _key(key)
    if not columns:
        raise ValueError("a query needs a key: the columns of its result that are unique together")
    return _Keyset(
        engine_of(engine),
        _Query(name, checked_statement(statement), dict(params or {}), columns, not_null),
        _Reach(until, snapshot, settle_s),
        checked(into),
    )


def _key(key: Iterable[Key] | Key | None) -> tuple[KeyColumn, ...]:
    if key is None:
        return ()
    named = (key,) if isinstance(key, str | KeyColumn) else tuple(key)
    columns = tuple(KeyColumn.of(one) for one in named)
    if len({column.name for column in columns}) != len(columns):
        raise ValueError("a column stands twice in the key")
    return columns


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far, and of which moment."""

    until: str | None
    is_snapshot: bool
    settle_s: float

    def __post_init__(self) -> None:
        if self.until not in {None, "start"}:
            raise ValueError(f"until must be 'start' or None, not {self.until!r}")
        if self.settle_s < 0:
            raise ValueError(f"settle_s must not be negative, got {self.settle_s}")

    @property
    def has_head(self) -> bool:
        """Whether reading ends at a key that is looked up when it starts."""
        return self.until == "start" or self.settle_s > 0


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is known of the rows once the database has been asked.

    Attributes:
        source: what stands after FROM.
        condition: of the caller's.
        selected: what is read, hidden columns of the key last.
        hidden: how many these are.
        names: of all that is read; empty when the result tells them.
        key: how rows are ordered.
        key_names: of its columns.
        has_unique_key: whether the database vouches for it.
        is_typed: whether SQLAlchemy converts values.
        summary: for telemetry.
    """

    source: sa.FromClause | sa.TextClause
    condition: sa.TextClause | None
    selected: Sequence[Any]
    hidden: int
    names: tuple[str, ...]
    key: tuple[Ordered, ...]
    key_names: tuple[str, ...]
    has_unique_key: bool
    is_typed: bool
    summary: str


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, as the caller describes it."""

    name: str
    schema: str | None
    where: str | None
    params: dict[str, Any]
    key: tuple[KeyColumn, ...]
    columns: tuple[str, ...] | None

    @property
    def fingerprint(self) -> str:
        """Everything that a position depends on."""
        key = [(column.name, column.is_descending) for column in self.key]
        return repr(("table", self.schema, self.name, self.where, written_values(self.params), key))

    def shape(self, connection: sa.Connection) -> _Shape:
        """Ask the catalog. Raises ValueError for unknown columns and for a table without a unique key."""
        catalog = catalog_of(connection, self.name, self.schema)
        wanted = tuple(catalog.columns) if self.columns is None else self.columns
        catalog.check(wanted)
        key = catalog.complete(self.key)
        hidden = tuple(column.name for column in key if column.name not in wanted)
        dialect = connection.dialect.name
        return _Shape(
            source=sa.table(self.name, schema=self.schema),
            condition=None if self.where is None else _text(f"({self.where}\n)", self.params),
            selected=[sa.column(name) for name in (*wanted, *hidden)],
            hidden=len(hidden),
            names=(*wanted, *hidden),
            key=tuple(_ordered(column, catalog, dialect) for column in key),
            key_names=tuple(column.name for column in key),
            has_unique_key=True,
            is_typed=False,
            summary=f"SELECT {self.name}",
        )


def _ordered(column: KeyColumn, catalog: Catalog, dialect: str) -> Ordered:
    kind = catalog.columns.get(column.name)
    is_inexact = isinstance(kind, _INEXACT.get(dialect, ())) and not isinstance(kind, sa.Double)
    if is_inexact:
        raise ValueError(
            f"{column.name} cannot be paged by: a {type(kind).__name__} does not come back exactly"
        )
    return Ordered(
        sa.column(column.name),
        column.is_descending,
        is_nullable=column.name in catalog.nullable,
        nulls_last=nulls_are_large(dialect) != column.is_descending,
        cast=kind if isinstance(kind, sa.REAL) and dialect == "postgresql" else None,
    )


def _text(text: str, params: Mapping[str, Any]) -> sa.TextClause:
    many = [sa.bindparam(name, expanding=True) for name, value in params.items() if isinstance(value, tuple)]
    return sa.text(text).bindparams(*many)


@dataclass(frozen=True, slots=True)
class _Query:
    """A query, as the caller describes it."""

    name: str
    statement: str | AnySelect
    params: dict[str, Any]
    key: tuple[KeyColumn, ...]
    is_not_null: bool

    @property
    def fingerprint(self) -> str:
        """Everything that a position depends on."""
        key = [(column.name, column.is_descending) for column in self.key]
        values: Mapping[str, Any] = self.params
        if not isinstance(self.statement, str):
            values = {**self.statement.compile().params, **self.params}
        return repr(("select", str(self.statement), written_values(values), key))

    def shape(self, connection: sa.Connection) -> _Shape:
        """Make a subquery of it. Raises ValueError for names that are no columns of a Core statement."""
        dialect = connection.dialect.name
        if isinstance(self.statement, str):
            source = _text(f"({self.statement.rstrip().rstrip(';')}\n) AS {_ROWS}", self.params)
            found = {column.name: sa.column(column.name) for column in self.key}
            return self._shaped(source, [sa.literal_column(f"{_ROWS}.*")], (), found, dialect, is_typed=False)
        subquery = self.statement.subquery(_ROWS)
        columns: dict[str, Any] = dict(subquery.c.items())
        unknown = [column.name for column in self.key if column.name not in columns]
        if unknown:
            raise ValueError(f"no column {', '.join(map(repr, unknown))}; there are {', '.join(columns)}")
        return self._shaped(subquery, list(columns.values()), tuple(columns), columns, dialect, is_typed=True)

    def _shaped(
        self,
        source: sa.FromClause | sa.TextClause,
        selected: list[Any],
        names: tuple[str, ...],
        columns: Mapping[str, Any],
        dialect: str,
        *,
        is_typed: bool,
    ) -> _Shape:
        return _Shape(
            source=source,
            condition=None,
            selected=selected,
            hidden=0,
            names=names,
            key=tuple(
                Ordered(
                    columns[column.name],
                    column.is_descending,
                    is_nullable=not self.is_not_null and _may_be_null(columns[column.name]),
                    nulls_last=nulls_are_large(dialect) != column.is_descending,
                )
                for column in self.key
            ),
            key_names=tuple(column.name for column in self.key),
            has_unique_key=False,
            is_typed=is_typed,
            summary="SELECT",
        )


def _may_be_null(column: Any) -> bool:
    return any(getattr(base, "nullable", True) for base in column.base_columns)


class _Keyset(Dataset[Any]):
    def __init__(self, engine: Engine, rows: _Table | _Query, reach: _Reach, into: Into) -> None:
        self._engine = engine
        self._rows = rows
        self._reach = reach
        self._into: Into = into
        self._known: list[_Statements] = []
        self.is_bound_to_thread = is_bound_to_thread(engine)

    def __repr__(self) -> str:
        return f"<{'table' if isinstance(self._rows, _Table) else 'select'} {self.name}>"

    @property
    def name(self) -> str:
        return self._rows.name

    @property
    def fingerprint(self) -> str:
        return self._rows.fingerprint

    def open(self) -> Reader[Any] | AsyncReader[Any]:
        return reader_of(self._engine, _KeysetWork(self._rows, self._reach, self._into, self._known))


@dataclass(slots=True)
class _Statements:
    """The statements of one shape, made once for each pattern of NULLs."""

    shape: _Shape
    row_values: bool
    made: dict[tuple[Any, ...], AnySelect] = field(default_factory=dict[tuple[Any, ...], Any])

    def page(self, position: tuple[bool, ...] | None, head: tuple[bool, ...] | None) -> AnySelect:
        """The rows after a position and up to a head, of which is known what is NULL."""
        known = self.made.get((position, head))
        if known is not None:
            return known
        key = self.shape.key
        statement = self._all(self.shape.selected).order_by(*(column.order() for column in key))
        if position is not None:
            statement = statement.where(beyond(key, position, _POSITION, row_values=self.row_values))
        if head is not None:
            back = [column.reversed() for column in key]
            statement = statement.where(
                beyond(back, head, _HEAD, row_values=self.row_values, is_inclusive=True)
            )
        statement = statement.limit(sa.bindparam(_LIMIT, type_=sa.Integer))
        self.made[position, head] = statement
        return statement

    def head(self) -> AnySelect:
        """The key of the last row."""
        key = self.shape.key
        backwards = (column.reversed().order() for column in key)
        return self._all([column.expression for column in key]).order_by(*backwards).limit(1)

    def _all(self, selected: Sequence[Any]) -> AnySelect:
        statement = sa.select(*selected).select_from(self.shape.source)
        return statement if self.shape.condition is None else statement.where(self.shape.condition)


class _KeysetWork(Work[Any]):
    """Pages of one reading; `known` has the statements once a reading of this source has made them."""

    def __init__(self, rows: _Table | _Query, reach: _Reach, into: Into, known: list[_Statements]) -> None:
        self._rows = rows
        self._reach = reach
        self._into: Into = into
        self._head: tuple[Any, ...] | None = None
        self._has_observed = False
        self._known = known
        self._make: Make | None = None
        self._pick: Callable[[Any], Any] | None = None
        self.settle_s = reach.settle_s
        self.is_holding = reach.is_snapshot

    def observe(self, connection: sa.Connection) -> None:
        statements = self._prepared(connection)
        row = connection.execute(statements.head(), self._rows.params).first()
        self._head = None if row is None else tuple(row)
        self._has_observed = True

    def begin(self, connection: sa.Connection) -> None:
        begin_snapshot(connection)

    def read(self, connection: sa.Connection, position: Position, limit: int) -> Chunk[Any]:
        statements = self._prepared(connection)
        if self._reach.has_head and not self._has_observed:
            self.observe(connection)
        if self._reach.has_head and self._head is None:
            return Chunk((), None)
        key = None if position is None else _checked_key(position, len(statements.shape.key))
        asked = limit if statements.shape.has_unique_key else limit + 1
        statement = statements.page(_nulls(key), _nulls(self._head))
        params = {
            **self._rows.params,
            **_bound(_POSITION, key),
            **_bound(_HEAD, self._head),
            _LIMIT: asked,
        }
        return self._chunk(connection.execute(statement, params), statements.shape, limit, asked)

    def _prepared(self, connection: sa.Connection) -> _Statements:
        if not self._known:
            shape = self._rows.shape(connection)
            self._known.append(_Statements(shape, has_row_values(connection.dialect.name)))
        statements = self._known[0]
        self.summary = statements.shape.summary
        return statements

    def _chunk(self, result: sa.CursorResult[Any], shape: _Shape, limit: int, asked: int) -> Chunk[Any]:
        if self._pick is None:
            self._learn(shape, tuple(result.keys()))
        raw = _fetched(result, is_typed=shape.is_typed)
        is_last = len(raw) < asked
        began = time.perf_counter()
        pick = self._pick
        assert pick is not None
        if not shape.has_unique_key:
            _refuse_ties(list(map(pick, raw)), shape.key_names)
            raw = raw[:limit]
        rows = [row[: -shape.hidden] for row in raw] if shape.hidden else raw
        made = rows if self._make is None else self._make(rows)
        key_at = _keys_of(raw, pick, len(shape.key), is_kept=made is raw)
        return Chunk(
            made,
            None if is_last else key_at(len(raw)),
            position_at=key_at,
            decode_s=time.perf_counter() - began if made is not raw else 0.0,
        )

    def _learn(self, shape: _Shape, told: tuple[str, ...]) -> None:
        """How keys are taken from rows, and what rows become."""
        names = shape.names or told
        unknown = [name for name in shape.key_names if name not in names]
        if unknown:
            raise ValueError(f"no column {', '.join(map(repr, unknown))}; there are {', '.join(names)}")
        places = [names.index(name) for name in shape.key_names]
        self._pick = itemgetter(*places)
        self._make = maker(self._into, self._rows.name, names[: len(names) - shape.hidden])


def _fetched(result: sa.CursorResult[Any], *, is_typed: bool) -> list[Any]:
    """All rows of a result; as tuples of the driver's, where SQLAlchemy has nothing to convert."""
    cursor: Any = result.cursor
    if is_typed or cursor is None:
        return list(result.fetchall())
    rows = cursor.fetchall()
    result.close()
    if rows and type(rows[0]) is not tuple:
        return list(map(tuple, rows))
    return rows if isinstance(rows, list) else list(rows)


def _keys_of(
    raw: Sequence[Any], pick: Callable[[Any], Any], length: int, *, is_kept: bool
) -> Callable[[int], tuple[Any, ...]]:
    """The key of the nth row, from 1 on; without keeping the rows, unless they are kept anyway."""
    if is_kept:
        return lambda count: _as_tuple(pick(raw[count - 1]), length)
    keys = list(map(pick, raw))
    return lambda count: _as_tuple(keys[count - 1], length)


def _as_tuple(picked: Any, length: int) -> tuple[Any, ...]:
    return (picked,) if length == 1 else picked


def _checked_key(position: Position, length: int) -> tuple[Any, ...]:
    if not isinstance(position, tuple) or len(position) != length:
        raise TokenError(f"the token is not of this key, which has {length} columns")
    return position


def _nulls(key: tuple[Any, ...] | None) -> tuple[bool, ...] | None:
    return None if key is None else tuple(value is None for value in key)


def _bound(prefix: str, key: tuple[Any, ...] | None) -> dict[str, Any]:
    return {f"{prefix}{number}": value for number, value in enumerate(key or ()) if value is not None}


def _refuse_ties(keys: Sequence[Any], names: Sequence[str]) -> None:
    if any(one == other for one, other in pairwise(keys)):
        raise ValueError(
            f"the key {', '.join(names)} is not unique: two rows have the same. Add columns until it is, or "
            "a page that ends between them would lose one"
        )
