"""Canonical text of a statement: no literal, no comment, each placeholder a `?`, lists folded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.keywords import BEFORE_A_NAME, BEFORE_A_VALUE, words
from tickspan.analysis.sql.tokens import (
    BROKEN,
    CLOSE,
    COMMA,
    COMPARISON,
    LITERAL,
    NAME,
    OPEN,
    OPERATOR,
    PLACEHOLDER,
    QUOTED,
    SEMICOLON,
    Token,
)

__all__ = ["CanonicalText", "canonical_text"]

_VISIBLE_NAMES: Final = {
    **dict.fromkeys(words("SAVEPOINT RELEASE ROLLBACK COMMIT FETCH MOVE CLOSE DEALLOCATE"), 0),
    **dict.fromkeys(words("EXEC EXECUTE SET PRAGMA"), 1),
}
"""How many names a statement with this first word may show: the others are generated, or bare-word values."""

_LITERAL_WORDS: Final = frozenset({"TRUE", "FALSE"})


# The blank before the next piece. Integers, as in the lexer: these are compared for every token.
_AS_WRITTEN: Final = 0
_BLANK: Final = 1
_NO_BLANK: Final = 2

# What a pair of brackets holds.
_PLAIN: Final = 0
_LIST: Final = 1
"""Values of IN or ARRAY: items that repeat are folded."""
_ROW: Final = 2
"""The first row of VALUES."""
_FURTHER_ROW: Final = 3
"""A later row of VALUES: dropped."""
_COLUMNS: Final = 4
"""Names of columns, and what a table's definition says about them."""
_DATA: Final = frozenset({_LIST, _ROW, _FURTHER_ROW})

_DEFINITIONS: Final = frozenset({"CREATE", "ALTER", "DROP"})
_BEFORE_COLUMNS: Final = frozenset({"INTO", "TABLE", "REFERENCES", "EXISTS"})
_KEYS: Final = frozenset({"KEY", "UNIQUE"})


@dataclass(slots=True)
class _Bracket:
    group: int
    names_ahead: bool
    """Whether a double-quoted word is a name where the dialect leaves it open."""
    start: int
    """Index of the first piece inside."""
    item_start: int
    items: int = 1
    seen: set[str] = field(default_factory=set[str])


@dataclass(frozen=True, slots=True)
class CanonicalText:
    """The text, and what writing it has shown."""

    text: str
    has_literals: bool = False
    longest_list: int = 0
    """Items of the longest IN or ARRAY list, before folding."""
    items_of_open_list: int = 0
    """Of a list that does not end: the text was cut off inside it."""


def canonical_text(tokens: Sequence[Token], dialect: Dialect) -> CanonicalText:
    """Text without data for the tokens of one text; up to the first broken token."""
    writer = _Writer(is_postgresql=dialect is Dialect.POSTGRESQL)
    for kind, text, spaced, keyword in tokens:
        _WRITE[kind](writer, text, spaced, keyword)
    return writer.result()


