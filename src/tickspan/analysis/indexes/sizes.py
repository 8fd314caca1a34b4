"""Sizes: bytes that an index will take on disk, from rows and average widths.

The B-tree formula is PostgreSQL's page layout: 8 KiB pages that are filled to 90 %, a line pointer of 4 bytes
and a header of 8 for each entry, entries on 8-byte bounds; equal keys share one entry and cost 6 bytes each.
"""

from __future__ import annotations

from typing import Final

from tickspan.analysis.indexes.ddl import column_of
from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.sql.schema import Column, Table

__all__ = ["btree_bytes", "partial_fraction"]

_PAGE: Final = 8192
_USABLE: Final = (_PAGE - 24 - 16) * 0.9
_ENTRY: Final = 12
_HEAP_POINTER: Final = 6
_ALIGNMENT: Final = 8
_DEFAULT_WIDTH: Final = 16
_MIN_DUPLICATES: Final = 2.0
_INNER_PAGES: Final = 1.005
_PAGES_PER_RANGE: Final = 128
_RANGE_BYTES: Final = 24
_ALIGNED: Final = {"bigint": 8, "double precision": 8, "timestamp": 8, "date": 4, "integer": 4, "smallint": 2}


def btree_bytes(index: IndexSpec, table: Table, share: float | None = None) -> int | None:
    """Of a B-tree or a BRIN index of PostgreSQL; None for others, and when the table's rows are not known.

    `share` is the share of rows that a partial index holds, where somebody knows it.
    """
    if table.rows is None or index.method not in {"btree", "brin"}:
        return None
    if index.method == "brin":
        pages = (table.size_bytes or 0) // _PAGE
        return _PAGE * 3 + pages // _PAGES_PER_RANGE * _RANGE_BYTES
    entries = table.rows * (partial_fraction(index, table) if share is None else share)
    keys = [table.column(column_of(key)) for key in index.keys]
    width = 0
    for column in (*keys, *(table.column(name) for name in index.includes)):
        width = _with_column(width, column)
    width = -(-width // _ALIGNMENT) * _ALIGNMENT
    duplicates = _duplicates(keys, entries)
    if duplicates >= _MIN_DUPLICATES and not index.includes:
        shared = entries / duplicates
        total = shared * (width + _ENTRY) + entries * _HEAP_POINTER
    else:
        total = entries * (width + _ENTRY)
    return int((total / _USABLE * _INNER_PAGES + 2) * _PAGE)


def _with_column(width: int, column: Column | None) -> int:
    size = _DEFAULT_WIDTH if column is None or column.width_bytes is None else column.width_bytes
    bound = next((step for word, step in _ALIGNED.items() if column and column.type.startswith(word)), 0)
    if not bound:  # of varying length: `width_bytes` was cut to a whole number
        return width + size + 1
    return -(-width // bound) * bound + size


def _duplicates(keys: list[Column | None], entries: float) -> float:
    """Entries for each different key, were the columns independent."""
    distinct = 1.0
    for column in keys:
        if column is None or not column.distinct:
            return 1.0
        distinct *= column.distinct
    return max(1.0, entries / min(distinct, max(entries, 1.0)))


def partial_fraction(index: IndexSpec, table: Table) -> float:
    """Share of rows in a partial index: an even share of the values of the column in its predicate."""
    if not index.predicate:
        return 1.0
    named = [
        column for column in table.columns if column.name.casefold() in index.predicate.casefold().split()
    ]
    shares = [1 / column.distinct for column in named if column.distinct]
    return min(shares, default=0.2)
