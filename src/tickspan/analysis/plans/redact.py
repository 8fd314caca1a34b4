"""Plans without data: what is known to be a name or a number passes, expressions lose their literals.

The list is of what may pass. A key that is not on it goes, whatever it holds, and so does a value whose type
is not the one that its key promises. Expressions go through the lexer of statements, which fails closed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from tickspan.analysis.plans.document import Json, as_list, as_mapping
from tickspan.analysis.sql import Dialect, canonicalise

__all__ = ["MAX_EVENT_BYTES", "compact", "redact"]

MAX_EVENT_BYTES: Final = 32 << 10
"""Of a plan in an event."""
_MAX_DEPTH: Final = 200
_MAX_NAME: Final = 256
_MAX_WORD: Final = 64
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9 _/,.()-]*")
_NUMERAL: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?:[KMGT]i?[Bb]?)?")
_NUMBERED_SUBQUERY: Final = re.compile(r"\(subquery#\d+\)")  # in MySQL, `#` begins a comment
_EXPRESSION_ENDINGS: Final = (" Filter", " Cond", " Key", " Keys", " Condition")

Rule = Callable[[object], "Json"]


def redact(document: object, dialect: Dialect) -> Json:
    """The document without data; None when nothing of it may stay.

    Args:
        document: JSON of `EXPLAIN`, decoded.
        dialect: `POSTGRESQL` or `MYSQL` (MariaDB, too).
    """
    return _Redaction(dialect).structure(document)


def compact(document: Json, max_bytes: int = MAX_EVENT_BYTES) -> str:
    """A redacted document as JSON of at most `max_bytes`: outputs go first, then the deepest steps."""
    text = _dumped(document)
    if len(text.encode()) <= max_bytes:
        return text
    document = _without(document, "Output")
    for depth in (64, 32, 16, 8, 4, 2):
        text = _dumped(_cut(document, depth))
        if len(text.encode()) <= max_bytes:
            return text
    return "{}"


def _dumped(document: Json) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _without(document: Json, key: str) -> Json:
    if isinstance(document, dict):
        return {name: _without(value, key) for name, value in document.items() if name != key}
    if isinstance(document, list):
        return [_without(value, key) for value in document]
    return document


def _cut(document: Json, depth: int) -> Json:
    """Without what is nested deeper than `depth` objects and lists."""
    if isinstance(document, dict):
        return {name: _cut(value, depth - 1) for name, value in document.items()} if depth else {}
    if isinstance(document, list):
        return [_cut(value, depth - 1) for value in document] if depth else []
    return document


class _Redaction:
    """One document. Each rule returns what may stay of a value, None for nothing."""

    __slots__ = ("_depth", "_dialect", "_rules")

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._depth = 0
        names = _POSTGRESQL if dialect is Dialect.POSTGRESQL else _MYSQL
        rules: Mapping[str, Rule] = {
            "structure": self.structure,
            "expression": self.expression,
            "number": _number,
            "name": partial(_texts, _name),
            "word": partial(_texts, _word),
        }
        self._rules = {key: rules[rule] for key, rule in names.items()}

    def structure(self, value: object) -> Json:
        if self._depth >= _MAX_DEPTH:
            return None
        self._depth += 1
        try:
            if isinstance(value, list):
                items = [self.structure(item) for item in as_list(value)]
                return [item for item in items if item is not None]
            if isinstance(value, dict):
                return self._object(as_mapping(value))
        finally:
            self._depth -= 1
        return None

    def _object(self, members: Mapping[str, object]) -> Json:
        kept: dict[str, Json] = {}
        for key, value in members.items():
            rule = self._rules.get(key)
            if rule is None and self._dialect is Dialect.POSTGRESQL and key.endswith(_EXPRESSION_ENDINGS):
                rule = self.expression
            left = None if rule is None else rule(value)
            if left is not None:
                kept[key] = left
        return kept

    def expression(self, value: object) -> Json:
        if isinstance(value, str):
            return canonicalise(_NUMBERED_SUBQUERY.sub("(subquery)", value), self._dialect).text
        if isinstance(value, list):
            items = [self.expression(item) for item in as_list(value)]
            return [item for item in items if item is not None]
        if isinstance(value, dict):
            return self.structure(value)
        return None


def _number(value: object) -> Json:
    """A number, a truth, or the numerals in which MySQL writes costs and sizes ("1.20", "16K")."""
    if isinstance(value, bool | int | float):
        return value
    return value if isinstance(value, str) and _NUMERAL.fullmatch(value) else None


def _texts(rule: Callable[[str], str | None], value: object) -> Json:
    if isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return rule(value)
    if isinstance(value, list):
        kept = [rule(item) for item in as_list(value) if isinstance(item, str)]
        return [item for item in kept if item is not None]
    return None


def _name(value: str) -> str | None:
    return value[:_MAX_NAME] if value.isprintable() else None


def _word(value: str) -> str | None:
    """A word of the server's own: never as long as a literal could be."""
    return value if len(value) <= _MAX_WORD and _WORD.fullmatch(value) else None


def _table(**groups: str) -> Mapping[str, str]:
    return {key: rule for rule, keys in groups.items() for key in re.split(r"\s*,\s*", keys.strip())}


