"""Raw SQL text to `Statement`, remembered: a text that comes again costs one look-up."""

from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.statement import Flag, Statement, canonicalise

__all__ = ["StatementCache", "StatementCacheStatistics"]

_LONG_TEXT: Final = 2048
_MANY_TEXTS: Final = 3
_ENTRY_BYTES: Final = 400
"""Two dictionary slots, a key object and a `Statement` without its strings, rounded up."""

_Key: TypeAlias = str | tuple[int, int]
"""The text, or of a long one hash and length: 64 bits under a key of this process, known to the text."""


@dataclass(frozen=True, slots=True)
class StatementCacheStatistics:
    """What the cache holds and did; counts are exact in one thread, close in several."""

    entries: int
    size_bytes: int
    misses: int
    """Texts that were lexed."""
    uncached: int
    """Of those, how many were not kept because too many texts became the same statement."""


@dataclass(slots=True)
class _Generation:
    entries: dict[_Key, Statement] = field(default_factory=dict[_Key, Statement])
    shared: dict[Statement, Statement] = field(default_factory=dict[Statement, Statement])
    """One object for equal statements: a thousand texts that differ in a literal share theirs."""
    size_bytes: int = 0


class StatementCache:
    """Bounded by entries and bytes: two generations; the older is dropped when the younger is full.

    Texts over 2 KiB are kept by their hash and length. Texts that become the same statement may fill a tenth
    of the entries; further ones (an f-string that puts values into SQL) are lexed each time and push nobody
    out. What is counted is texts per fingerprint, halved after as many new texts as a generation holds: it
    needs no clock, it notices values at the beginning of a text too, and it never takes statements that
    share a long list of columns for one another. The same count gives `LITERAL_IN_QUERY`.

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
        "_texts",
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
        self._texts: dict[str, int] = {}
        self._misses = 0
        self._uncached = 0

    def __repr__(self) -> str:
        now = self.statistics()
        return f"<StatementCache {self._dialect}: {now.entries} entries, {now.misses} misses>"

    def get(self, sql: str) -> Statement:
        """The statement of `sql`; never raises."""
        if len(sql) > _LONG_TEXT:
            return self._get((hash(sql), len(sql)), sql)
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

    def _get(self, key: _Key, sql: str) -> Statement:
        known = self._young.entries.get(key)
        if known is not None:
            return known
        known = self._old.entries.get(key)
        if known is not None:
            self._keep(key, known)
            return known
        return self._read(key, sql)

    def _read(self, key: _Key, sql: str) -> Statement:
        statement = canonicalise(sql, self._dialect)
        alike = self._count(statement.fingerprint)
        if alike >= _MANY_TEXTS and Flag.LITERALS in statement.flags:
            statement = replace(statement, flags=statement.flags | Flag.LITERAL_IN_QUERY)
        if alike <= self._max_like:
            self._keep(key, statement)
        else:
            self._uncached += 1
        return self._young.shared.get(statement, statement)

    def _count(self, fingerprint: str) -> int:
        """How many texts of late have become this statement, this one included."""
        self._misses += 1
        if self._misses % self._max_entries == 0:
            self._texts = {known: count // 2 for known, count in self._texts.copy().items() if count > 1}
        alike = self._texts[fingerprint] = self._texts.get(fingerprint, 0) + 1
        return alike

    def _keep(self, key: _Key, statement: Statement) -> None:
        young = self._young
        size = (len(key) if isinstance(key, str) else 0) + _ENTRY_BYTES
        if statement not in young.shared:
            size += 2 * (len(statement.text) + len(statement.summary))
        young.entries[key] = young.shared.setdefault(statement, statement)
        young.size_bytes += size
        if len(young.entries) >= self._max_entries or young.size_bytes >= self._max_bytes:
            self._old, self._young = young, _Generation()
