"""The statements that create an index and remove it, in each dialect, without blocking those who write."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from tickspan.analysis.indexes.model import IndexSpec
from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.keywords import words

__all__ = [
    "LOCK_TIMEOUT_S",
    "column_of",
    "create",
    "definition",
    "drop",
    "family_of",
    "identity",
    "index_name",
    "index_names",
    "quoted",
]

LOCK_TIMEOUT_S: Final = 5
"""How long creating or dropping may wait for its locks: others queue behind it all that time."""

_LONGEST_NAME: Final = 63
_DIGEST_BYTES: Final = 3
_LONGER_DIGESTS: Final = (_DIGEST_BYTES, 6, 12, 24)
_NO_NAMES: Final[Mapping[IndexSpec, str]] = {}
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*\Z")
_PLAIN_ANY_CASE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORD: Final = re.compile(r"[A-Za-z0-9]+")
_TELLING: Final = re.compile(r"[A-Za-z0-9_ ]*[A-Za-z0-9][A-Za-z0-9_ ]*")
"""What is in a name as it is."""

_KEY: Final = re.compile(
    r"(?P<column>.+?)(?P<rest>(?: (?:(?:text|varchar|bpchar)_pattern|gin_trgm)_ops)?(?: DESC)?)\Z", re.DOTALL
)
_TRIGRAM: Final = " gin_trgm_ops"
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
    if spec.method == "brin":
        text += " WITH (autosummarize = on)"
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
    """At most 63 bytes of ASCII that need no quotes, from the words of the index.

    Other indexes may have the same words: `index_names` keeps several apart.

    >>> index_name(IndexSpec("public.trades", ("symbol", "timestamp DESC")))
    'ix_trades_symbol_timestamp_desc'
    """
    table = spec.table.rpartition(".")[2]
    name = _words(spec)
    is_plain = not (spec.includes or spec.predicate) and spec.method == "btree"
    if is_plain and len(name) <= _LONGEST_NAME and all(map(_TELLING.fullmatch, (table, *spec.keys))):
        return name
    return _with_digest(spec, _DIGEST_BYTES)


def index_names(families: Iterable[Sequence[IndexSpec]], taken: Collection[str] = ()) -> dict[IndexSpec, str]:
    """A name for each index, none twice: `orders (user_id)` and `orders (user, id)` have the same words.

    Where `index_name` gives one name to several, or one that is taken, all of these get a digest of what they
    are. So names depend on what is named and on nothing else, least of all on its order.

    Args:
        families: of indexes that are created together, see `family_of`: one gets a digest when another does.
        taken: by other relations, with their namespaces; in any case.
    """
    names: dict[IndexSpec, str] = {}
    used = {name.casefold() for name in taken}
    waiting = list(dict.fromkeys(map(tuple, families)))
    for digest_bytes in (0, *_LONGER_DIGESTS):
        made = [
            [_with_digest(spec, digest_bytes) if digest_bytes else index_name(spec) for spec in family]
            for family in waiting
        ]
        times = Counter([*names.values(), *(name for own in made for name in own)])
        is_free = [
            all(times[name] == 1 and _beside(spec.table, name).casefold() not in used for spec, name in pairs)
            for pairs in (
                list(zip(family, own, strict=True)) for family, own in zip(waiting, made, strict=True)
            )
        ]
        for family, own, is_own in zip(waiting, made, is_free, strict=True):
            if is_own or digest_bytes == _LONGER_DIGESTS[-1]:
                names.update(zip(family, own, strict=True))
        waiting = [family for family, is_own in zip(waiting, is_free, strict=True) if not is_own]
    return names


def _words(spec: IndexSpec) -> str:
    table = spec.table.rpartition(".")[2]
    return "_".join(("ix", *(word.lower() for part in (table, *spec.keys) for word in _WORD.findall(part))))


def _with_digest(spec: IndexSpec, digest_bytes: int) -> str:
    digest = _digest(spec, digest_bytes)
    kept = _words(spec)[: _LONGEST_NAME - len(digest) - 1].rstrip("_")
    return f"{kept}_{digest}"


def family_of(spec: IndexSpec, partitions: Sequence[str]) -> tuple[IndexSpec, ...]:
    """An index of a partitioned table, and those of its partitions; itself alone where there are none."""
    return (spec, *(replace(spec, table=_beside(spec.table, part)) for part in partitions))


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
    spec: IndexSpec,
    dialect: Dialect,
    *,
    is_partitioned: bool = False,
    partitions: Sequence[str] = (),
    names: Mapping[IndexSpec, str] = _NO_NAMES,
) -> tuple[str, ...]:
    """Statements that create it, in order, none with a semicolon.

    CONCURRENTLY comes without IF NOT EXISTS: a failed attempt leaves an invalid index of that name, which
    must be seen and dropped. A partitioned table refuses CONCURRENTLY: there the parent's index is declared
    first and becomes valid when the index of every partition is attached.

    Args:
        spec: what to create.
        dialect: of the statements.
        is_partitioned: whether its table is.
        partitions: of its table.
        names: of it and of those of its partitions; `index_name` where there are none.
    """
    name, table = _name(spec, names), quoted(spec.table, dialect)
    body = definition(spec, dialect)
    if dialect is Dialect.MYSQL:
        return (
            f"SET SESSION lock_wait_timeout = {LOCK_TIMEOUT_S}",
            f"CREATE INDEX {name} ON {table} {body} ALGORITHM=INPLACE LOCK=NONE",
        )
    if dialect is Dialect.SQLITE:
        return (f"PRAGMA busy_timeout = {LOCK_TIMEOUT_S * 1000}", _sqlite_create(spec, name, body))
    before = [f"SET lock_timeout = '{LOCK_TIMEOUT_S}s'"]
    if any(key.endswith(_TRIGRAM) for key in spec.keys):
        before.append("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    after = [f"ANALYZE {table}"] if any("(" in key for key in spec.keys) else []
    if is_partitioned:
        parts = family_of(spec, partitions)[1:]
        attached = (line for part in parts for line in _on_partition(part, spec, names))
        return (*before, f"CREATE INDEX {name} ON ONLY {table} {body}", *attached, *after)
    return (*before, f"CREATE INDEX CONCURRENTLY {name} ON {table} {body}", *after)


def _name(spec: IndexSpec, names: Mapping[IndexSpec, str]) -> str:
    return names.get(spec) or index_name(spec)


def _beside(table: str, partition: str) -> str:
    """A partition's name with the namespace of its table, unless it tells its own."""
    namespace, _, _ = table.rpartition(".")
    return f"{namespace}.{partition}" if namespace and "." not in partition else partition


def _on_partition(spec: IndexSpec, parent: IndexSpec, names: Mapping[IndexSpec, str]) -> tuple[str, str]:
    """The index of one partition, and its place in the parent's."""
    table, body = quoted(spec.table, Dialect.POSTGRESQL), definition(spec, Dialect.POSTGRESQL)
    return (
        f"CREATE INDEX CONCURRENTLY {_name(spec, names)} ON {table} {body}",
        f"ALTER INDEX {_placed(parent, names)} ATTACH PARTITION {_placed(spec, names)}",
    )


def _placed(spec: IndexSpec, names: Mapping[IndexSpec, str]) -> str:
    """The index's name in the namespace of its table."""
    return quoted(_beside(spec.table, _name(spec, names)), Dialect.POSTGRESQL)


def drop(
    spec: IndexSpec,
    dialect: Dialect,
    *,
    is_partitioned: bool = False,
    names: Mapping[IndexSpec, str] = _NO_NAMES,
) -> tuple[str, ...]:
    """Statements that remove it, in order, none with a semicolon; `names` as `create` got them."""
    name = _name(spec, names)
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
