"""What telemetry may know of a SQL text: a `Statement` without data, and the function that makes it."""

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Final

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.summary import Kind, Summary, summarise
from tickspan.analysis.sql.text import CanonicalText, canonical_text
from tickspan.analysis.sql.tokens import BROKEN, COMMA, LITERAL, OPEN, Token

__all__ = ["SCAN_LIMIT", "Flag", "Statement", "broken_rules", "canonicalise"]

SCAN_LIMIT: Final = 8192
"""Characters read of one text. The rest is left out of everything, and `…` at the end of the text says so."""

_BLANKS: Final = " \t\n\r\f\v"
_QUOTES: Final = frozenset("'\"`$")
_LARGE_LIST: Final = 100
_HUGE_LIST: Final = 1000
_LARGE_OFFSET: Final = 1000
_LONGEST_OFFSET: Final = 18
_OPEN_PATTERN: Final = re.compile(r"[eEnN]?['\"]%")


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
    """More than 100 items, of IN or ARRAY."""
    HUGE_IN_LIST = enum.auto()
    """More than 1,000 items; `LARGE_IN_LIST` is set, too."""
    LARGE_OFFSET = enum.auto()
    """A literal offset of 1,000 or more."""
    LITERALS = enum.auto()
    """The text held data; every value makes a new text."""
    LITERAL_IN_QUERY = enum.auto()
    """Three or more texts with data have become this statement; a `StatementCache` counts them."""
    TRUNCATED = enum.auto()
    """Longer than `SCAN_LIMIT`."""
    MALFORMED = enum.auto()
    """A quote or comment that does not end, or a character that is none of SQL's: only the verb is kept."""


_RULES: Final = {
    "write_without_where": Flag.WRITE_WITHOUT_WHERE,
    "multi_statement": Flag.MULTI_STATEMENT,
    "leading_wildcard": Flag.LEADING_WILDCARD,
    "large_in_list": Flag.LARGE_IN_LIST,
    "huge_in_list": Flag.HUGE_IN_LIST,
    "large_offset": Flag.LARGE_OFFSET,
    "literal_in_query": Flag.LITERAL_IN_QUERY,
}


@cache
def broken_rules(flags: Flag) -> tuple[str, ...]:
    """Ids of the rules that a text with these flags breaks; `huge_in_list` is a level of `large_in_list`."""
    return tuple(rule for rule, flag in _RULES.items() if flag in flags)


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
        flags=_flags(sql, tokens, written, summary, is_truncated=is_truncated),
    )


def _is_malformed(tokens: Sequence[Token], *, is_truncated: bool) -> bool:
    """Whether text and data cannot be told apart; a quote that the scan limit cut off is no reason."""
    if not tokens or tokens[-1][0] != BROKEN:
        return False
    return not (is_truncated and tokens[-1][1][-1] in _QUOTES)


def _only_the_verb(tokens: Sequence[Token]) -> Statement:
    verb = tokens[0][1] if tokens[0][3] else ""
    seen = summarise(tokens[:1])
    text = f"{verb} ?" if verb else "?"
    flags = Flag.MALFORMED | (Flag.WRITES if seen.writes else Flag.NONE)
    return Statement(text, seen.text, _fingerprint(text), seen.kind, flags)


def _fingerprint(text: str) -> str:
    return blake2b(text.casefold().encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _flags(
    sql: str, tokens: Sequence[Token], written: CanonicalText, summary: Summary, *, is_truncated: bool
) -> Flag:
    items = _items_of_the_longest_list(sql, written) if is_truncated else written.longest_list
    claims = (
        (_WRITES, summary.writes),
        (_WRITE_WITHOUT_WHERE, summary.writes_without_where and not is_truncated),
        (_MULTI_STATEMENT, summary.statements > 1),
        (_LARGE_IN_LIST, items > _LARGE_LIST),
        (_HUGE_IN_LIST, items > _HUGE_LIST),
        (_LITERALS, written.has_literals),
        (_TRUNCATED, is_truncated),
    )
    bits = sum(bit for bit, holds in claims if holds)
    return Flag(bits | _literal_bits(tokens) if written.has_literals else bits)


# Numbers, for a member of `Flag` is slow to combine.
_WRITES: Final = Flag.WRITES.value
_WRITE_WITHOUT_WHERE: Final = Flag.WRITE_WITHOUT_WHERE.value
_MULTI_STATEMENT: Final = Flag.MULTI_STATEMENT.value
_LARGE_IN_LIST: Final = Flag.LARGE_IN_LIST.value
_HUGE_IN_LIST: Final = Flag.HUGE_IN_LIST.value
_LITERALS: Final = Flag.LITERALS.value
_TRUNCATED: Final = Flag.TRUNCATED.value
_LEADING_WILDCARD: Final = Flag.LEADING_WILDCARD.value
_LARGE_OFFSET_BIT: Final = Flag.LARGE_OFFSET.value


def _items_of_the_longest_list(sql: str, written: CanonicalText) -> int:
    """Also of a list that the scan limit cuts: behind it, commas up to the next bracket are counted."""
    if not written.items_of_open_list:
        return written.longest_list
    end = sql.find(")", SCAN_LIMIT)
    rest = sql.count(",", SCAN_LIMIT, end if end >= 0 else len(sql))
    return max(written.longest_list, written.items_of_open_list + rest)


def _literal_bits(tokens: Sequence[Token]) -> int:
    bits = 0
    for index, (kind, text, _spaced, _keyword) in enumerate(tokens):
        if kind != LITERAL or not index:
            continue
        if _OPEN_PATTERN.match(text) and _is_a_pattern(tokens, index):
            bits |= _LEADING_WILDCARD
        elif _is_an_offset(tokens, index) and _number(text) >= _LARGE_OFFSET:
            bits |= _LARGE_OFFSET_BIT
    return bits


def _is_a_pattern(tokens: Sequence[Token], index: int) -> bool:
    """Whether the literal there begins what LIKE compares with: `LIKE '…'`, `LIKE concat('…', `."""
    if tokens[index - 1][0] == OPEN:
        index -= 1 if tokens[index - 2][3] in _LIKE else 2
    return index > 0 and tokens[index - 1][3] in _LIKE


def _is_an_offset(tokens: Sequence[Token], index: int) -> bool:
    """`OFFSET 10`, or the first number of MySQL's `LIMIT 10, 5`."""
    keyword = tokens[index - 1][3]
    if keyword == "LIMIT":
        return index + 1 < len(tokens) and tokens[index + 1][0] == COMMA
    return keyword == "OFFSET"


def _number(text: str) -> int:
    digits = text[:_LONGEST_OFFSET].replace("_", "")
    return int(digits) if digits.isdecimal() else 0


_LIKE: Final = frozenset({"LIKE", "ILIKE"})
