"""Raw SQL text to `Statement`, remembered: a text that comes again costs one look-up."""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from tickspan.analysis.sql.lexer import Dialect
from tickspan.analysis.sql.statement import Statement, canonicalise

__all__ = ["StatementCache", "StatementCacheStatistics"]

_LONG_TEXT: Final = 2048
_PREFIX: Final = 64
_ENTRY_BYTES: Final = 400
"""Two dictionary slots, a key object and a `Statement` without its strings, rounded up."""


@dataclass(frozen=True, slots=True)
class StatementCacheStatistics:
    """What the cache holds and did; counts are exact in one thread, close in several."""

    entries: int
    size_bytes: int
    misses: int
    """Texts that were lexed."""
    uncached: int
    """Of those, how many were not kept because too many texts began alike."""


@dataclass(slots=True)
class _Generation:
    entries: dict[str | bytes, Statement] = field(default_factory=dict[str | bytes, Statement])
    shared: dict[Statement, Statement] = field(default_factory=dict[Statement, Statement])
    """One object for equal statements: a thousand texts that differ in a literal share theirs."""
    prefixes: dict[str, int] = field(default_factory=dict[str, int])
    size_bytes: int = 0


class StatementCache:
    """Bounded by entries and bytes: two generations; the older is dropped when the younger is full.

    Texts over 2 KiB are kept by their digest. Texts that begin alike in their first 64 characters may fill
    a tenth of the entries; further ones (an f-string that puts values into SQL) are lexed each time and
    push nobody out.

    Safe from several threads without a lock: every step is one operation on a dictionary, and what a race
    may do is to lex a text twice or to count one entry too few.

    Args:
        dialect: whose rules the texts follow.
        max_entries: of both generations together.
        max_bytes: of both generations together, an estimate.
    """

    __slots__ = (
        "_dialect",
        "_max_bytes",
        "_max_entries",
        "_max_like",
        "_misses",
        "_old",
        "_uncached",
        "_young",
    )

    def __init__(self, dialect: Dialect, *, max_entries: int = 10_000, max_bytes: int = 8 << 20) -> None:
        self._dialect = dialect
        self._max_entries = max(1, max_entries // 2)
        self._max_bytes = max_bytes // 2
        self._max_like = max(1, max_entries // 10)
        self._young = _Generation()
        self._old = _Generation()
        self._misses = 0
        self._uncached = 0

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<StatementCache {self._dialect}: {now.entries} entries, {now.misses} misses>"

    def get(self, sql: str) -> Statement:
        """The statement of `sql`; never raises."""
        if len(sql) > _LONG_TEXT:
            return self._get(_digest(sql), sql)
        known = self._young.entries.get(sql)
        return known if known is not None else self._get(sql, sql)

    def statistics(self) -> StatementCacheStatistics:
        """What is held now, and what was done so far."""
        young, old = self._young, self._old
        return StatementCacheStatistics(
            entries=len(young.entries) + len(old.entries),
            size_bytes=young.size_bytes + old.size_bytes,
            misses=self._misses,
            uncached=self._uncached,
        )

    def _get(self, key: str | bytes, sql: str) -> Statement:
        known = self._young.entries.get(key)
        if known is not None:
            return known
        known = self._old.entries.get(key)
        if known is not None:
            self._keep(key, known)
            return known
        self._misses += 1
        statement = canonicalise(sql, self._dialect)
        if not self._floods(sql[:_PREFIX]):
            self._keep(key, statement)
            return self._young.shared.get(statement, statement)
        self._uncached += 1
        return statement

    def _keep(self, key: str | bytes, statement: Statement) -> None:
        young = self._young
        size = len(key) + _ENTRY_BYTES
        if statement not in young.shared:
            size += 2 * (len(statement.text) + len(statement.summary))
        young.entries[key] = young.shared.setdefault(statement, statement)
        young.size_bytes += size
        if len(young.entries) >= self._max_entries or young.size_bytes >= self._max_bytes:
            self._old, self._young = young, _Generation()

    def _floods(self, prefix: str) -> bool:
        """Whether this prefix has had its share; the count starts anew with each generation of prefixes."""
        prefixes = self._young.prefixes
        if len(prefixes) >= self._max_entries or self._uncached % self._max_entries == self._max_entries - 1:
            prefixes.clear()
        seen = prefixes[prefix] = prefixes.get(prefix, 0) + 1
        return seen > self._max_like


def _digest(sql: str) -> bytes:
    return blake2b(sql.encode("utf-8", "surrogatepass"), digest_size=16).digest()
