"""The statements that create an index and remove it, in each dialect, without blocking those who write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.keywords import words

__all__ = ["LOCK_TIMEOUT_S", "column_of", "create", "definition", "drop", "identity", "index_name", "quoted"]

LOCK_TIMEOUT_S: Final = 5
"""How long creating or dropping may wait for its locks: others queue behind it all that time."""

_LONGEST_NAME: Final = 63
_DIGEST_BYTES: Final = 3
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*\Z")
_PLAIN_ANY_CASE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
_TELLING: Final = re.compile(r"[A-Za-z0-9_ ]*[A-Za-z0-9][A-Za-z0-9_ ]*")
"""What is in a name as it is: nothing else has the same words."""

_KEY: Final = re.compile(
    r"(?P<column>.+?)(?P<rest>(?: (?:text|varchar|bpchar)_pattern_ops)?(?: DESC)?)\Z", re.DOTALL
)
_RESERVED: Final = words("""
    all analyse analyze and any array as asc asymmetric both by case cast check collate column constraint
    create current_date current_time current_timestamp current_user default deferrable desc distinct do else
    end except exists false fetch for foreign from grant group having in index initially intersect interval
    into is join key keys lateral leading left like limit localtime localtimestamp not null offset on only or
    order placing primary range references returning right row rows select session_user some symmetric table
    then to trailing true union unique update user using values variadic when where window with
""")


def quoted(name: str, dialect: Dialect) -> str:
    """A name as the dialect reads it, dots between its parts; plain words stay as they are.

    >>> quoted("public.Order", Dialect.POSTGRESQL)
    'public."Order"'
    """
    return ".".join(_quoted_part(part, dialect) for part in name.split("."))


def _quoted_part(part: str, dialect: Dialect) -> str:
    plain = _PLAIN if dialect is Dialect.POSTGRESQL else _PLAIN_ANY_CASE
    if plain.match(part) and part.casefold() not in _RESERVED:
        return part
    mark = "`" if dialect is Dialect.MYSQL else '"'
    return f"{mark}{part.replace(mark, mark * 2)}{mark}"


def column_of(key: str) -> str:
    """The column of a key without its direction; "" for an expression."""
    if "(" in key:
        return ""
    match = _KEY.match(key)
    return match["column"] if match else key


def definition(spec: IndexSpec, dialect: Dialect) -> str:
    """What stands behind the table's name in CREATE INDEX: `(symbol, ts DESC) INCLUDE (price)`.

    Where there is no INCLUDE, what it would hold follows the keys.
    """
    keys = [_key(key, dialect) for key in spec.keys]
    stored = [_quoted_part(column, dialect) for column in spec.includes]
    method = f"USING {spec.method} " if spec.method != "btree" else ""
    if dialect is not Dialect.POSTGRESQL:
        keys, stored = keys + stored, []
    text = f"{method}({', '.join(keys)})"
    if stored:
        text += f" INCLUDE ({', '.join(stored)})"
    if spec.predicate:
        text += f" WHERE {spec.predicate}"
    return text


def _key(key: str, dialect: Dialect) -> str:
    if "(" in key:
        return key if re.match(r"\w+\(", key) else f"({key})"
    match = _KEY.match(key)
    if match is None:
        return quoted(key, dialect)
    return _quoted_part(match["column"], dialect) + match["rest"]


def index_name(spec: IndexSpec) -> str:
    """At most 63 bytes of ASCII; a digest tells apart what the words alone do not.

    >>> index_name(IndexSpec("public.trades", ("symbol", "timestamp DESC")))
    'ix_trades_symbol_timestamp_desc'
    """
    table = spec.table.rpartition(".")[2]
    words = [word.lower() for part in (table, *spec.keys) for word in _WORD.findall(part)]
    name = "_".join(("ix", *words))
    is_plain = not (spec.includes or spec.predicate) and spec.method == "btree"
    if is_plain and len(name) <= _LONGEST_NAME and all(map(_TELLING.fullmatch, (table, *spec.keys))):
        return name
    digest = _digest(spec, _DIGEST_BYTES)
    kept = "_".join(re.findall(r"[a-z0-9]+", name))[: _LONGEST_NAME - len(digest) - 1].rstrip("_")
    return f"{kept}_{digest}"


def identity(spec: IndexSpec, database: str) -> str:
    """12 hex digits: the same index of the same database has the same ones in every run."""
    return blake2b(
        repr((database, *_parts(spec))).encode("utf-8", "surrogatepass"), digest_size=6
    ).hexdigest()


def _digest(spec: IndexSpec, size: int) -> str:
    return blake2b(repr(_parts(spec)).encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _parts(spec: IndexSpec) -> tuple[object, ...]:
    return (spec.table, spec.keys, spec.includes, spec.method, spec.predicate)


def create(
    spec: IndexSpec, dialect: Dialect, *, is_partitioned: bool = False, partitions: Sequence[str] = ()
) -> tuple[str, ...]:
    """Statements that create it, in order, none with a semicolon.

    CONCURRENTLY comes without IF NOT EXISTS: a failed attempt leaves an invalid index of that name, which
    must be seen and dropped. A partitioned table refuses CONCURRENTLY: there the parent's index is declared
    first and becomes valid when the index of every partition is attached.
    """
    name, table = index_name(spec), quoted(spec.table, dialect)
    body = definition(spec, dialect)
    if dialect is Dialect.MYSQL:
        return (
            f"SET SESSION lock_wait_timeout = {LOCK_TIMEOUT_S}",
            f"CREATE INDEX {name} ON {table} {body} ALGORITHM=INPLACE LOCK=NONE",
        )
    if dialect is Dialect.SQLITE:
        return (f"PRAGMA busy_timeout = {LOCK_TIMEOUT_S * 1000}", _sqlite_create(spec, name, body))
    timeout = f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"
    if is_partitioned:
        tables = (_beside(spec.table, part) for part in partitions)
        attached = (line for part in tables for line in _on_partition(replace(spec, table=part), spec))
        return (timeout, f"CREATE INDEX {name} ON ONLY {table} {body}", *attached)
    return (timeout, f"CREATE INDEX CONCURRENTLY {name} ON {table} {body}")


def _beside(table: str, partition: str) -> str:
    """A partition's name with the namespace of its table, unless it tells its own."""
    namespace, _, _ = table.rpartition(".")
    return f"{namespace}.{partition}" if namespace and "." not in partition else partition


