"""A schema read from a file of SQL: what CREATE TABLE, CREATE INDEX and ALTER TABLE … ADD say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.parsed import Problem, Reason, parse, problem_at, sqlglot_dialect, token_offsets
from tickspan.analysis.sql.schema import Column, ForeignKey, Index, Schema, Table
from tickspan.analysis.sql.statement import canonicalise
from tickspan.analysis.sql.tokens import BROKEN, SEMICOLON

__all__ = ["read_ddl"]

_NAMESPACES: Final = {Dialect.POSTGRESQL: "public", Dialect.SQLITE: "main"}
_WANTED: Final = re.compile(
    r"CREATE\s+(?:(?:GLOBAL|LOCAL|TEMP|TEMPORARY|UNLOGGED|UNIQUE|FULLTEXT|SPATIAL|CLUSTERED|NONCLUSTERED)\s+)*"
    r"(?:TABLE|INDEX)\b|ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?\S+\s+ADD\b",
    re.IGNORECASE,
)
_INDEX: Final = re.compile(r"CREATE\s+(?:\w+\s+)?INDEX\b", re.IGNORECASE)
# What the parser does not read in CREATE INDEX (SQLite: in CREATE TABLE) and a schema does not need; each is
# replaced by blanks, so that places stay.
_PASSED_OVER: Final = {
    Dialect.POSTGRESQL: (
        re.compile(r"(?<=\bON)\s+ONLY\b(?=[^(]*\()", re.IGNORECASE),
        re.compile(r"(?<=[\w)])\s+\w+_pattern_ops\b", re.IGNORECASE),
    ),
    Dialect.MYSQL: (
        re.compile(r"(?<=[\w`])\s*\(\d+\)(?=\s*(?:,|\)|ASC\b|DESC\b))", re.IGNORECASE),
        re.compile(r"(?:\b(?:ALGORITHM|LOCK)\s*=?\s*\w+\s*)+$", re.IGNORECASE),
    ),
    Dialect.SQLITE: (re.compile(r"(?<=\))[\s,]*(?:(?:WITHOUT\s+ROWID|STRICT)[\s,]*)+$", re.IGNORECASE),),
    Dialect.GENERIC: (),
}
_POSTGRESQL_TYPES: Final = {
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "decimal": "numeric",
    "varchar": "character varying",
    "char": "character",
    "int": "integer",
    "bigserial": "bigint",
    "serial": "integer",
    "smallserial": "smallint",
}
"""sqlglot's word for a type, and the catalog's."""


@dataclass(slots=True)
class _Draft:
    name: str
    columns: list[Column] = field(default_factory=list[Column])
    indexes: list[Index] = field(default_factory=list[Index])
    foreign_keys: list[ForeignKey] = field(default_factory=list[ForeignKey])
    is_partitioned: bool = False

    def table(self) -> Table:
        keys = {key.casefold() for index in self.indexes if index.is_primary for key in index.columns}
        columns = tuple(
            replace(column, is_nullable=False) if column.name.casefold() in keys else column
            for column in self.columns
        )
        return Table(
            self.name,
            columns,
            tuple(self.indexes),
            tuple(self.foreign_keys),
            is_partitioned=self.is_partitioned,
        )


def read_ddl(text: str, dialect: Dialect) -> tuple[Schema, tuple[Problem, ...]]:
    """The tables that `text` defines, and the definitions in it that could not be read, by line and column.

    Statements of other kinds are passed over: a dump of a schema is fine as it is. Sizes and statistics are
    not known from text. Never raises.

    >>> read_ddl("CREATE TABLE t (id bigint PRIMARY KEY)", Dialect.POSTGRESQL)[0].table("t").columns
    (Column(name='id', type='bigint', is_nullable=False, ...),)
    """
    reader = _Reader(dialect)
    problems: list[Problem] = []
    for start, statement in _statements(text, dialect):
        if _WANTED.match(statement) is None:
            continue
        parsed = parse(_readable(statement, dialect), dialect)
        base = problem_at(Reason.SYNTAX, text, start)
        problems += [_moved(problem, base) for problem in parsed.problems]
        for tree in parsed.trees:
            if not reader.read(tree):
                problems.append(replace(base, reason=Reason.TABLE))
    broken = _broken(text, dialect)
    if broken is not None:
        problems.append(problem_at(Reason.SYNTAX, text, broken))
    return reader.schema(), tuple(problems)


def _statements(text: str, dialect: Dialect) -> Iterator[tuple[int, str]]:
    """Each statement without its semicolon and the comments before it, and where it begins."""
    tokens = tokenise(text, dialect)
    offsets = token_offsets(text, tokens, dialect)
    start: int | None = None
    for (kind, _, _, _), at in zip(tokens, offsets, strict=True):
        if kind == BROKEN:
            return
        if kind == SEMICOLON:
            if start is not None:
                yield start, text[start:at]
            start = None
        elif start is None:
            start = at
    if start is not None:
        yield start, text[start:]


def _broken(text: str, dialect: Dialect) -> int | None:
    """Where the text stops making sense."""
    tokens = tokenise(text, dialect)
    if not tokens or tokens[-1][0] != BROKEN:
        return None
    return token_offsets(text, tokens, dialect)[-1]


def _readable(statement: str, dialect: Dialect) -> str:
    if (_INDEX.match(statement) is None) is not (dialect is Dialect.SQLITE):
        return statement
    for pattern in _PASSED_OVER[dialect]:
        statement = pattern.sub(lambda match: " " * len(match[0]), statement)
    return statement


def _moved(problem: Problem, base: Problem) -> Problem:
    """The place of a problem in the whole text."""
    column = problem.column + (base.column - 1 if problem.line == 1 else 0)
    return Problem(problem.reason, base.line + problem.line - 1, column)


class _Reader:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._drafts: dict[str, _Draft] = {}

    def schema(self) -> Schema:
        return Schema(
            tuple(draft.table() for draft in self._drafts.values()), _NAMESPACES.get(self._dialect, "")
        )

    def read(self, tree: exp.Expr) -> bool:
        """Take a definition in; False for one that is about a table that is not defined here."""
        if isinstance(tree, exp.Create):
            return self._index(tree.this) if isinstance(tree.this, exp.Index) else self._table(tree)
        draft = self._draft(tree.this) if isinstance(tree, exp.Alter) else None
        if draft is None:
            return False
        for action in tree.args.get("actions") or ():
            for part in action.expressions if isinstance(action, exp.AddConstraint) else (action,):
                self._part(draft, part)
        return True

    def _table(self, tree: exp.Create) -> bool:
        if tree.kind != "TABLE" or not isinstance(tree.this, exp.Schema):
            return True
        draft = _Draft(_name(tree.this.this))
        self._drafts[draft.name.casefold()] = draft
        draft.is_partitioned = tree.find(exp.PartitionedByProperty, exp.PartitionByRangeProperty) is not None
        for part in tree.this.expressions:
            self._part(draft, part)
        return True

    def _draft(self, table: exp.Expr | None) -> _Draft | None:
        name = _name(table).casefold()
        namespace = _NAMESPACES.get(self._dialect, "")
        return (
            self._drafts.get(name)
            or self._drafts.get(f"{namespace}.{name}")
            or self._drafts.get(name.removeprefix(f"{namespace}."))
        )

    def _part(self, draft: _Draft, part: exp.Expr) -> None:
        """One line of a table's definition."""
        if isinstance(part, exp.ColumnDef):
            self._column(draft, part)
        elif isinstance(part, exp.Identifier | exp.Column):
            draft.columns.append(Column(part.name, ""))  # SQLite: a column without a type
        elif isinstance(part, exp.Constraint):
            for inner in part.expressions:
                self._constraint(draft, inner, part.name)
        else:
            self._constraint(draft, part, "")

    def _column(self, draft: _Draft, part: exp.ColumnDef) -> None:
        kinds = [constraint.args.get("kind") for constraint in part.constraints]
        draft.columns.append(
            Column(
                part.name,
                self._type(part.kind),
                not any(
                    isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null")
                    for kind in kinds
                ),
            )
        )
        for kind in kinds:
            if isinstance(kind, exp.PrimaryKeyColumnConstraint):
                self._unique(draft, [part.name], "", is_primary=True)
            elif isinstance(kind, exp.UniqueColumnConstraint):
                self._unique(draft, [part.name], "")
            elif isinstance(kind, exp.Reference):
                draft.foreign_keys.append(_foreign_key([part.name], kind))

    def _type(self, kind: exp.Expr | None) -> str:
        if kind is None:
            return ""
        dialect = "" if self._dialect is Dialect.SQLITE else sqlglot_dialect(self._dialect)
        text = kind.sql(dialect=dialect).lower().replace(", ", ",")
        if self._dialect is not Dialect.POSTGRESQL:
            return text
        word, bracket, rest = text.partition("(")
        return f"{_POSTGRESQL_TYPES.get(word, word)}{bracket}{rest}"

    def _constraint(self, draft: _Draft, part: exp.Expr, name: str) -> None:
        if isinstance(part, exp.PrimaryKey):
            self._unique(draft, self._keys(part.expressions), name, is_primary=True)
        elif isinstance(part, exp.UniqueColumnConstraint) and isinstance(part.this, exp.Schema):
            self._unique(draft, self._keys(part.this.expressions), name or part.this.name)
        elif isinstance(part, exp.IndexColumnConstraint):
            draft.indexes.append(Index(part.name, draft.name, tuple(self._keys(part.expressions))))
        elif isinstance(part, exp.ForeignKey) and isinstance(part.args.get("reference"), exp.Reference):
            draft.foreign_keys.append(_foreign_key(_names(part.expressions), part.args["reference"]))

    def _unique(self, draft: _Draft, columns: Sequence[str], name: str, *, is_primary: bool = False) -> None:
        bare = draft.name.rpartition(".")[2]
        given = f"{bare}_pkey" if is_primary else f"{'_'.join([bare, *columns])}_key"
        draft.indexes.append(
            Index(name or given, draft.name, tuple(columns), is_unique=True, is_primary=is_primary)
        )

    def _index(self, index: exp.Index) -> bool:
        draft = self._draft(index.args.get("table"))
        if draft is None:
            return False
        parameters, create = index.args.get("params"), index.parent
        if not isinstance(parameters, exp.IndexParameters):
            return False
        where = parameters.args.get("where")
        using = parameters.args.get("using")
        draft.indexes.append(
            Index(
                index.name,
                draft.name,
                tuple(self._keys(parameters.args.get("columns") or ())),
                tuple(_names(parameters.args.get("include") or ())),
                using.name.lower() if isinstance(using, exp.Expr) else "btree",
                self._canonical(where.this) if isinstance(where, exp.Where) else "",
                is_unique=bool(create is not None and create.args.get("unique")),
            )
        )
        return True

    def _keys(self, keys: Iterable[exp.Expr]) -> list[str]:
        return [self._key(key) for key in keys]

    def _key(self, key: exp.Expr) -> str:
        is_descending = isinstance(key, exp.Ordered) and bool(key.args.get("desc"))
        inner = key.this if isinstance(key, exp.Ordered) else key
        while isinstance(inner, exp.Paren | exp.Ordered | exp.Opclass | exp.ColumnPrefix):
            inner = inner.this
        is_name = isinstance(inner, exp.Column | exp.Identifier)
        text = inner.name if is_name else self._canonical(inner)
        return f"{text} DESC" if is_descending else text

    def _canonical(self, node: exp.Expr) -> str:
        return canonicalise(node.sql(dialect=sqlglot_dialect(self._dialect)), self._dialect).text


def _name(table: exp.Expr | None) -> str:
    return ".".join(part.name for part in table.parts) if isinstance(table, exp.Table) else ""


def _names(parts: Iterable[exp.Expr]) -> list[str]:
    return [part.name for part in parts]


def _foreign_key(columns: Sequence[str], reference: exp.Expr) -> ForeignKey:
    target = reference.this
    table = target.this if isinstance(target, exp.Schema) else target
    referenced = _names(target.expressions) if isinstance(target, exp.Schema) else []
    return ForeignKey(tuple(columns), _name(table), tuple(referenced))
