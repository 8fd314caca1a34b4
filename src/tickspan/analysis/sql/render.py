"""Tokens as text that a parser, and PostgreSQL's own, reads: canonical text is written to be compared.

`?::varchar` and `INTERVAL ?` are canonical text and no SQL. Here PostgreSQL gets `$1`, `$2`, …, all others
`?`, and what only a literal can stand behind or beside is turned round.

>>> render("SELECT ?::varchar, now() - interval ?", Dialect.POSTGRESQL)
'SELECT $1::varchar, now() - $2::interval'
"""

from collections.abc import Sequence
from typing import Final

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.keywords import words
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.tokens import (
    CLOSE,
    COMMA,
    LITERAL,
    NAME,
    OPEN,
    PLACEHOLDER,
    QUOTED,
    Token,
)

__all__ = ["pieces", "render"]

_CUT: Final = "…"
_TYPES_BEFORE_A_VALUE: Final = words("""
    BIT BOOL BOOLEAN BOX BYTEA CHAR CIDR CIRCLE DATE DECIMAL FLOAT4 FLOAT8 INET INT INT2 INT4 INT8 INTERVAL
    JSON JSONB LINE LSEG MACADDR MONEY NUMERIC PATH POINT POLYGON REAL REGCLASS TEXT TIME TIMESTAMP
    TIMESTAMPTZ TIMETZ UUID VARBIT VARCHAR XML
""")
"""`date '2026-01-01'`: the type of a literal, where PostgreSQL wants a cast of anything else."""
_TIMES: Final = {"DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "DATETIME", "DATETIME": "DATETIME"}
"""The same in other dialects, and what they cast to."""
_INTERVAL_FIELDS: Final = words("YEAR MONTH DAY HOUR MINUTE SECOND YEARS MONTHS DAYS HOURS MINUTES SECONDS")
_TYPES_WITH_SIZES: Final = words("""
    BIGINT BINARY BIT CHAR CHARACTER DATETIME DEC DECIMAL DOUBLE FLOAT INT INTEGER INTERVAL MEDIUMINT NCHAR
    NUMBER NUMERIC NVARCHAR SMALLINT TIME TIMESTAMP TIMESTAMPTZ TIMETZ TINYINT VARBINARY VARBIT VARCHAR
    VARCHAR2 VARYING VECTOR YEAR
""")
_WORDS_BEFORE_A_VALUE: Final = words("""
    CACHE DIV ESCAPE FIRST GROUPS INCREMENT MAXVALUE MINVALUE MOD NEXT OVERLAPS PASSWORD RANGE REGEXP RLIKE
    ROWS SYMMETRIC TOP UESCAPE VARIADIC XOR ZONE
""")
"""Words that no keyword table here holds, behind which `?` is a placeholder."""


def render(sql: str, dialect: Dialect) -> str:
    """Raw or canonical text as parser input, one line, without comments. Never raises.

    Literals stay as they are. What the lexer could not read ends the text: it will not parse.
    """
    written: list[str] = []
    tokens = tokenise(sql, dialect)
    for (_, _, spaced, _), piece in zip(tokens, pieces(tokens, dialect), strict=True):
        if not piece:
            continue
        if written and (spaced or _would_join(written[-1], piece)):
            written.append(" ")
        written.append(piece)
    return "".join(written)


def pieces(tokens: Sequence[Token], dialect: Dialect) -> list[str]:
    """What each token becomes; "" for one whose meaning another one has taken over."""
    writer = _Writer(tokens, dialect)
    for index in range(len(tokens)):
        writer.write(index)
    return writer.finished()


def _would_join(before: str, behind: str) -> bool:
    """Whether two pieces without a blank between them would be read as one word, or as a dollar quote."""
    if before[-1] == ":":
        return behind[0] == "$"
    return (before[-1].isalnum() or before[-1] in "_?$") and (behind[0].isalnum() or behind[0] in "_?$")


class _Writer:
    def __init__(self, tokens: Sequence[Token], dialect: Dialect) -> None:
        self.written: list[str] = []
        self._tokens = tokens
        self._dialect = dialect
        self._is_postgresql = dialect is Dialect.POSTGRESQL
        self._placeholders: set[int] = set()
        """Indices of those that PostgreSQL numbers; `$` stands in their pieces meanwhile."""
        self._value_at = -1
        """Index of the last token if that is a placeholder or a literal in the place of a value."""
        self._dropped_until = 0

    def write(self, index: int) -> None:
        kind, text, _, keyword = self._tokens[index]
        if index < self._dropped_until:
            self.written.append("")
        elif kind == PLACEHOLDER and not self._is_operator(index):
            self._value(index, self._placeholder(index, text))
        elif kind == LITERAL:
            self._value(index, text)
        elif kind == OPEN and self._is_a_size(index):
            self._drop(index, self._behind_sizes(index))
        elif kind == NAME and not keyword:
            self._name(index, text)
        else:
            self.written.append("%" if text == "%%" else text)

    def finished(self) -> list[str]:
        """All pieces, and one number after the other for the placeholders that are left."""
        numbers: dict[str, int] = {}
        last = max((int(text[1:]) for _, text, _, _ in self._tokens if _is_numbered(text)), default=0)
        for index in sorted(self._placeholders):
            if not self.written[index]:
                continue
            text = self._tokens[index][1]
            number = numbers.get(text)
            if number is None:
                last += 1
                number = last
            if text.strip("%:()@$sbt?"):
                numbers[text] = number
            self.written[index] = self.written[index].replace("$", f"${number}", 1)
        return self.written

    def _drop(self, start: int, end: int) -> None:
        """Leave out the tokens from `start`, which is at hand, up to `end`."""
        self.written.append("")
        self._dropped_until = max(self._dropped_until, end)
        if self._value_at == start - 1:
            self._value_at = start

    def _value(self, index: int, piece: str) -> None:
        if self._value_at == index - 1 >= 0:
            self.written.append("")  # 'a string ' 'in two'
        else:
            is_placeholder = self._tokens[index][0] == PLACEHOLDER
            self.written.append(self._cast(index, piece) if is_placeholder else piece)
        self._value_at = index

    def _placeholder(self, index: int, text: str) -> str:
        if not self._is_postgresql:
            return "?"
        if _is_numbered(text):
            return text
        self._placeholders.add(index)
        return "$"

    def _cast(self, index: int, piece: str) -> str:
        """A placeholder with the type that stands before it, as a literal may have it, turned round."""
        start, kind = self._type_before(index)
        if not kind:
            behind = self._tokens[index + 1][1] if index + 1 < len(self._tokens) else ""
            return f"({piece})" if behind == "::" and not self._is_postgresql else piece
        for place in range(start, index):
            self.written[place] = ""
        if not self._is_postgresql:
            return f"CAST({piece} AS {_TIMES[kind.upper()]})"
        if kind.upper() == "INTERVAL":
            self._dropped_until = self._behind_fields(index + 1)
        return f"{piece}::{kind}"

    def _type_before(self, index: int) -> tuple[int, str]:
        """Where the type of the literal at `index` begins, and its text; "" when none is there."""
        start = index - 1
        zone = [token[1].upper() for token in self._tokens[max(0, index - 3) : index]]
        if zone[1:] == ["TIME", "ZONE"] and zone[0] in {"WITH", "WITHOUT"}:
            start -= 3
        if start >= 0 and self._tokens[start][0] == CLOSE:
            start = self._open_before(start) - 1
        known = _TYPES_BEFORE_A_VALUE if self._is_postgresql else _TIMES
        if start < 0 or self._tokens[start][0] != NAME or self._tokens[start][1].upper() not in known:
            return index, ""
        if start and self._tokens[start - 1][1] in {".", "::"}:
            return index, ""
        kept = (
            [self._tokens[start], *self._tokens[index - 3 : index]]
            if start < index - 3
            else [self._tokens[start]]
        )
        return start, " ".join(text for kind, text, _, _ in kept if kind == NAME)

    def _open_before(self, close: int) -> int:
        """The bracket that belongs to sizes; 0 when there are no sizes."""
        index = close - 1
        while index > 0 and self._tokens[index][0] in {PLACEHOLDER, LITERAL, COMMA}:
            index -= 1
        return index if self._tokens[index][0] == OPEN else 0

    def _behind_fields(self, index: int) -> int:
        """`DAY TO SECOND`, behind an interval."""
        while index < len(self._tokens):
            _, text, _, keyword = self._tokens[index]
            if text.upper() not in _INTERVAL_FIELDS and keyword != "TO":
                break
            index += 1
        return index

    def _is_operator(self, index: int) -> bool:
        """Whether a `?` is PostgreSQL's: it stands between two operands."""
        text = self._tokens[index][1]
        if not self._is_postgresql or text[0] != "?":
            return False
        if text in {"?|", "?&"}:
            return True
        if not self._begins_an_operand(index + 1) or self._is_typed_before_an_operator(index):
            return False
        return self._is_behind_an_operand(index)

    def _is_typed_before_an_operator(self, index: int) -> bool:
        """The first of the three in `jsonb ? ? ?`."""
        is_typed = index > 0 and self._tokens[index - 1][1].upper() in _TYPES_BEFORE_A_VALUE
        return is_typed and self._tokens[index + 1][1][0] == "?" and self._begins_an_operand(index + 2)

    def _is_behind_an_operand(self, index: int) -> bool:
        if not index:
            return False
        kind, text, _, keyword = self._tokens[index - 1]
        if kind == NAME:
            return not keyword and text.upper() not in _WORDS_BEFORE_A_VALUE
        return kind in {CLOSE, QUOTED} or self._value_at == index - 1

    def _begins_an_operand(self, index: int) -> bool:
        if index >= len(self._tokens):
            return False
        kind, text, _, keyword = self._tokens[index]
        if kind == NAME:
            return keyword in {"", "ARRAY", "CASE"} and text.upper() not in _INTERVAL_FIELDS
        return kind in {LITERAL, PLACEHOLDER, QUOTED, OPEN}

    def _is_a_size(self, index: int) -> bool:
        """Whether placeholders in brackets are the size of a type, of which no parser takes any."""
        if not index or self._tokens[index - 1][1].upper() not in _TYPES_WITH_SIZES:
            return False
        behind_a_name = index > 1 and self._tokens[index - 2][0] in {NAME, QUOTED}
        behind_a_cast = index > 1 and self._tokens[index - 2][1] == "::"
        return (behind_a_name or behind_a_cast) and self._behind_sizes(index) > index

    def _behind_sizes(self, index: int) -> int:
        """Where `(?, ?)` ends that begins at `index`; `index` when it is something else."""
        end = index + 1
        while end < len(self._tokens) and self._tokens[end][0] in {PLACEHOLDER, COMMA}:
            end += 1
        is_whole = end < len(self._tokens) and self._tokens[end][0] == CLOSE and end > index + 1
        return end + 1 if is_whole else index

    def _name(self, index: int, text: str) -> None:
        behind = self._tokens[index + 1][0] if index + 1 < len(self._tokens) else NAME
        if behind in {PLACEHOLDER, LITERAL} and text[0] == "_" and self._dialect is Dialect.MYSQL:
            self._drop(index, index + 1)  # the character set of a string
        elif behind in {PLACEHOLDER, LITERAL} and text.upper() == "UESCAPE" and self._is_postgresql:
            self._drop(index, index + 2)
        elif text == _CUT:
            self._drop(index, index + 1)
        elif self._dialect is Dialect.GENERIC:
            self.written.append(_standard_quotes(text))
        else:
            self.written.append(text)


def _is_numbered(text: str) -> bool:
    return text[0] == "$" and text[1:].isdecimal()


def _standard_quotes(name: str) -> str:
    """A name in the double quotes of the standard, where it has those of another system."""
    if name[0] == "#":
        return f'"{name}"'
    if "[" not in name and "`" not in name:
        return name
    return name.replace("[", '"').replace("]", '"').replace("`", '"')