def _on_partition(spec: IndexSpec, parent: IndexSpec) -> tuple[str, str]:
    """The index of one partition, and its place in the parent's."""
    table, body = quoted(spec.table, Dialect.POSTGRESQL), definition(spec, Dialect.POSTGRESQL)
    return (
        f"CREATE INDEX CONCURRENTLY {index_name(spec)} ON {table} {body}",
        f"ALTER INDEX {_placed(parent)} ATTACH PARTITION {_placed(spec)}",
    )


def _placed(spec: IndexSpec) -> str:
    """The index's name in the namespace of its table."""
    namespace, _, _ = spec.table.rpartition(".")
    name = index_name(spec)
    return f"{quoted(namespace, Dialect.POSTGRESQL)}.{name}" if namespace else name


def drop(spec: IndexSpec, dialect: Dialect, *, is_partitioned: bool = False) -> tuple[str, ...]:
    """Statements that remove it, in order, none with a semicolon."""
    name = index_name(spec)
    namespace, _, _ = spec.table.rpartition(".")
    place = f"{quoted(namespace, dialect)}.{name}" if namespace else name
    if dialect is Dialect.MYSQL:
        table = quoted(spec.table, dialect)
        return (
            f"SET SESSION lock_wait_timeout = {LOCK_TIMEOUT_S}",
            f"ALTER TABLE {table} DROP INDEX {name}, ALGORITHM=INPLACE, LOCK=NONE",
        )
    if dialect is Dialect.SQLITE:
        return (f"PRAGMA busy_timeout = {LOCK_TIMEOUT_S * 1000}", f"DROP INDEX IF EXISTS {place}")
    timeout = f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"
    if is_partitioned:
        return (timeout, f"DROP INDEX IF EXISTS {place}")
    return (timeout, f"DROP INDEX CONCURRENTLY IF EXISTS {place}")


def _sqlite_create(spec: IndexSpec, name: str, body: str) -> str:
    """SQLite wants the namespace at the index, and none at the table."""
    namespace, _, bare = spec.table.rpartition(".")
    place = f"{quoted(namespace, Dialect.SQLITE)}.{name}" if namespace else name
    return f"CREATE INDEX {place} ON {quoted(bare, Dialect.SQLITE)} {body}"
