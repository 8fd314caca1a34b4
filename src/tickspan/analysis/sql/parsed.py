"""SQL text as sqlglot's trees, with a bound on whatever a hostile or foreign text may do to a parser."""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import sqlglot
from sqlglot import ErrorLevel, exp
from sqlglot import parser as sqlglot_parser
from sqlglot.errors import ParseError, SqlglotError

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.render import pieces
from tickspan.analysis.sql.statement import Statement, canonicalise
from tickspan.analysis.sql.summary import Kind, summarise
from tickspan.analysis.sql.text import canonical_text
from tickspan.analysis.sql.tokens import (
    BROKEN,
    CLOSE,
    NAME,
    OPEN,
    QUOTED,
    SEMICOLON,
    Token,
)

__all__ = [
    "MAX_CHARACTERS",
    "Parsed",
    "Problem",
    "Reason",
    "names_of",
    "parse",
    "problem_at",
    "sqlglot_dialect",
    "token_offsets",
]

MAX_CHARACTERS: Final = 16_384
"""Longer texts are not parsed."""
_MAX_BRACKETS: Final = 30
"""sqlglot takes 21 Python frames for each bracket, of 1,000 that it shares with its caller."""
_MAX_OPEN_JOINS: Final = 10
"""Joins that wait for their ON. sqlglot reads what follows such a join twice: 20 of them took 5 seconds."""
_MAX_DEPTH: Final = 100
"""Levels of a tree. A chain of AND or OR counts once: nobody walks it by recursion."""
_NOT_PARSED: Final = frozenset({Kind.TX, Kind.UTILITY, Kind.COPY, Kind.FETCH, Kind.CALL})
_SQLGLOT: Final = {
    Dialect.POSTGRESQL: "postgres",
    Dialect.MYSQL: "mysql",
    Dialect.SQLITE: "sqlite",
    Dialect.GENERIC: "",
}


class Reason(enum.StrEnum):
    """Why a text has no tree; what `tickspan.queries.skipped` is counted by."""

    SIZE = "size"
    RECURSION = "recursion"
    SYNTAX = "syntax"
    KIND = "kind"
    """No query and no definition: `SET`, `COMMIT`, `VACUUM`."""
    TABLE = "table"
    """A definition about a table that is not defined."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a text, or one statement of it, could not be read, and where; lines and columns begin at 1."""

    reason: Reason
    line: int
    column: int

    def __str__(self) -> str:
        return f"not read: {_SAID[self.reason]} (line {self.line}, column {self.column})"


_SAID: Final = {
    Reason.SIZE: f"longer than {MAX_CHARACTERS:,} characters",
    Reason.RECURSION: "nested too deep",
    Reason.SYNTAX: "syntax not understood",
    Reason.KIND: "neither a query nor a definition",
    Reason.TABLE: "its table is not defined",
}


@dataclass(frozen=True, slots=True)
class Parsed:
    """One text, read.

    Attributes:
        statement: its canonical form.
        trees: one for each statement that could be read. Literals stand in them: show names and shapes of a
            tree, and only those in `names`.
        problems: one for each query or definition that could not; never empty without trees.
        names: words of the canonical text in lower case, without quotes: what is safe to tell.
        longest_list: items of its longest IN list.
        settings: parameters that the text sets, in lower case: `lock_timeout`.
    """

    statement: Statement
    trees: tuple[exp.Expr, ...]
    problems: tuple[Problem, ...]
    names: frozenset[str]
    longest_list: int = 0
    settings: frozenset[str] = frozenset()


def sqlglot_dialect(dialect: Dialect) -> str:
    """The name under which sqlglot knows a dialect."""
    return _SQLGLOT[dialect]


def parse(sql: str, dialect: Dialect) -> Parsed:
    """The trees of raw or canonical text. Never raises; prints and logs nothing.

    Placeholders of any driver, and `?` of canonical text, are turned into those that sqlglot reads in this
    dialect. Comments, hints among them, are left out.
    """
    statement = canonicalise(sql, dialect)
    if len(sql) > MAX_CHARACTERS:
        return Parsed(statement, (), (problem_at(Reason.SIZE, sql, MAX_CHARACTERS),), frozenset())
    tokens = tokenise(sql, dialect)
    written = canonical_text(tokens, dialect)
    names = names_of(written.text, dialect)
    trees: list[exp.Expr] = []
    problems: list[Problem] = []
    settings: set[str] = set()
    for start, end in _statements(tokens):
        settings |= _settings(tokens[start:end])
        try:
            trees.append(_tree(tokens[start:end], names, dialect))
        except _Unread as unread:
            at = token_offsets(sql, tokens, dialect)[start + unread.token]
            problems.append(problem_at(unread.reason, sql, at))
    told = [problem for problem in problems if problem.reason is not Reason.KIND]
    if not trees and not told:
        told = problems[:1] or [problem_at(Reason.KIND, sql, 0)]
    return Parsed(statement, tuple(trees), tuple(told), names, written.longest_list, frozenset(settings))


