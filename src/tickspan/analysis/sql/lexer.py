"""SQL text as tokens: one table of patterns per dialect, one linear pass, no exception for any input.

The pass knows where literals, comments, names and placeholders begin and end; what they mean is decided by
those who read the tokens. What no pattern explains (an open quote, a stray backslash, a control character)
becomes one `BROKEN` token and ends the pass: behind it nobody can tell text from data.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final, TypeAlias

from tickspan.analysis.sql.keywords import KEYWORDS, words

__all__ = [
    "BROKEN",
    "CLOSE",
    "COMMA",
    "COMPARISON",
    "LITERAL",
    "NAME",
    "OPEN",
    "OPERATOR",
    "PLACEHOLDER",
    "QUOTED",
    "SEMICOLON",
    "Dialect",
    "Token",
    "tokenise",
]


class Dialect(StrEnum):
    """Whose rules of quoting, comments and placeholders hold; `GENERIC` is the most suspicious of each."""

    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    SQLITE = "sqlite"
    GENERIC = "generic"

    @classmethod
    def of(cls, system: str) -> "Dialect":
        """The dialect of a `db.system.name` or a SQLAlchemy dialect; `GENERIC` for one that is not known."""
        return _SYSTEMS.get(system.lower(), cls.GENERIC)


_SYSTEMS: Final = {
    "postgresql": Dialect.POSTGRESQL,
    "cockroachdb": Dialect.POSTGRESQL,
    "redshift": Dialect.POSTGRESQL,
    "aws.redshift": Dialect.POSTGRESQL,
    "mysql": Dialect.MYSQL,
    "mariadb": Dialect.MYSQL,
    "sqlite": Dialect.SQLITE,
}

Token: TypeAlias = tuple[int, str, bool, str]
"""Kind, source text, whether blank space or a comment stands before it, its keyword in upper case or ""."""

# Plain integers: the readers compare them once per token, where an enum member's look-up would cost most.
NAME: Final = 1
LITERAL: Final = 2
PLACEHOLDER: Final = 3
COMMA: Final = 4
COMPARISON: Final = 5
OPEN: Final = 6
CLOSE: Final = 7
OPERATOR: Final = 8
QUOTED: Final = 9
"""A double-quoted word without a dot where the dialect reads it as a name or as a string."""
SEMICOLON: Final = 10
BROKEN: Final = 11
_BLANK: Final = 12

# Every repetition is possessive or ends at a fixed text, so nothing is read again after a failure: linear.
_BLANKS = r"[ \t\n\r\f\v]++"
# Letters are all characters but these of ASCII: a class that named the others would take long to compile.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_LETTER_OR_DIGIT = r"[^\x00-/:-@\[-^`{-\x7f]"
_WORD = rf"{_LETTER}[^\x00-#%-/:-@\[-^`{{-\x7f]*+"
_NUMBER = r"(?:0[xX][0-9a-fA-F_]++|[0-9][0-9_]*+(?:\.[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9]++)?[\w$]*+"
_STRING = r"'[^']*+(?:''[^']*+)*+'"
_STRING_WITH_ESCAPES = r"'[^'\\]*+(?:(?:\\[\s\S]|'')[^'\\]*+)*+'"
_DOUBLE_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'
_DOUBLE_QUOTED_WITH_ESCAPES = r'"[^"\\]*+(?:(?:\\[\s\S]|"")[^"\\]*+)*+"'
_BACKTICKED = r"`[^`]*+(?:``[^`]*+)*+`"
_BRACKETED = rf"(?<![\w\])])\[{_WORD}(?: {_WORD})*+\]"
_DOLLAR_QUOTED = rf"(?<![\w$])\$((?:{_LETTER}{_LETTER_OR_DIGIT}*+)?)\$[\s\S]*?\$\1\$"
_LINE_COMMENT = r"--[^\n]*+"
_BLOCK_COMMENT = r"/\*[\s\S]*?(?:\*/|\Z)"
_COMPARISON = r"<=>|<->|[<>!=]=|<>|<<|>>|<@|=>|[<>=]"
_OPERATOR = r"::|:=|->>?|#>>?|#-|@[>?@]|\|\||&&|!?~~?\*?|%%"
_POSTCOMPILE = r"__\[POSTCOMPILE_\w++\]"
_FORMAT = r"%(?:[sbt](?!\w)|\(\w++\)[sbt]?)"
_NAMED = r"(?<![\w:\])\"'`]):[A-Za-z_]\w*+"
_NUMBERED = r"(?<![\w:\])\"'`]):[0-9]++"
_MAX_NESTING = 4


def _nested_comment(depth: int = _MAX_NESTING) -> str:
    """A block comment that may hold `depth` levels of others; one that stays open reaches the end."""
    inner = rf"|{_nested_comment(depth - 1)}" if depth else ""
    return rf"/\*(?:[^*/]++|\*(?!/)|/(?!\*){inner})*+(?:\*/|\Z)"


def _name(word: str, *quoted: str) -> str:
    """A name with all its dots, `schema.table` or `t.*`, as one token."""
    part = rf"(?:{'|'.join((word, *quoted))})"
    return rf"{part}(?:\.{part})*+(?:\.\*)?"


_PATTERNS: Final[dict[Dialect, tuple[str, ...]]] = {
    Dialect.POSTGRESQL: (
        rf"[eE]{_STRING_WITH_ESCAPES}",
        rf"(?:[bBxXnN]|[uU]&)?{_STRING}",
        _POSTCOMPILE,
        _name(_WORD, rf"(?:[uU]&)?{_DOUBLE_QUOTED}"),
        _NUMBER,
        _LINE_COMMENT,
        _nested_comment(),
        r"/\*",  # nested too deep to follow
        _FORMAT,
        r"\?[|&]?",
        _NAMED,
        r"\$[0-9]++",
        _DOLLAR_QUOTED,
    ),
    Dialect.MYSQL: (
        rf"[bBxXnN]?{_STRING_WITH_ESCAPES}",
        _DOUBLE_QUOTED_WITH_ESCAPES,
        _POSTCOMPILE,
        _name(rf"@{{0,2}}{_WORD}", _BACKTICKED),
        _NUMBER,
        r"--(?=\s|\Z)[^\n]*+",
        r"#[^\n]*+",
        r"/\*M?!\d*+",  # an executable comment is code: only its fence goes
        r"\*/",
        _BLOCK_COMMENT,
        _FORMAT,
        r"\?",
        _NAMED,
        _NUMBERED,
    ),
    Dialect.SQLITE: (
        rf"[xX]?{_STRING}",
        _POSTCOMPILE,
        _name(_WORD, _DOUBLE_QUOTED, _BACKTICKED, _BRACKETED),
        _NUMBER,
        _LINE_COMMENT,
        _BLOCK_COMMENT,
        _FORMAT,
        r"\?[0-9]*+",
        _NAMED,
        _NUMBERED,
        r"[@$][A-Za-z_]\w*+",
    ),
    Dialect.GENERIC: (
        rf"(?:[A-Za-z_]\w*+&?)?{_STRING}",
        _POSTCOMPILE,
        _name(rf"\#{{0,2}}{_WORD}", _DOUBLE_QUOTED, _BACKTICKED, _BRACKETED),
        _NUMBER,
        _LINE_COMMENT,
        _nested_comment(),
        r"/\*",
        _FORMAT,
        r"\?[0-9]*+",
        _NAMED,
        _NUMBERED,
        r"[@$]\w++",
    ),
}
_PLAIN_WORD = (
    r"[A-Za-z_][A-Za-z0-9_]*+(?![$.'&\[]|[^\x00-\x7f])"  # most tokens: saves them the way through the table
)
_ANY_CHARACTER = r"[\s\S]"

_ONE_QUOTED_WORD: Final = re.compile(_DOUBLE_QUOTED)

_CONTROL_CHARACTERS = [chr(code) for code in (*range(32), 127)]
_EXACT: Final[dict[str, int]] = {
    **dict.fromkeys(_CONTROL_CHARACTERS, BROKEN),
    **dict.fromkeys(" \t\n\r\f\v", _BLANK),
    "*/": _BLANK,
    **dict.fromkeys(("'", '"', "`", "$", "\\", "/*"), BROKEN),
    ",": COMMA,
    ";": SEMICOLON,
    **dict.fromkeys("([", OPEN),
    **dict.fromkeys(")]", CLOSE),
    **dict.fromkeys(words("= < > <= >= != == <> <=> <-> << >> <@ =>"), COMPARISON),
    **dict.fromkeys(words("- + * / % ! @ # ^ & | . : { } ~"), OPERATOR),
    **dict.fromkeys(words(":: := -> ->> #> #>> #- @> @? @@ || && %% ~~ ~* ~~* !~ !~* !~~ !~~*"), OPERATOR),
}

_FIRST: Final[dict[str, int]] = {
    **dict.fromkeys(" \t\n\r\f\v-/", _BLANK),
    **dict.fromkeys("0123456789.'", LITERAL),
    **dict.fromkeys("?%:$", PLACEHOLDER),
}
"""What a token is whose text is not in `_EXACT`, by its first character; a name for those not listed."""


@dataclass(frozen=True, slots=True)
class _Table:
    scanner: re.Pattern[str]
    exact: dict[str, int]
    first: dict[str, int]


_EXCEPTIONS: Final[dict[Dialect, tuple[dict[str, int], dict[str, int]]]] = {
    Dialect.POSTGRESQL: ({}, {}),
    Dialect.MYSQL: ({}, {'"': LITERAL, "#": _BLANK}),
    Dialect.SQLITE: ({}, {'"': QUOTED, "@": PLACEHOLDER}),
    Dialect.GENERIC: ({"#": BROKEN}, {'"': QUOTED, "@": PLACEHOLDER}),
}
"""Where a dialect departs from `_EXACT` and `_FIRST`."""


@cache
def _table(dialect: Dialect) -> _Table:
    """Compiled at the first statement of a dialect: most applications speak one."""
    patterns = (_BLANKS, _PLAIN_WORD, *_PATTERNS[dialect], _COMPARISON, _OPERATOR, _ANY_CHARACTER)
    exact, first = _EXCEPTIONS[dialect]
    return _Table(re.compile("|".join(patterns)), _EXACT | exact, _FIRST | first)


_UNSETTLED: Final = (NAME, QUOTED, PLACEHOLDER)


def tokenise(sql: str, dialect: Dialect) -> list[Token]:
    """The tokens of `sql` without its comments; a `BROKEN` token is the last one."""
    table = _table(dialect)
    exact, first = table.exact, table.first
    found: list[Token] = []
    spaced = False
    for match in table.scanner.finditer(sql):
        text = match[0]
        keyword = KEYWORDS.get(text, "")
        kind = NAME if keyword else exact.get(text) or first.get(text[0], NAME)
        if kind == _BLANK:
            spaced = True
            continue
        if not keyword and kind in _UNSETTLED:
            kind, keyword = _look_closer(kind, text)
        found.append((kind, text, spaced, keyword))
        if kind == BROKEN:
            break
        spaced = False
    return found


def _look_closer(kind: int, text: str) -> tuple[int, str]:
    """Kind and keyword of a token whose first character does not settle them."""
    if kind == NAME and text[-1] == "'":
        return LITERAL, ""
    if kind == NAME and text[:3] == "__[":
        return PLACEHOLDER, ""
    if kind == NAME:
        return NAME, KEYWORDS.get(text.upper(), "")
    if kind == PLACEHOLDER and text[0] == text[-1] == "$":
        return LITERAL, ""
    if kind == QUOTED and not _ONE_QUOTED_WORD.fullmatch(text):
        return NAME, ""
    return kind, ""
