"""What a statement does to which tables, in a few words of low cardinality: `INSERT archive SELECT orders`.

The words are those of OpenTelemetry's `db.query.summary`: operations and targets in the order and the case
in which they are written, without aliases, columns and values, and without generated names (savepoints).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tickspan.analysis.sql.keywords import words
from tickspan.analysis.sql.tokens import (
    CLOSE,
    COMMA,
    COMPARISON,
    LITERAL,
    NAME,
    OPEN,
    PLACEHOLDER,
    QUOTED,
    SEMICOLON,
    Token,
)

__all__ = ["Kind", "Summary", "summarise"]

_MAX_LENGTH: Final = 255


class Kind(StrEnum):
    """What a statement is for; of several statements in one text, the first counts."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    MERGE = "MERGE"
    DDL = "DDL"
    TX = "TX"
    UTILITY = "UTILITY"
    COPY = "COPY"
    FETCH = "FETCH"
    CALL = "CALL"
    UNKNOWN = "UNKNOWN"


_KINDS: Final[dict[str, Kind]] = {
    "SELECT": Kind.SELECT,
    "VALUES": Kind.SELECT,
    "INSERT": Kind.INSERT,
    "REPLACE": Kind.INSERT,
    "UPDATE": Kind.UPDATE,
    "DELETE": Kind.DELETE,
    "MERGE": Kind.MERGE,
    "COPY": Kind.COPY,
    "LOAD": Kind.COPY,
    **dict.fromkeys(words("CREATE ALTER DROP TRUNCATE RENAME COMMENT REFRESH"), Kind.DDL),
    **dict.fromkeys(words("BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE END ABORT"), Kind.TX),
    **dict.fromkeys(words("CALL EXEC EXECUTE"), Kind.CALL),
    **dict.fromkeys(words("FETCH DECLARE MOVE CLOSE"), Kind.FETCH),
    **dict.fromkeys(
        words("""
            ANALYZE ATTACH CHECKPOINT DEALLOCATE DESCRIBE DETACH DISCARD DO EXPLAIN GRANT KILL LISTEN LOCK
            NOTIFY PRAGMA PREPARE REINDEX REVOKE SET SHOW UNLISTEN USE VACUUM
        """),
        Kind.UTILITY,
    ),
}
"""The first word of a statement."""

_QUERIES: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_WRITES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"})
_READS_FROM: Final = frozenset({"SELECT", "DELETE", "UPDATE"})
_WHOLE_TABLE: Final = frozenset({"UPDATE", "DELETE"})
_NAME_AFTER_THE_VERB: Final = words("""
    ANALYZE CALL COPY DESCRIBE EXEC EXECUTE INSERT LISTEN LOCK MERGE NOTIFY PRAGMA REINDEX REPLACE SET SHOW
    TRUNCATE UNLISTEN UPDATE USE VACUUM
""")
_OBJECTS: Final = words(
    "DATABASE EXTENSION FUNCTION INDEX MATERIALIZED PROCEDURE SCHEMA SEQUENCE TABLE TRIGGER TYPE VIEW"
)
"""What a definition is about: it stands before the name. Not users and roles: their names stay out."""
_TRANSACTION_WORDS: Final = frozenset({"TRANSACTION", "SAVEPOINT", "TO", "PREPARED"})
_SKIPPED_BEFORE_A_NAME: Final = words("""
    ABORT ALL ANALYZE CONCURRENTLY EXISTS FULL GLOBAL IF IGNORE LATERAL LOCAL LOW_PRIORITY NOT ON ONLY OR
    REPLACE ROLLBACK SESSION TABLE TEMP TEMPORARY UNIQUE UNLOGGED VIRTUAL
""")
_END_OF_FROM: Final = words("""
    EXCEPT FETCH FOR GROUP HAVING INTERSECT LIMIT OFFSET ORDER QUALIFY RETURNING SET UNION VALUES WHERE WINDOW
""")