def names_of(text: str, dialect: Dialect) -> frozenset[str]:
    """Each part of each name in `text`, in lower case and without quotes."""
    return frozenset(
        part
        for kind, word, _, _ in tokenise(text, dialect)
        if kind in {NAME, QUOTED}
        for part in _parts(word)
    )


def _parts(name: str) -> Iterator[str]:
    quote = ""
    part: list[str] = []
    for character in name.casefold():
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = _QUOTES[character]
        elif character == ".":
            yield "".join(part)
            part.clear()
            continue
        if character not in '"`[]':
            part.append(character)
    yield "".join(part)


_QUOTES: Final = {'"': '"', "`": "`", "[": "]"}


def problem_at(reason: Reason, sql: str, offset: int) -> Problem:
    """A problem at a place of a text."""
    line_start = sql.rfind("\n", 0, offset) + 1
    return Problem(reason, sql.count("\n", 0, offset) + 1, offset - line_start + 1)


def _statements(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Where each statement of a text begins and ends."""
    start = 0
    for index, token in enumerate(tokens):
        if token[0] == SEMICOLON:
            if index > start:
                yield start, index
            start = index + 1
    if start < len(tokens):
        yield start, len(tokens)


def _settings(tokens: Sequence[Token]) -> set[str]:
    """What a `SET [LOCAL] name = …` or a MySQL `SET @@name` sets."""
    if tokens[0][3] != "SET":
        return set()
    names = [text for kind, text, _, keyword in tokens[1:4] if kind == NAME and not keyword]
    return {names[0].rpartition(".")[2].lstrip("@").casefold()} if names else set()


_FAULTS: Final = (TypeError, ValueError, AttributeError, LookupError)
"""What sqlglot itself fails with where it takes a missing part of a statement for one that is there."""


class _Unread(Exception):  # noqa: N818 - not a fault: it says which token of a statement is one too many
    def __init__(self, reason: Reason, token: int = 0) -> None:
        self.reason = reason
        self.token = token


def _tree(tokens: Sequence[Token], names: frozenset[str], dialect: Dialect) -> exp.Expr:
    """The tree of one statement. Raises `_Unread`."""
    if tokens[-1][0] == BROKEN:
        raise _Unread(Reason.SYNTAX, len(tokens) - 1)
    kind = summarise(tokens).kind
    if kind in _NOT_PARSED:
        raise _Unread(Reason.KIND)
    if kind is Kind.UNKNOWN:
        raise _Unread(Reason.SYNTAX)
    _refuse_depth(tokens)
    readable = _readable(tokens, names, dialect)
    try:
        found = _parse_silently(" ".join(readable), dialect)
    except RecursionError:
        raise _Unread(Reason.RECURSION) from None
    except ParseError as error:
        raise _Unread(Reason.SYNTAX, _token_of(error, readable)) from None
    except (SqlglotError, *_FAULTS):
        raise _Unread(Reason.SYNTAX) from None
    if len(found) != 1 or found[0] is None or found[0].find(exp.Command) is not None:
        raise _Unread(Reason.SYNTAX)
    if _is_deep(found[0]):
        raise _Unread(Reason.RECURSION)
    return found[0]


def _refuse_depth(tokens: Sequence[Token]) -> None:
    """Compiled, sqlglot has no limit of recursion but the machine's: bound what it descends into."""
    depth = prefixes = joins = links = 0
    for index, (kind, text, _, keyword) in enumerate(tokens):
        links += text in _LINKS and tokens[index - 1][1] in _ENDS
        if keyword in _JOINS:
            joins += tokens[index - 1][3] not in _WITHOUT_ON
        elif keyword in _CONDITIONS:
            joins = max(0, joins - 1)
        depth += (kind == OPEN or keyword == "CASE") - (kind == CLOSE or keyword == "END")
        prefixes = prefixes + 1 if keyword == "NOT" or text in _PREFIXES else 0
        if max(depth, prefixes, links) > _MAX_BRACKETS or joins > _MAX_OPEN_JOINS:
            raise _Unread(Reason.RECURSION, index)


_PREFIXES: Final = frozenset("-+~!@")
_LINKS: Final = frozenset({"[", "."})
_ENDS: Final = frozenset({"]", ")"})
"""Behind these stands another subscript or field: sqlglot's time grows with their number's square."""
_JOINS: Final = frozenset({"JOIN", "STRAIGHT_JOIN"})
_WITHOUT_ON: Final = frozenset({"CROSS", "NATURAL"})
_CONDITIONS: Final = frozenset({"ON", "USING"})


def _is_deep(tree: exp.Expr) -> bool:
    level: Iterable[exp.Expr] = (tree,)
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: exp.Expr) -> Iterator[exp.Expr]:
    """The level below; a chain of AND or OR is one level."""
    return node.flatten() if isinstance(node, exp.Connector) else node.iter_expressions()


