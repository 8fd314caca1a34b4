"""Candidates: the indexes that could serve a statement, told from its text and the statistics alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import Final

from tickspan.analysis.indexes.access import Access
from tickspan.analysis.indexes.ddl import column_of
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.schema import Column, Index, Table

__all__ = ["MIN_ROWS", "best_guess", "candidates", "covers", "is_provided", "trigram_hint"]

MIN_ROWS: Final = 500
"""Below that a table is read whole, whatever indexes it has."""

MAX_WIDTH: Final = 3
_MAX_INCLUDES: Final = 4
_MAX_INCLUDE_BYTES: Final = 64
_MAX_PARTIAL_FRACTION: Final = 0.2
_MAX_PARTIAL_DISTINCT: Final = 200
_BRIN_CORRELATION: Final = 0.95
_BRIN_ROWS: Final = 1_000_000
_UNSORTED: Final = ("json", "xml", "bytea", "blob", "tsvector", "point", "polygon", "geometry", "box", "[]")
_LONG_IN_MYSQL: Final = ("text", "blob", "json", "geometry")


def candidates(access: Access, table: Table | None, dialect: Dialect) -> tuple[IndexSpec, ...]:
    """All of them, narrow ones first; none that the table has, or that is the start of one it has.

    Args:
        access: of one statement to one table.
        table: what is known of it; None for nothing.
        dialect: decides whether an index may have INCLUDE, a predicate, expressions.
    """
    if not _is_worth_it(table):
        return ()
    found = [
        IndexSpec(access.table, keys)
        for keys in dict.fromkeys(_key_lists(access, table))
        if all(_is_sortable(key, table, dialect) for key in keys)
    ]
    plain = [spec for spec in found if not is_provided(spec, table, access.equals)]
    more = [
        *_covering(found, access, table, dialect),
        *_partial(plain, access, table, dialect),
        *_expressions(access, dialect),
        *_block_ranges(access, table, dialect),
    ]
    return tuple(
        dict.fromkeys([*plain, *(spec for spec in more if not is_provided(spec, table, access.equals))])
    )


def best_guess(access: Access, table: Table | None, dialect: Dialect) -> IndexSpec | None:
    """The one to name when nobody can be asked: equal columns, then the range or else the order.

    Join columns stand in for equal ones where there is neither one of these nor a range.

    None when nothing asks for an index, or when the table has one that serves.
    """
    if not _is_worth_it(table):
        return None
    leading = _by_distinct(access.equals or (() if access.ranges else access.joins), table)[:MAX_WIDTH]
    tail = access.ranges[:1] or access.order
    keys = _distinct_columns([*leading, *tail])[:MAX_WIDTH]
    if not keys and access.expressions and dialect is not Dialect.MYSQL:
        return IndexSpec(access.table, access.expressions[:1])
    if not keys or not all(_is_sortable(key, table, dialect) for key in keys):
        return None
    if table is not None and table.has_unique_key(column_of(key) for key in access.equals):
        return None
    spec = IndexSpec(access.table, tuple(keys))
    return None if is_provided(spec, table, access.equals) else spec


def trigram_hint(access: Access, dialect: Dialect) -> str:
    """What would serve a LIKE that starts with a wildcard; "" when there is none, or no such index."""
    if not access.searched or dialect is not Dialect.POSTGRESQL:
        return ""
    column = access.searched[0]
    return (
        f"LIKE '%...%' on {access.table}.{column} reads every row: a trigram index serves it, "
        f"CREATE EXTENSION pg_trgm; CREATE INDEX CONCURRENTLY ON {access.table} "
        f"USING gin ({column} gin_trgm_ops)"
    )


def is_provided(spec: IndexSpec, table: Table | None, equals: Collection[str] = ()) -> bool:
    """Whether an index that is there does the same; `equals` have one value in each search."""
    return table is not None and any(
        index.is_valid and index.method == spec.method and covers(spec, index, equals)
        for index in table.indexes
    )


def covers(spec: IndexSpec, index: Index | IndexSpec, equals: Collection[str] = ()) -> bool:
    """Whether an index serves all that `spec` would, read forwards or backwards.

    Its keys begin with the keys of `spec`, and it holds the columns. The direction of `equals` is all one.
    """
    keys = index.columns if isinstance(index, Index) else index.keys
    if index.predicate not in {"", spec.predicate} or len(keys) < len(spec.keys):
        return False
    fixed = {name.casefold() for name in equals}
    start = [_directed(key, fixed) for key in keys[: len(spec.keys)]]
    wanted = [_directed(key, fixed) for key in spec.keys]
    held = {column_of(key).casefold() for key in (*keys, *index.includes)}
    return (start in (wanted, [_turned(key, fixed) for key in wanted])) and {
        column.casefold() for column in spec.includes
    } <= held


def _directed(key: str, fixed: Collection[str]) -> str:
    folded = key.casefold().replace('"', "").replace("`", "")
    bare = folded.removesuffix(" desc")
    return bare if bare in fixed else folded


def _turned(key: str, fixed: Collection[str]) -> str:
    if key in fixed:
        return key
    return key.removesuffix(" desc") if key.endswith(" desc") else f"{key} desc"


def _is_worth_it(table: Table | None) -> bool:
    return table is None or table.rows is None or table.rows >= MIN_ROWS


# -- keys


def _key_lists(access: Access, table: Table | None) -> Iterator[tuple[str, ...]]:
    """Lists of keys, each once by the caller: equal columns, a join column, then one kind of tail."""
    equals = _by_distinct(access.equals, table)
    bounded = (*access.ranges, *access.prefixed)
    for column in dict.fromkeys((*equals, *access.joins, *bounded)):
        yield (column,)
    tails: list[tuple[str, ...]] = [(), *((column,) for column in bounded)]
    for sorting in (access.order, access.groups):
        tails += [sorting[:width] for width in range(1, min(len(sorting), MAX_WIDTH) + 1)]
    for leading in _leadings(equals, access.joins):
        for tail in tails:
            keys = _distinct_columns([*leading, *tail])
            if 0 < len(keys) <= MAX_WIDTH:
                yield tuple(keys)
    for pair in combinations(access.joins, 2):
        yield pair
        yield pair[::-1]


def _leadings(equals: Sequence[str], joins: Sequence[str]) -> Iterator[tuple[str, ...]]:
    chosen = [tuple(equals[:width]) for width in range(min(len(equals), MAX_WIDTH) + 1)]
    chosen += [(column,) for column in equals[1:MAX_WIDTH]]
    for some in dict.fromkeys(chosen):
        yield some
        for column in joins:
            yield (column, *some)
            yield (*some, column)


def _by_distinct(columns: Sequence[str], table: Table | None) -> list[str]:
    """Most distinct values first; in order of appearance where that is not known."""
    return sorted(dict.fromkeys(columns), key=lambda name: -_distinct(name, table))


def _distinct(name: str, table: Table | None) -> float:
    column = None if table is None else table.column(name)
    return 0.0 if column is None or column.distinct is None else column.distinct


def _distinct_columns(keys: Sequence[str]) -> list[str]:
    """Keys without those whose column stands before them."""
    found: dict[str, str] = {}
    for key in keys:
        found.setdefault(column_of(key).casefold(), key)
    return list(found.values())


def _is_sortable(key: str, table: Table | None, dialect: Dialect) -> bool:
    """Whether a B-tree of this dialect can hold a key; a column that the table lacks it cannot."""
    if table is None or not table.columns:
        return True
    column = table.column(column_of(key))
    unsorted = {Dialect.MYSQL: _LONG_IN_MYSQL, Dialect.SQLITE: ()}.get(dialect, _UNSORTED)
    return column is not None and not any(word in column.type for word in unsorted)


# -- richer forms


def _covering(
    specs: Sequence[IndexSpec], access: Access, table: Table | None, dialect: Dialect
) -> Iterator[IndexSpec]:
    """The same with all columns that the statement reads, so that the table is not read at all."""
    if access.reads is None or table is None or len(access.reads) == len(table.columns):
        return  # whole rows: an index with all of them is the table once more
    equals = {name.casefold() for name in access.equals}
    stored = _stored_anyway(table, dialect)
    for spec in specs:
        keys = {column_of(key).casefold() for key in spec.keys}
        if not equals <= keys and len(equals) < MAX_WIDTH:
            continue
        others = [name for name in access.reads if name.casefold() not in keys | stored]
        columns = [table.column(name) for name in others]
        if not 0 < len(others) <= _MAX_INCLUDES or not _are_narrow(columns):
            continue
        if dialect is Dialect.POSTGRESQL or all(_is_sortable(name, table, dialect) for name in others):
            yield IndexSpec(spec.table, spec.keys, includes=tuple(others))


def _stored_anyway(table: Table, dialect: Dialect) -> set[str]:
    """The primary key, which every other index of InnoDB and of SQLite holds."""
    if dialect is Dialect.POSTGRESQL:
        return set()
    return {key.casefold() for index in table.indexes if index.is_primary for key in index.columns}


def _are_narrow(columns: Sequence[Column | None]) -> bool:
    width = 0
    for column in columns:
        if column is None:
            return False
        if any(word in column.type for word in _UNSORTED):
            return False
        width += 8 if column.width_bytes is None else column.width_bytes
    return width <= _MAX_INCLUDE_BYTES


def _partial(
    specs: Sequence[IndexSpec], access: Access, table: Table | None, dialect: Dialect
) -> Iterator[IndexSpec]:
    """For a constant of a column with few, unevenly spread values: only the rows that have it."""
    if dialect is Dialect.MYSQL or table is None:
        return
    for name, text in access.constants:
        column = table.column(name)
        if column is None or not _may_be_rare(column):
            continue
        for spec in specs:
            keys = tuple(key for key in spec.keys if column_of(key).casefold() != name.casefold())
            if keys:
                yield IndexSpec(spec.table, keys, predicate=text)


def _may_be_rare(column: Column) -> bool:
    """Whether some value is on less than 20 % of rows, and the values are few enough to be states."""
    distinct = column.distinct
    if distinct is None or not 1 < distinct <= _MAX_PARTIAL_DISTINCT:
        return column.null_fraction is not None and column.null_fraction > 1 - _MAX_PARTIAL_FRACTION
    return 1 / distinct < _MAX_PARTIAL_FRACTION or min(column.common_fractions, default=1.0) < (
        _MAX_PARTIAL_FRACTION
    )


def _expressions(access: Access, dialect: Dialect) -> Iterator[IndexSpec]:
    if dialect is Dialect.MYSQL:
        return
    for text in access.expressions:
        yield IndexSpec(access.table, (text,))
    if dialect is Dialect.POSTGRESQL:
        for column in access.prefixed:
            yield IndexSpec(access.table, (f"{column} text_pattern_ops",))


def _block_ranges(access: Access, table: Table | None, dialect: Dialect) -> Iterator[IndexSpec]:
    if dialect is not Dialect.POSTGRESQL or table is None or (table.rows or 0) < _BRIN_ROWS:
        return
    for name in access.ranges:
        column = table.column(name)
        if column is not None and abs(column.correlation or 0.0) > _BRIN_CORRELATION:
            yield IndexSpec(access.table, (name,), method="brin")
