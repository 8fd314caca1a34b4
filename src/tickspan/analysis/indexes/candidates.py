"""Candidates: the indexes that could serve a statement, told from its text and the statistics alone."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from tickspan.analysis.indexes.access import Access
from tickspan.analysis.indexes.ddl import column_of
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.schema import Column, Index, Table

__all__ = ["MAX_PARTIAL_SHARE", "MIN_ROWS", "best_guess", "candidates", "covers", "is_provided", "trigram"]

MIN_ROWS: Final = 500
"""Below that a table is read whole, whatever indexes it has."""

MAX_PARTIAL_SHARE: Final = 0.2
"""Of the rows; a partial index with more of them is little smaller than a whole one, and serves less."""

MAX_WIDTH: Final = 3
_MAX_INCLUDES: Final = 4
_MAX_INCLUDE_BYTES: Final = 64
_MAX_PARTIAL_DISTINCT: Final = 200
_IS_NULL: Final = " IS NULL"
_IS_SET: Final = " IS NOT NULL"
_BRIN_CORRELATION: Final = 0.95
_BRIN_ROWS: Final = 1_000_000
_VALUE: Final = "?"
_CAST: Final = re.compile(r"::(?:text|character varying)\b")
"""Of a column in an expression: PostgreSQL writes it where the statement does not."""

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


def trigram(access: Access, table: Table | None, dialect: Dialect) -> IndexSpec | None:
    """What would serve a LIKE that starts with a wildcard: an index that no what-if can try.

    None where the table has such an index, where few rows are left to search, and where no LIKE asks for it.
    """
    if dialect is not Dialect.POSTGRESQL or not access.searched or not _is_worth_it(table):
        return None
    if _rows_left(access, table) < MIN_ROWS:
        return None
    for name in access.searched:
        column = None if table is None else table.column(name)
        if table is None or not table.columns or (column is not None and _is_text(column, table)):
            return IndexSpec(access.table, (f"{name} gin_trgm_ops",), method="gin")
    return None


def _rows_left(access: Access, table: Table | None) -> float:
    """Rows that equality leaves, by an index that there is or that is advised besides; 0 when unknown."""
    named = (*access.equals, *access.joins, *access.ranges, *access.prefixed, *access.expressions)
    if not named:
        return float("inf")
    if table is None or table.rows is None or len(named) > len(access.equals):
        return 0.0
    left = float(table.rows)
    for name in access.equals:
        left /= max(_distinct(name, table), 1.0)
    return left


def _is_text(column: Column, table: Table) -> bool:
    """Whether trigrams can be made of it, and no index has them."""
    is_searched = any(
        index.is_valid and index.method in {"gin", "gist"} and column.name in map(column_of, index.columns)
        for index in table.indexes
    )
    return column.type.startswith(("text", "character", "varchar", "char")) and not is_searched


def is_provided(spec: IndexSpec, table: Table | None, equals: Collection[str] = ()) -> bool:
    """Whether an index that is there does the same; `equals` have one value in each search."""
    return table is not None and any(
        index.is_valid
        and index.method == spec.method
        and covers(replace(spec, table=index.table), index, equals)
        for index in table.indexes
    )


def covers(spec: IndexSpec, index: Index | IndexSpec, equals: Collection[str] = ()) -> bool:
    """Whether an index of the same table serves all that `spec` would, read forwards or backwards.

    Its keys begin with the keys of `spec`, and it holds the columns. The direction of `equals` is all one.
    What a catalog tells has no values: two expressions or predicates with a `?` may be different ones.
    """
    if index.table.casefold() != spec.table.casefold():
        return False
    keys = index.columns if isinstance(index, Index) else index.keys
    if index.predicate and (index.predicate != spec.predicate or _VALUE in index.predicate):
        return False
    if len(keys) < len(spec.keys) or any(_VALUE in key for key in spec.keys):
        return False
    fixed = {name.casefold() for name in equals}
    start = [_directed(key, fixed) for key in keys[: len(spec.keys)]]
    wanted = [_directed(key, fixed) for key in spec.keys]
    held = {column_of(key).casefold() for key in (*keys, *index.includes)}
    return (start in (wanted, [_turned(key, fixed) for key in wanted])) and {
        column.casefold() for column in spec.includes
    } <= held


def _directed(key: str, fixed: Collection[str]) -> str:
    folded = _CAST.sub("", key.casefold().replace('"', "").replace("`", ""))
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
    """For a constant of a column with few, unevenly spread values, or NULL: only the rows that have it."""
    if dialect is Dialect.MYSQL or table is None:
        return
    for name, text in access.constants:
        column = table.column(name)
        if column is None or not _may_be_rare(column, text):
            continue
        for spec in specs:
            keys = tuple(key for key in spec.keys if column_of(key).casefold() != name.casefold())
            if keys:
                yield IndexSpec(spec.table, keys, predicate=text)


def _may_be_rare(column: Column, text: str) -> bool:
    """Whether some value is on less than 20 % of rows, and the values are few enough to be states."""
    distinct, nulls = column.distinct, column.null_fraction
    if text.endswith(_IS_NULL):
        return nulls is not None and nulls < MAX_PARTIAL_SHARE and column.is_nullable
    if text.endswith(_IS_SET) or distinct is None or not 1 < distinct <= _MAX_PARTIAL_DISTINCT:
        return nulls is not None and nulls > 1 - MAX_PARTIAL_SHARE
    return 1 / distinct < MAX_PARTIAL_SHARE or min(column.common_fractions, default=1.0) < MAX_PARTIAL_SHARE


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