_silent: Final[ContextVar[bool]] = ContextVar("tickspan_sqlglot_silent", default=False)


def _is_heard(_record: object) -> bool:
    return not _silent.get()


# sqlglot's warnings quote the text. Only our own calls are silenced: the application may use it, too.
sqlglot_parser.logger.addFilter(_is_heard)


def _parse_silently(text: str, dialect: Dialect) -> list[exp.Expr | None]:
    before = _silent.set(True)
    try:
        return sqlglot.parse(text, read=_SQLGLOT[dialect], error_level=ErrorLevel.IMMEDIATE)
    finally:
        _silent.reset(before)


def _token_of(error: ParseError, readable: Sequence[str]) -> int:
    """The token at which the parser stopped; sqlglot tells the column of its last character."""
    ends: list[int] = []
    end = -1
    for piece in readable:
        end += len(piece) + 1
        ends.append(end)
    column = error.errors[0].get("col") if error.errors else None
    return min(bisect_right(ends, (column or 1) - 1), len(readable) - 1)


# --- text that sqlglot reads


def _readable(tokens: Sequence[Token], names: frozenset[str], dialect: Dialect) -> list[str]:
    """One piece of text for each token; a double-quoted word that may be data is a string."""
    return [
        _as_string(text) if kind == QUOTED and text.strip('"').casefold() not in names else piece
        for (kind, text, _, _), piece in zip(tokens, pieces(tokens, dialect), strict=True)
    ]


def _as_string(quoted: str) -> str:
    """A string of the same shape: rules look for `%` and `_` at most."""
    shape = "".join(character if character in "%_" else "x" for character in quoted[1:-1])
    return f"'{shape}'"


# --- places


def token_offsets(sql: str, tokens: Sequence[Token], dialect: Dialect) -> list[int]:
    """Where each token begins in `sql`."""
    offsets: list[int] = []
    at = 0
    for _, text, _, _ in tokens:
        at = _after_gap(sql, at, text, dialect)
        offsets.append(at)
        at += len(text)
    return offsets


def _after_gap(sql: str, at: int, text: str, dialect: Dialect) -> int:
    """The place of `text` behind blanks and comments."""
    while at < len(sql):
        comment = _comment_end(sql, at, dialect)
        if comment > at:
            at = comment
        elif sql.startswith(text, at):
            return at
        else:
            at += 1
    return len(sql)


def _comment_end(sql: str, at: int, dialect: Dialect) -> int:
    """Where the comment that begins at `at` ends; `at` itself when none does."""
    is_mysql = dialect is Dialect.MYSQL
    dashes = sql.startswith("--", at) and (not is_mysql or not sql[at + 2 : at + 3].strip())
    if dashes or (is_mysql and sql.startswith("#", at)):
        end = sql.find("\n", at)
        return end if end >= 0 else len(sql)
    if not sql.startswith("/*", at):
        return at
    if is_mysql and sql[at + 2 : at + 4].startswith(("!", "M!")):
        return at + 3  # executable: its words are tokens
    return _block_end(sql, at, nests=dialect in {Dialect.POSTGRESQL, Dialect.GENERIC})


def _block_end(sql: str, at: int, *, nests: bool) -> int:
    depth, at = 1, at + 2
    while depth and at < len(sql):
        if sql.startswith("*/", at):
            depth, at = depth - 1, at + 2
        elif nests and sql.startswith("/*", at):
            depth, at = depth + 1, at + 2
        else:
            at += 1
    return at
