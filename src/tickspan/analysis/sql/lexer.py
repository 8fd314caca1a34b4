"""SQL text as tokens: one table of patterns per dialect, one linear pass, no exception for any input.

The pass knows where literals, comments, names and placeholders begin and end; what they mean is decided by
those who read the tokens. What no pattern explains (an open quote, a stray backslash, a control character)
becomes one `BROKEN` token and ends the pass: behind it nobody can tell text from data.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.keywords import BEFORE_A_NAME, KEYWORDS, words
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

__all__ = ["tokenise"]

_BLANK: Final = 12
_SPACES: Final = " \t\n\r\f\v"

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
# Whether a backslash before a quote escapes it is not known here: such a string is not understood.
_STRING_OF_ANYONE = r"'(?:[^'\\]++|\\(?!')|'')*+'"
_DOUBLE_QUOTED_OF_ANYONE = r'"(?:[^"\\]++|\\(?!")|"")*+"'
_ORACLE_QUOTES = ("[]", "()", "{}", "<>", "!!", "||", "~~", "^^", "//", "##")
_ORACLES = "|".join(rf"\{first}[\s\S]*?\{last}'" for first, last in _ORACLE_QUOTES)
_BACKTICKED = r"`[^`]*+(?:``[^`]*+)*+`"
_BRACKETED = rf"(?<![\w\])])\[{_WORD}(?: {_WORD})*+\]"
_DOLLAR_QUOTED = rf"(?<![\w$])\$((?:{_LETTER}{_LETTER_OR_DIGIT}*+)?)\$[\s\S]*?\$\1\$"
_DOLLAR_QUOTE: Final = re.compile(rf"\$(?:{_LETTER}{_LETTER_OR_DIGIT}*+)?\$")
_LINE_COMMENT = r"--[^\n]*+"
_BLOCK_COMMENT = r"/\*[\s\S]*?(?:\*/|\Z)"
_COMPARISON = r"<=>|<->|[<>!=]=|<>|<<|>>|<@|=>|[<>=]"
_OPERATOR = r"::|:=|->>?|@[>?@]|\|\||&&|!?~~?\*?|%%"
_JSON_PATH = r"#>>?|#-"
# Elsewhere `#` may begin a comment: an operator has a value behind it.
_JSON_PATH_OF_ANYONE = rf"(?:{_JSON_PATH})(?=\s*+(?:'|\?|\$[0-9]|%[s(]|:\w|ARRAY))"
_POSTCOMPILE = r"__\[POSTCOMPILE_\w++(?:~~[\s\S]*?~~REPL~~[\s\S]*?~~)?\]"
_FORMAT = r"%(?:[sbt](?!\w)|\((?:\w++\)[sbt]?|[^()'\"\n]++\)[sbt](?!\w)))"
_NAMED = r"(?<![\w:\])\"'`]):[A-Za-z_]\w*+"
_NUMBERED = r"(?<![\w:\])\"'`]):[0-9]++"
_DOLLAR_NUMBERED = r"\$[0-9]++"
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
        _FORMAT,
        r"\?[|&]?",
        _NAMED,
        _NUMBERED,
        _DOLLAR_NUMBERED,
        _JSON_PATH,
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
        _DOLLAR_NUMBERED,
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
        _DOLLAR_NUMBERED,
    ),
    Dialect.GENERIC: (
        rf"[nN]?[qQ]'(?:{_ORACLES})",
        rf"(?:[A-Za-z_]\w*+&?)?{_STRING_OF_ANYONE}",
        _POSTCOMPILE,
        _name(rf"\#{{0,2}}{_WORD}", _DOUBLE_QUOTED_OF_ANYONE, _BACKTICKED, _BRACKETED),
        _NUMBER,
        _LINE_COMMENT,
        _nested_comment(),
        _FORMAT,
        r"\?[0-9]*+",
        _NAMED,
        _NUMBERED,
        r"[@$]\w++",
        _JSON_PATH_OF_ANYONE,
    ),
}
# Most tokens: saves them the way through the table. What stands behind it may make it something else.
_PLAIN_NAME = r"[A-Za-z_][A-Za-z0-9_]*+(?:\.[A-Za-z_][A-Za-z0-9_]*+)*+(?![$.'&\[]|[^\x00-\x7f])"
_ANY_CHARACTER = r"[\s\S]"
_REST = r"[\s\S]*+"
_OPEN_STRINGS: Final = {
    Dialect.POSTGRESQL: r"[eE]'",  # without its letter it would end somewhere else
    Dialect.GENERIC: r"[nN]?[qQ]'(?=[\[({<!|~^/#])",
}
_BEGINNING: Final = re.compile(r"/\*|[a-zA-Z]*'|[\s\S]")

_ONE_QUOTED_WORD: Final = re.compile(_DOUBLE_QUOTED)

_EXACT: Final[dict[str, int]] = {
    **dict.fromkeys((chr(code) for code in range(32)), BROKEN),
    "\x7f": BROKEN,
    **dict.fromkeys(_SPACES, _BLANK),
    "*/": _BLANK,
    **dict.fromkeys("'\"`$\\", BROKEN),
    ",": COMMA,
    ";": SEMICOLON,
    **dict.fromkeys("([", OPEN),
    **dict.fromkeys(")]", CLOSE),
    **dict.fromkeys(words("= < > <= >= != == <> <=> <-> << >> <@ =>"), COMPARISON),
    **dict.fromkeys(words("- + * / % ! @ # ^ & | . : { } ~"), OPERATOR),
    **dict.fromkeys(words(":: := -> ->> #> #>> #- @> @? @@ || && %% ~~ ~* ~~* !~ !~* !~~ !~~*"), OPERATOR),
}

_FIRST: Final[dict[str, int]] = {
    **dict.fromkeys("-/", _BLANK),
    **dict.fromkeys("0123456789.'", LITERAL),
    **dict.fromkeys("?%:$", PLACEHOLDER),
}
"""What a token is whose text is not in `_EXACT`, by its first character; a name for those not listed."""

_EXCEPTIONS: Final[dict[Dialect, tuple[dict[str, int], dict[str, int]]]] = {
    Dialect.POSTGRESQL: ({}, {}),
    Dialect.MYSQL: ({}, {'"': LITERAL, "#": _BLANK}),
    Dialect.SQLITE: ({}, {'"': QUOTED, "@": PLACEHOLDER}),
    Dialect.GENERIC: ({"#": BROKEN}, {'"': QUOTED, "@": PLACEHOLDER}),
}
"""Where a dialect departs from `_EXACT` and `_FIRST`."""


@dataclass(frozen=True, slots=True)
class _Table:
    ready: dict[str, tuple[Token, Token, bool]]
    """Pieces that need no thought: the token without and with blanks before it; whether some are behind."""
    exact: dict[str, int]
    first: dict[str, int]


@cache
def _table(dialect: Dialect) -> _Table:
    exact, first = _EXCEPTIONS[dialect]
    return _Table(_ready(_EXACT | exact), _EXACT | exact, _FIRST | first)


# Compiled when the first text needs one: most applications speak one dialect.
@cache
def _scanner(dialect: Dialect, *, has_dollars: bool) -> re.Pattern[str]:
    """Finds a token with the blanks behind it, each time; what cannot be read is one piece up to the end."""
    first, *others = _readable_patterns(dialect, has_dollars=has_dollars)
    open_strings = (_OPEN_STRINGS[dialect] + _REST,) if dialect in _OPEN_STRINGS else ()
    broken = "".join(text for text, kind in _table(dialect).exact.items() if kind == BROKEN)
    unreadable = rf"(?:/\*|[{re.escape(broken)}]){_REST}"
    every = (_PLAIN_NAME, ",", first, *open_strings, *others, unreadable, _ANY_CHARACTER)
    return re.compile(f"(?:{'|'.join(every)})[{_SPACES}]*+")


@cache
def _readable(dialect: Dialect, *, has_dollars: bool) -> re.Pattern[str]:
    """Matches all of a piece that could be read, but for a single character."""
    return re.compile("|".join((_PLAIN_NAME, *_readable_patterns(dialect, has_dollars=has_dollars))))


def _readable_patterns(dialect: Dialect, *, has_dollars: bool) -> tuple[str, ...]:
    dollars = (_DOLLAR_QUOTED,) if has_dollars else ()
    return (*_PATTERNS[dialect], *dollars, _COMPARISON, _OPERATOR, _BLANKS)


def _ready(exact: dict[str, int]) -> dict[str, tuple[Token, Token, bool]]:
    plain = {text: (kind, "") for text, kind in exact.items() if kind not in {BROKEN, _BLANK}}
    plain |= {text: (NAME, keyword) for text, keyword in KEYWORDS.items()}
    return {
        text + blank: ((kind, text, False, keyword), (kind, text, True, keyword), bool(blank))
        for text, (kind, keyword) in plain.items()
        for blank in ("", " ", "\n")
    }


def tokenise(sql: str, dialect: Dialect) -> list[Token]:
    """The tokens of `sql` without its comments; a `BROKEN` token is the last one."""
    table = _table(dialect)
    ready, exact, first = table.ready, table.exact, table.first
    found: list[Token] = []
    spaced = False
    pieces, broken = _pieces(sql, dialect)
    for piece in pieces:
        known = ready.get(piece)
        if known is not None:
            found.append(known[1] if spaced else known[0])
            spaced = known[2]
            continue
        text = piece.rstrip(_SPACES)
        kind = _BLANK if not text else exact.get(text) or first.get(text[0], NAME)
        if kind == _BLANK:
            spaced = True
            continue
        keyword = ""
        if kind == NAME and text[-1] != "'":
            keyword = KEYWORDS.get(text.upper(), "")
            if text[0] in "_#":
                kind = _kind_of_odd_name(text, found)
        elif kind not in _SETTLED:
            kind = _kind_looked_closer(kind, text)
        found.append((kind, text, spaced, keyword))
        if kind == BROKEN:
            return found
        spaced = len(piece) != len(text)
    if broken:
        found.append((BROKEN, broken, spaced, ""))
    return found


_SETTLED: Final = frozenset({LITERAL, COMMA, COMPARISON, OPEN, CLOSE, OPERATOR, SEMICOLON, BROKEN})


def _pieces(sql: str, dialect: Dialect) -> tuple[list[str], str]:
    """The text, cut into what can be read of it, and with what the rest begins; "" when there is none."""
    # The tags of dollar quotes must be remembered: a slower pass, for texts that have some.
    has_dollars = dialect is Dialect.POSTGRESQL and "$" in sql and _DOLLAR_QUOTE.search(sql) is not None
    scanner = _scanner(dialect, has_dollars=has_dollars)
    pieces = [match[0] for match in scanner.finditer(sql)] if has_dollars else scanner.findall(sql)
    last = pieces[-1] if pieces else ""
    if last[:1] not in _SUSPICIOUS:
        return pieces, ""
    text = last.rstrip(_SPACES)
    if len(text) == 1 and _table(dialect).exact.get(text, BROKEN) != BROKEN:
        return pieces, ""
    start = len(sql) - len(last)
    whole = _readable(dialect, has_dollars=has_dollars).match(sql, start)
    if whole is not None and whole.end() >= start + len(text):
        return pieces, ""
    beginning = _BEGINNING.match(last)
    return pieces[:-1], beginning[0] if beginning else ""


_SUSPICIOUS: Final = {*map(chr, range(32)), *"\x7f'\"`$\\/#eEnNqQ"} - {*_SPACES}
"""With which a piece that cannot be read begins."""


def _kind_of_odd_name(text: str, before: list[Token]) -> int:
    """Of a name that begins like SQLAlchemy's late placeholder, or like a comment that is none."""
    if text[:3] == "__[":
        return PLACEHOLDER
    if text[0] == "#" and not (before and before[-1][3] in BEFORE_A_NAME):
        return BROKEN
    return NAME


def _kind_looked_closer(kind: int, text: str) -> int:
    """Of a token whose first character does not settle it."""
    if kind == NAME:
        return LITERAL  # of a string with a prefix
    if kind == PLACEHOLDER and text[0] == text[-1] == "$":
        return LITERAL
    if kind == QUOTED and not _ONE_QUOTED_WORD.fullmatch(text):
        return NAME
    return kind