_POSTGRESQL: Final = _table(
    structure="""
        Plan, Plans, Triggers, Planning, JIT, Options, Timing, Workers, Serialization, Target Tables,
        Grouping Sets, Full-sort Groups, Pre-sorted Groups, Sort Space Memory, Sort Space Disk, Estimates
    """,
    expression="""
        Query Text, Filter, Order By, Output, Function Call, Function Calls, Table Function Call, Remote SQL,
        Sampling Parameters, Repeatable Seed, Window, Run Condition
    """,
    name="""
        Relation Name, Schema, Alias, Index Name, CTE Name, Subplan Name, Function Name, Tuplestore Name,
        Table Function Name, Trigger Name, Constraint Name, Relation, Custom Plan Provider, Sampling Method,
        Conflict Arbiter Indexes
    """,
    word="""
        Node Type, Join Type, Strategy, Partial Mode, Command, Operation, Scan Direction, Parent Relationship,
        Sort Method, Sort Methods Used, Sort Space Type, Cache Mode, Conflict Resolution, Storage, Format
    """,
    number="""
        Plan Rows, Plan Width, Startup Cost, Total Cost, Actual Startup Time, Actual Total Time, Actual Rows,
        Actual Loops, Rows Removed by Filter, Rows Removed by Index Recheck, Rows Removed by Join Filter,
        Rows Removed by Conflict Filter, Heap Fetches, Exact Heap Blocks, Lossy Heap Blocks, Workers Planned,
        Workers Launched, Worker Number, Single Copy, Parallel Aware, Async Capable, Inner Unique, Disabled,
        Shared Hit Blocks, Shared Read Blocks, Shared Dirtied Blocks, Shared Written Blocks,
        Local Hit Blocks, Local Read Blocks, Local Dirtied Blocks, Local Written Blocks,
        Temp Read Blocks, Temp Written Blocks, I/O Read Time, I/O Write Time, Temp I/O Read Time,
        Temp I/O Write Time, Shared I/O Read Time, Shared I/O Write Time, Local I/O Read Time,
        Local I/O Write Time, WAL Records, WAL FPI, WAL Bytes, Sort Space Used, Average Sort Space Used,
        Peak Sort Space Used, Group Count, Hash Buckets, Original Hash Buckets, Hash Batches,
        Original Hash Batches, Peak Memory Usage, HashAgg Batches, Disk Usage, Planned Partitions,
        Cache Hits, Cache Misses, Cache Evictions, Cache Overflows, Subplans Removed, Index Searches,
        Maximum Storage, Memory Used, Memory Allocated, Planning Time, Execution Time, Time, Calls, Functions,
        Inlining, Optimization, Expressions, Deforming, Generation, Emission, Total, Output Volume,
        Query Identifier, Tuples Inserted, Conflicting Tuples, Tuples Updated, Tuples Deleted, Tuples Skipped
    """,
)

_MYSQL: Final = _table(
    structure="""
        query_block, nested_loop, table, filesort, temporary_table, read_sorted_file, block-nl-join,
        subqueries, union_result, query_specifications, materialized, expression_cache,
        window_functions_computation, sorts, duplicates_removal, range-checked-for-each-record, rowid_filter,
        range, cost_info, ordering_operation, grouping_operation, buffer_result, windowing, windows,
        materialized_from_subquery, attached_subqueries,
        select_list_subqueries, having_subqueries, order_by_subqueries, group_by_subqueries,
        optimized_away_subqueries, update_value_subqueries, insert_values_subqueries, insert_from,
        recursive_union, frame_buffer, shared_access, in-subquery, r_engine_stats, query_optimization,
        hash-join, best_covering_index_scan, index_merge, index_for_sort, sort_union, intersect, union
    """,
    expression="""
        attached_condition, index_condition, index_condition_bka, const_condition, outer_ref_condition,
        having_condition, result_condition, sort_key, filesort_key, group_by, ref, pushed_condition,
        pushed_index_condition, range_details, condition
    """,
    name="""
        table_name, key, possible_keys, used_key_parts, used_columns, partitions, index_merge_keys, keys,
        first_match, loosescan, definition_position, materialized_table
    """,
    word="""
        access_type, operation, message, buffer_type, join_type, using_join_buffer, state, lateral, name,
        scan_type, r_sort_mode
    """,
    number="""
        select_id, rows, filtered, cost, key_length, buffer_size, using_index, using_filesort,
        using_temporary_table, using_index_for_group_by, using_index_for_skip_scan, using_MRR,
        backward_index_scan, distinct, not_exists, insert, update, delete, dependent, cacheable, unique,
        rows_examined_per_scan, rows_produced_per_join, query_cost, sort_cost, read_cost, eval_cost,
        prefix_cost, data_read_per_join, loops, full-scan-on-null_key, recursive, streaming,
        r_loops, r_rows, r_filtered, r_total_time_ms, r_table_time_ms, r_other_time_ms, r_unpack_time_ms,
        r_other_time_ms, r_limit, r_used_priority_queue, r_output_rows, r_sort_passes, r_buffer_size,
        r_hit_ratio, r_effective_rows, r_total_filtered, r_index_rows, r_icp_filtered,
        r_engine_time_ms, r_temporary_tables, r_temporary_table, selectivity_pct, r_selectivity_pct,
        r_lookups, r_filling_time_ms, r_range_lookups, pages_accessed, pages_updated, pages_read_count,
        pages_read_time_ms, pages_prefetch_read_count, old_rows_read, index_only, range_scans
    """,
)