class _Writer:
    """Takes tokens one by one; `pieces` holds one string per token kept, its leading blank included."""

    __slots__ = (
        "_bracket",
        "_first_word",
        "_has_literals",
        "_is_operand",
        "_keyword",
        "_longest_list",
        "_name_behind",
        "_outer",
        "_pieces",
        "_postgresql",
        "_row_comma",
        "_row_ended_at",
        "_sign_at",
        "_spacing",
        "_undecided",
        "_visible_names",
    )

    def __init__(self, *, is_postgresql: bool) -> None:
        self._postgresql = is_postgresql
        self._pieces: list[str] = []
        self._spacing = _NO_BLANK
        self._bracket = _Bracket(_PLAIN, names_ahead=False, start=0, item_start=0)
        self._outer: list[_Bracket] = []
        self._keyword = ""  # of the last token
        self._name_behind = ""  # the keyword before the last name
        self._is_operand = False
        self._sign_at = -1
        self._row_ended_at = -1
        self._row_comma = -1
        self._undecided: str | None = None
        self._first_word = ""
        self._visible_names: int | None = None  # None: all
        self._has_literals = False
        self._longest_list = 0

    def result(self) -> CanonicalText:
        bracket = self._bracket
        items = bracket.items if bracket.group == _LIST else 0
        if items > 1:
            del self._pieces[bracket.item_start - 1 :]  # the last one may be half an item
        return CanonicalText("".join(self._pieces), self._has_literals, self._longest_list, items)

    def _put(self, piece: str, *, spaced: bool, keyword: str = "", is_operand: bool) -> None:
        spacing = self._spacing
        if spacing == _BLANK or (spaced and spacing == _AS_WRITTEN):
            piece = " " + piece
        self._pieces.append(piece)
        self._spacing = _AS_WRITTEN
        self._keyword = keyword
        self._is_operand = is_operand
        self._undecided = None

    def name(self, text: str, spaced: bool, keyword: str) -> None:
        if keyword:
            self._word(text, spaced, keyword)
            return
        behind = self._keyword
        if self._visible_names is not None:
            text = text if self._visible_names else "?"
            self._visible_names = max(0, self._visible_names - 1)
        self._first_word = self._first_word or text
        self._put(text, spaced=spaced, is_operand=True)
        self._name_behind = behind

    def _word(self, text: str, spaced: bool, keyword: str) -> None:
        if not self._first_word:
            self._first_word = keyword
            self._visible_names = _VISIBLE_NAMES.get(keyword)
        if keyword in _LITERAL_WORDS and self._keyword not in {"IS", "NOT"}:
            self._value(spaced)
            return
        if keyword == "SELECT":
            self._bracket.group = _PLAIN
        if self._names_follow(keyword):
            self._bracket.names_ahead = True
        elif keyword in BEFORE_A_VALUE:
            self._bracket.names_ahead = False
        self._put(text, spaced=spaced, keyword=keyword, is_operand=keyword not in BEFORE_A_VALUE)

    def literal(self, _text: str, spaced: bool, _keyword: str) -> None:
        if self._sign_at == len(self._pieces):
            spaced = self._pieces.pop().startswith(" ")
            self._spacing = _AS_WRITTEN
            self._sign_at = -1
        self._value(spaced)

    def _value(self, spaced: bool) -> None:
        self._has_literals = True
        self._put("?", spaced=spaced, is_operand=True)

    def placeholder(self, text: str, spaced: bool, _keyword: str) -> None:
        if self._postgresql and text[0] == "?" and self._is_operand:
            self._put(text, spaced=spaced, is_operand=False)
        elif text in {"?|", "?&"}:
            self._put("?", spaced=spaced, is_operand=True)
            self._put(text[1], spaced=False, is_operand=False)
        else:
            self._put("?", spaced=spaced, is_operand=True)

    def quoted(self, text: str, spaced: bool, _keyword: str) -> None:
        if self._is_at_a_name():
            self.name(text, spaced, "")
            return
        self._value(spaced)
        self._undecided = text if self._pieces[-2:-1] == [","] else None

    def _names_follow(self, keyword: str) -> bool:
        """Whether double-quoted words behind this keyword, and behind the commas after it, are names."""
        if keyword == "FROM":
            return self._keyword != "DISTINCT"  # IS DISTINCT FROM compares
        return keyword in BEFORE_A_NAME or (keyword == "ON" and self._first_word in _DEFINITIONS)

    def _is_at_a_name(self) -> bool:
        """Whether the double-quoted word at hand is a name; when in doubt it is data."""
        if self._keyword:
            return self._keyword == "AS" or self._bracket.names_ahead
        behind_an_operator = not self._is_operand and self._pieces[-1:] not in ([","], ["("], [" ("])
        return self._bracket.names_ahead and not behind_an_operator

    def comparison(self, text: str, _spaced: bool, _keyword: str) -> None:
        if self._undecided is not None:
            self._pieces[-1] = self._pieces[-1].replace("?", self._undecided)
        if self._visible_names is not None:
            self._visible_names = 0
        self._spacing = _BLANK
        self._put(text, spaced=True, is_operand=False)
        self._spacing = _BLANK

    def operator(self, text: str, spaced: bool, _keyword: str) -> None:
        is_sign = text in {"-", "+"} and not self._is_operand
        is_star = text == "*" and not self._is_operand
        self._put("%" if text == "%%" else text, spaced=spaced, is_operand=is_star)
        if is_sign:
            self._sign_at = len(self._pieces)

    def comma(self, _text: str, _spaced: bool, _keyword: str) -> None:
        bracket = self._bracket
        if bracket.group == _LIST:
            self._fold(bracket)
            bracket.items += 1
        if self._row_ended_at == len(self._pieces):
            self._row_comma = len(self._pieces) + 1
        self._spacing = _NO_BLANK
        self._put(",", spaced=False, is_operand=False)
        self._spacing = _BLANK
        bracket.item_start = len(self._pieces)
        bracket.names_ahead = bracket.names_ahead or bracket.group == _COLUMNS

    def open(self, text: str, spaced: bool, _keyword: str) -> None:
        group = self._group_ahead(text)
        inherited = self._bracket.names_ahead and not self._is_operand and group not in _DATA
        names_ahead = group == _COLUMNS or inherited
        self._put(text, spaced=spaced, is_operand=False)
        self._spacing = _NO_BLANK
        self._outer.append(self._bracket)
        self._bracket = _Bracket(group, names_ahead, len(self._pieces), len(self._pieces))

    def _group_ahead(self, text: str) -> int:
        keyword = self._keyword
        if keyword == "IN" or (keyword == "ARRAY" and text == "["):
            return _LIST
        if keyword == "VALUES":
            return _ROW
        if self._row_comma == len(self._pieces):
            return _FURTHER_ROW
        return _COLUMNS if self._columns_ahead() else _PLAIN

    def _columns_ahead(self) -> bool:
        if self._bracket.group == _COLUMNS:
            return self._pieces[-1].strip().upper() in _KEYS
        if self._keyword or not self._is_operand:
            return False
        behind = self._name_behind
        return behind in _BEFORE_COLUMNS or (behind == "ON" and self._first_word in _DEFINITIONS)

    def close(self, text: str, _spaced: bool, _keyword: str) -> None:
        bracket = self._bracket
        if bracket.group == _LIST:
            self._fold(bracket)
            self._longest_list = max(self._longest_list, bracket.items)
        self._spacing = _NO_BLANK
        self._put(text, spaced=False, is_operand=True)
        self._name_behind = ""
        if bracket.group == _FURTHER_ROW:
            del self._pieces[bracket.start - 2 :]  # its bracket, and the comma before it
        if self._outer:
            self._bracket = self._outer.pop()
        if bracket.group in {_ROW, _FURTHER_ROW}:
            self._row_ended_at = len(self._pieces)

    def _fold(self, bracket: _Bracket) -> None:
        item = "".join(self._pieces[bracket.item_start :]).strip()
        if item in bracket.seen:
            del self._pieces[bracket.item_start - 1 :]
        bracket.seen.add(item)

    def semicolon(self, _text: str, _spaced: bool, _keyword: str) -> None:
        self._spacing = _NO_BLANK
        self._put(";", spaced=False, is_operand=False)
        self._spacing = _BLANK
        self._first_word = ""
        self._visible_names = None

    def broken(self, _text: str, spaced: bool, _keyword: str) -> None:
        self._value(spaced)


_WRITE: Final[dict[int, Callable[[_Writer, str, bool, str], None]]] = {
    NAME: _Writer.name,
    LITERAL: _Writer.literal,
    PLACEHOLDER: _Writer.placeholder,
    QUOTED: _Writer.quoted,
    COMMA: _Writer.comma,
    COMPARISON: _Writer.comparison,
    OPERATOR: _Writer.operator,
    OPEN: _Writer.open,
    CLOSE: _Writer.close,
    SEMICOLON: _Writer.semicolon,
    BROKEN: _Writer.broken,
}
