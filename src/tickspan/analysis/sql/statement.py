"""What telemetry may know of a SQL text: a `Statement` without data, and the function that makes it."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from tickspan.analysis.sql.lexer import BROKEN, LITERAL, Dialect, Token, tokenise
from tickspan.analysis.sql.summary import Kind, Summary, summarise
from tickspan.analysis.sql.text import CanonicalText, canonical_text

__all__ = ["SCAN_LIMIT", "Flag", "Statement", "canonicalise"]

SCAN_LIMIT: Final = 8192
"""Characters read of one text. The rest is left out of everything, and `…` at the end of the text says so."""

_BLANKS: Final = " \t\n\r\f\v"
_QUOTES: Final = frozenset("'\"`$")
_LARGE_LIST: Final = 100
_LARGE_OFFSET: Final = 1000
_LONGEST_OFFSET: Final = 18


class Flag(enum.Flag):
    """What one pass over the tokens shows."""

    NONE = 0
    WRITES = enum.auto()
    """Rows are changed, in a common table expression included."""
    WRITE_WITHOUT_WHERE = enum.auto()
    MULTI_STATEMENT = enum.auto()
    LEADING_WILDCARD = enum.auto()
    """A `LIKE '%…'`, or `LIKE '%' || …`."""
    LARGE_IN_LIST = enum.auto()
    """More than 100 items."""
    LARGE_OFFSET = enum.auto()
    """A literal offset of 1,000 or more."""
    LITERALS = enum.auto()
    """The text held data; every value makes a new text."""
    TRUNCATED = enum.auto()
    """Longer than `SCAN_LIMIT`."""
    MALFORMED = enum.auto()
    """A quote or comment that does not end, or a character that is none of SQL's: only the verb is kept."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL text, free of data. Equal texts but for literals, comments and blanks give equal values."""

    text: str
    """Canonical: no literal, no comment, any placeholder is `?`; IN lists and VALUES rows folded."""
    summary: str
    """`SELECT orders fills`, original case, at most 255 characters; "" when no operation is recognised."""
    fingerprint: str
    """16 hex digits: BLAKE2b-64 of the case-folded text."""
    kind: Kind
    flags: Flag


def canonicalise(sql: str, dialect: Dialect) -> Statement:
    """The statement of one raw text. Linear in its length, never raises, fails closed.

    >>> canonicalise("SELECT * FROM orders WHERE symbol = 'AAPL'", Dialect.SQLITE).text
    'SELECT * FROM orders WHERE symbol = ?'
    """
    is_truncated = len(sql) > SCAN_LIMIT
    tokens = tokenise(sql[:SCAN_LIMIT].strip(_BLANKS), dialect)
    if _is_malformed(tokens, is_truncated=is_truncated):
        return _only_the_verb(tokens)
    written = canonical_text(tokens, dialect)
    summary = summarise(tokens)
    text = written.text.rstrip("; ")
    return Statement(
        text=f"{text} …" if is_truncated else text,
        summary=summary.text,
        fingerprint=_fingerprint(text),
        kind=summary.kind,
        flags=_flags(tokens, written, summary, is_truncated=is_truncated),
    )


def _is_malformed(tokens: Sequence[Token], *, is_truncated: bool) -> bool:
    """Whether text and data cannot be told apart; a quote that the scan limit cut off is no reason."""
    if not tokens or tokens[-1][0] != BROKEN:
        return False
    return not (is_truncated and tokens[-1][1] in _QUOTES)


def _only_the_verb(tokens: Sequence[Token]) -> Statement:
    verb = tokens[0][1] if tokens[0][3] else ""
    seen = summarise(tokens[:1])
    text = f"{verb} ?" if verb else "?"
    flags = Flag.MALFORMED | (Flag.WRITES if seen.writes else Flag.NONE)
    return Statement(text, seen.text, _fingerprint(text), seen.kind, flags)


def _fingerprint(text: str) -> str:
    return blake2b(text.casefold().encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _flags(tokens: Sequence[Token], written: CanonicalText, summary: Summary, *, is_truncated: bool) -> Flag:
    claims = (
        (Flag.WRITES, summary.writes),
        (Flag.WRITE_WITHOUT_WHERE, summary.writes_without_where and not is_truncated),
        (Flag.MULTI_STATEMENT, summary.statements > 1),
        (Flag.LARGE_IN_LIST, written.longest_list > _LARGE_LIST),
        (Flag.LITERALS, written.has_literals),
        (Flag.TRUNCATED, is_truncated),
    )
    flags = Flag.NONE
    for flag, holds in claims:
        if holds:
            flags |= flag
    return flags | _literal_flags(tokens) if written.has_literals else flags


def _literal_flags(tokens: Sequence[Token]) -> Flag:
    flags = Flag.NONE
    for index in range(len(tokens) - 1):
        keyword = tokens[index][3]
        if not keyword:
            continue
        kind, text, _, _ = tokens[index + 1]
        if kind != LITERAL:
            continue
        if keyword in {"LIKE", "ILIKE"} and text.lstrip("eEnN'\"").startswith("%"):
            flags |= Flag.LEADING_WILDCARD
        if keyword == "OFFSET" and text.isdecimal() and int(text[:_LONGEST_OFFSET]) >= _LARGE_OFFSET:
            flags |= Flag.LARGE_OFFSET
    return flags