@dataclass(frozen=True, slots=True)
class Summary:
    """The words, and what finding them has shown."""

    text: str
    """At most 255 characters; "" when no operation is recognised."""
    kind: Kind
    statements: int
    writes: bool
    """Whether rows are changed, in a common table expression included."""
    writes_without_where: bool
    """Whether a whole table is updated or deleted from, by one without WHERE or JOIN."""


def summarise(tokens: Sequence[Token]) -> Summary:
    """The summary of one text, which may hold several statements."""
    reader = _Reader()
    for kind, text, _spaced, keyword in tokens:
        if keyword:
            reader.word(text, keyword)
        elif (read := _READ.get(kind)) is not None:
            read(reader, text)
    return reader.result()


@dataclass(slots=True)
class _Scope:
    """One level of brackets."""

    expects_name: bool = False
    in_from: bool = False
    """Whether a comma is followed by one more target."""
    at_start: bool = True
    """Whether an operation may begin here."""
    operation: str = ""
    defines: bool = False
    """Whether the words up to the name tell what is defined."""
    in_with: bool = False
    expects_expression: bool = False
    """Whether the next name is that of a common table expression: no target anywhere."""


class _Reader:
    __slots__ = (
        "_expressions",
        "_has_where",
        "_kind",
        "_kind_inside",
        "_outer",
        "_previous",
        "_scope",
        "_statements",
        "_verb",
        "_words",
        "_writes",
        "_writes_without_where",
    )

    def __init__(self) -> None:
        self._words: list[str] = []
        self._kind: Kind | None = None
        self._kind_inside: Kind | None = None  # of the first operation in brackets, for `(SELECT …) UNION …`
        self._statements = 0
        self._writes = False
        self._writes_without_where = False
        self._begin()

    def _begin(self) -> None:
        self._verb = ""
        self._has_where = False
        self._previous = ""
        self._scope = _Scope()
        self._outer: list[_Scope] = []
        self._expressions: set[str] = set()

    def _end(self) -> None:
        if self._previous:
            self._statements += 1
        if self._verb in _WHOLE_TABLE and not self._has_where:
            self._writes_without_where = True

    def result(self) -> Summary:
        self._end()
        kind = self._kind or self._kind_inside or Kind.UNKNOWN
        return Summary(_joined(self._words), kind, self._statements, self._writes, self._writes_without_where)

    def word(self, text: str, keyword: str) -> None:
        scope = self._scope
        if keyword == "SELECT" or (scope.at_start and self._begins_an_operation(keyword)):
            self._operation(text, keyword)
        elif (act := _ACTS.get(keyword)) is not None:
            act(self, keyword)
        elif scope.defines and keyword in _OBJECTS:
            self._words.append(text)
            scope.expects_name = True
        elif scope.expects_name and keyword not in _SKIPPED_BEFORE_A_NAME:
            self.name(text)
        elif keyword in _TRANSACTION_WORDS and (self._verb == "PREPARE" or _KINDS.get(self._verb) is Kind.TX):
            self._transaction_word(text)
        else:
            self._leave_start()
        self._previous = keyword

    def _begins_an_operation(self, keyword: str) -> bool:
        return keyword in (_QUERIES if self._outer or self._verb else _KINDS)

    def _operation(self, text: str, keyword: str) -> None:
        kind = _KINDS[keyword]
        if self._outer:
            self._kind_inside = self._kind_inside or kind
        elif not self._verb:
            self._verb = keyword
            self._kind = self._kind or kind
        self._writes = self._writes or keyword in _WRITES
        self._words.append(text)
        self._scope = _Scope(
            expects_name=keyword in _NAME_AFTER_THE_VERB,
            in_from=keyword in {"DROP", "TRUNCATE"},
            at_start=keyword == "EXPLAIN",
            operation=keyword,
            defines=kind is Kind.DDL,
        )

    def _transaction_word(self, text: str) -> None:
        self._words.append(text)
        if self._verb == "PREPARE":
            self._kind = Kind.TX

    def _leave_start(self) -> None:
        if not self._scope.in_with and self._verb != "EXPLAIN":
            self._scope.at_start = False

    def name(self, text: str) -> None:
        scope = self._scope
        previous, self._previous = self._previous, "name"
        if scope.expects_expression:
            scope.expects_expression = False
            self._expressions.add(text.casefold())
            return
        self._leave_start()
        if scope.expects_name:
            scope.expects_name = scope.defines = False
            if text.casefold() not in self._expressions and text[0] != "@":
                self._words.append(text)
        elif previous == self._verb == "BEGIN" and text.upper() != "TRAN":
            self._kind = Kind.UTILITY  # a block of procedural code

    def literal(self, _text: str) -> None:
        self._scope.expects_name = False
        self._leave_start()

    def value_ahead(self, _text: str) -> None:
        """A comparison or a placeholder: the name of what is called may come behind it, data may, too."""
        self._previous = "="

    def quoted(self, text: str) -> None:
        if self._previous == "=":
            self.literal(text)
        else:
            self.name(text)

    def comma(self, _text: str) -> None:
        scope = self._scope
        scope.expects_expression = scope.in_with
        scope.expects_name = scope.in_from

    def open(self, _text: str) -> None:
        outer = self._scope
        self._outer.append(outer)
        joins = outer.expects_name and outer.in_from
        self._scope = _Scope(expects_name=joins, in_from=joins)
        outer.expects_name = False

    def close(self, _text: str) -> None:
        if self._outer:
            self._scope = self._outer.pop()
        self._leave_start()

    def semicolon(self, _text: str) -> None:
        self._end()
        self._begin()
        if self._words and not self._words[-1].endswith(";"):
            self._words[-1] += ";"

    def from_(self, _keyword: str) -> None:
        if self._scope.operation in _READS_FROM and self._previous != "DISTINCT":  # IS DISTINCT FROM compares
            self.join("")

    def join(self, keyword: str) -> None:
        self._scope.in_from = self._scope.expects_name = True
        if keyword and not self._outer:
            self._has_where = True  # its ON restricts the rows

    def using(self, _keyword: str) -> None:
        if self._scope.operation in {"DELETE", "MERGE"}:
            self._scope.expects_name = True

    def into(self, _keyword: str) -> None:
        self._scope.expects_name = True

    def with_(self, _keyword: str) -> None:
        scope = self._scope
        scope.in_with = scope.expects_expression = True
        scope.in_from = scope.expects_name = False

    def end_of_from(self, keyword: str) -> None:
        self._scope.in_from = self._scope.expects_name = False
        self._leave_start()
        if keyword == "WHERE" and not self._outer:
            self._has_where = True


_ACTS: Final[dict[str, Callable[[_Reader, str], None]]] = {
    **dict.fromkeys(_END_OF_FROM, _Reader.end_of_from),
    "FROM": _Reader.from_,
    "JOIN": _Reader.join,
    "STRAIGHT_JOIN": _Reader.join,
    "USING": _Reader.using,
    "INTO": _Reader.into,
    "WITH": _Reader.with_,
}

_READ: Final[dict[int, Callable[[_Reader, str], None]]] = {
    NAME: _Reader.name,
    QUOTED: _Reader.quoted,
    PLACEHOLDER: _Reader.value_ahead,
    COMPARISON: _Reader.value_ahead,
    LITERAL: _Reader.literal,
    COMMA: _Reader.comma,
    OPEN: _Reader.open,
    CLOSE: _Reader.close,
    SEMICOLON: _Reader.semicolon,
}


def _joined(words: Sequence[str]) -> str:
    """The words that fit, none of them cut."""
    text = " ".join(words).rstrip(";")
    if len(text) <= _MAX_LENGTH:
        return text
    return text[: _MAX_LENGTH + 1].rpartition(" ")[0].rstrip(";")
