"""Which statements may be explained: a decision on the text alone, and one with facts of the catalog.

An EXPLAIN is not harmless. PostgreSQL runs immutable functions while it plans and stable ones to estimate,
MariaDB reads constant tables, and a text of two statements would run the second. So a statement is explained
only if the lexer and the parser agree that it is one SELECT, INSERT, UPDATE or DELETE, and nothing that it
calls could act.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from sqlglot import exp

from tickspan.analysis.plans.functions import BUILT_IN, FORBIDDEN
from tickspan.analysis.plans.probe import Refused
from tickspan.analysis.sql import Dialect, Flag, Kind, Statement
from tickspan.analysis.sql.lexer import tokenise
from tickspan.analysis.sql.parsed import parse
from tickspan.analysis.sql.render import render
from tickspan.analysis.sql.tokens import CLOSE, COMMA, LITERAL, NAME, OPEN, PLACEHOLDER, Token

__all__ = ["MARKER", "Admitted", "CatalogFacts", "FunctionFact", "admit", "judge"]

MARKER: Final = "tickspan:probe"
"""In a comment of each statement that a probe sends, so that probes do not explain one another."""

_KINDS: Final = frozenset({Kind.SELECT, Kind.INSERT, Kind.UPDATE, Kind.DELETE})
_TREES: Final[Mapping[Kind, tuple[type[exp.Expr], ...]]] = {
    Kind.SELECT: (exp.Select, exp.SetOperation),
    Kind.INSERT: (exp.Insert,),
    Kind.UPDATE: (exp.Update,),
    Kind.DELETE: (exp.Delete,),
}
_FIRST_WORDS: Final = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"})
_NEVER: Final[Mapping[str, str]] = {
    "PROCEDURE": "PROCEDURE runs a procedure over the rows",
    "LOCK": "it takes locks",
    "COPY": "COPY moves data",
    "LOAD": "LOAD moves data",
    "EXECUTE": "EXECUTE runs a prepared statement",
    "CALL": "CALL runs a procedure",
}
"""Keywords that no admitted statement has."""
_HARMLESS_LITERAL: Final = re.compile(r"[nN]?(['\"])[^\x00-\x1f\"\\]*\1|[0-9.]+(?:[eE][+-]?[0-9]+)?")
_WRITES: Final = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
_SYSTEM_NAMESPACE: Final = "pg_catalog"
_SAFE_RELATIONS: Final = frozenset("rpmv")
_SAFE_TYPES: Final = frozenset({"b", "e"})
_RELATION_KINDS: Final = {"f": "a foreign table: its server would be asked", "S": "a sequence"}


@dataclass(frozen=True, slots=True)
class Admitted:
    """A statement that may be explained as far as its text tells.

    Attributes:
        statement: its canonical form.
        text: for the database: `$1`, `$2`, … in PostgreSQL and `?` elsewhere, no comments. Never recorded.
        parameters: how many placeholders have to be filled.
        aliases: of tables, to the names as written.
        relations: tables and views as written, without those that WITH defines.
        functions: names of all it calls, in lower case.
        types: that it casts to and that are not the parser's own, in lower case.
    """

    statement: Statement
    text: str = field(repr=False)
    parameters: int
    aliases: Mapping[str, str]
    relations: tuple[str, ...]
    functions: frozenset[str]
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class FunctionFact:
    """One function of that name; there may be several.

    Attributes:
        namespace: that it is in.
        volatility: `i`, `s` or `v`, as in `pg_proc.provolatile`.
    """

    namespace: str
    volatility: str


@dataclass(frozen=True, slots=True)
class CatalogFacts:
    """What PostgreSQL's catalog says of the names in one statement.

    Attributes:
        functions: by name; one that is not there is unknown.
        relations: `pg_class.relkind` by name as written.
        secured: relations with row security, whose policies would be evaluated.
        types: `pg_type.typtype` by name; `b` for those of the system, else `b`, `e`, `d`, …
    """

    functions: Mapping[str, Sequence[FunctionFact]]
    relations: Mapping[str, str]
    secured: frozenset[str]
    types: Mapping[str, str]


def admit(sql: str, dialect: Dialect, *, analyze: bool = False) -> Admitted:
    """What may be explained. Raises `Refused` with the reason.

    Args:
        sql: raw or canonical text.
        dialect: of the database that is asked.
        analyze: whether it would be run: SELECT only, and no placeholder.
    """
    if MARKER in sql:
        raise Refused("it comes from a probe")
    if "\0" in sql or any("\ud800" <= character <= "\udfff" for character in sql):
        raise Refused("it holds characters that no database takes")
    parsed = parse(sql, dialect)
    statement = parsed.statement
    _refuse_shape(statement, analyze=analyze)
    if parsed.problems or len(parsed.trees) != 1:
        problem = f": {parsed.problems[0]}" if parsed.problems else ""
        raise Refused(f"the parser sees no single statement in it{problem}")
    tree = parsed.trees[0]
    if not isinstance(tree, _TREES[statement.kind]):
        raise Refused(f"lexer and parser disagree: {statement.kind} and {tree.key.upper()}")
    text = render(sql, dialect)
    tokens = tokenise(text, dialect)
    _refuse_words(tokens, statement.kind)
    if dialect is Dialect.MYSQL:
        _refuse_literals(tokens)
    _refuse_parts(tree)
    functions = frozenset(_functions(tokens, _column_aliases(tree)))
    _refuse_functions(functions, dialect)
    parameters = _parameters(tokens, dialect)
    if analyze and parameters:
        raise Refused("its placeholders have no values to run it with")
    return Admitted(
        statement=statement,
        text=text,
        parameters=parameters,
        aliases=_aliases(tree, dialect),
        relations=_relations(tree, dialect),
        functions=functions,
        types=frozenset(_types(tree, tokens)),
    )


def judge(admitted: Admitted, facts: CatalogFacts) -> None:
    """Refuse what the catalog knows to act, or does not know at all. Raises `Refused`."""
    for name in sorted(admitted.functions):
        _judge_function(name, facts.functions.get(name, ()))
    for name in admitted.relations:
        _judge_relation(name, facts)
    for name in sorted(admitted.types):
        if facts.types.get(name) not in _SAFE_TYPES:
            raise Refused(f"{name} is no built-in type and no enumeration")


def _judge_function(name: str, known: Sequence[FunctionFact]) -> None:
    if not known:
        raise Refused(f"{name} is no function that the catalog knows")
    if any(fact.namespace != _SYSTEM_NAMESPACE for fact in known):
        raise Refused(f"{name} is a function of the user's: planning may run it")
    if any(fact.volatility == "v" for fact in known):
        raise Refused(f"{name} is volatile")


def _judge_relation(name: str, facts: CatalogFacts) -> None:
    kind = facts.relations.get(name)
    if kind is None:
        raise Refused(f"{name} is no table that this account can see")
    if kind not in _SAFE_RELATIONS:
        raise Refused(f"{name} is {_RELATION_KINDS.get(kind, 'no table')}")
    if name in facts.secured:
        raise Refused(f"{name} has row security: planning may run its policies")


def _refuse_shape(statement: Statement, *, analyze: bool) -> None:
    if Flag.MALFORMED in statement.flags:
        raise Refused("a quote or comment in it does not end")
    if Flag.TRUNCATED in statement.flags:
        raise Refused("it is too long")
    if Flag.MULTI_STATEMENT in statement.flags:
        raise Refused("it is several statements")
    if statement.kind not in _KINDS:
        is_unknown = statement.kind is Kind.UNKNOWN
        raise Refused("it begins with no known verb" if is_unknown else f"it is no query: {statement.kind}")
    if statement.kind is Kind.SELECT and Flag.WRITES in statement.flags:
        raise Refused("a common table expression in it writes")
    if analyze and statement.kind is not Kind.SELECT:
        raise Refused(f"only a SELECT is run for its plan, not {statement.kind}")


def _refuse_words(tokens: Sequence[Token], kind: Kind) -> None:
    """What the lexer sees and the parser may have read as something else."""
    first = next((keyword for _, text, _, keyword in tokens if text != "("), "")
    if first not in _FIRST_WORDS:
        raise Refused("it does not begin as a query")
    for _, text, _, keyword in tokens:
        if keyword in _NEVER:
            raise Refused(_NEVER[keyword])
        if text[0] == "@" and text not in {"@>", "@?", "@@"}:
            raise Refused("it uses a variable of its session")
        if text == ":=":
            raise Refused("it assigns to a variable")
    wanted = 1 if kind is Kind.INSERT else 0
    if sum(keyword == "INTO" for _, _, _, keyword in tokens) > wanted:
        raise Refused("SELECT INTO writes its rows somewhere")
    if any(text.upper() == "OPERATOR" for token_kind, text, _, _ in tokens if token_kind == NAME):
        raise Refused("OPERATOR() may name an operator of the user's")


def _refuse_literals(tokens: Sequence[Token]) -> None:
    """MariaDB copies a literal into its document as it is, binary ones decoded: a quote could tear that."""
    for kind, text, _, _ in tokens:
        if kind == LITERAL and not _HARMLESS_LITERAL.fullmatch(text):
            raise Refused("a literal in it would tear the server's document")


def _refuse_parts(tree: exp.Expr) -> None:
    if any(node is not tree for node in tree.find_all(*_WRITES)):
        raise Refused("a part of it writes")
    if tree.find(exp.Into) is not None:
        raise Refused("SELECT INTO writes its rows somewhere")
    if tree.find(exp.Lock) is not None:
        raise Refused("it locks rows")
    if tree.find(exp.Command) is not None:
        raise Refused("the parser does not understand a part of it")


def _refuse_functions(functions: frozenset[str], dialect: Dialect) -> None:
    for name in sorted(functions):
        bare = name.rpartition(".")[2]
        for beginning, reason in FORBIDDEN:
            if bare.startswith(beginning):
                raise Refused(reason)
        known = BUILT_IN.get(dialect)
        if known is not None and name not in known:
            raise Refused(f"{name} is no function that is known to only compute")


def _functions(tokens: Sequence[Token], column_aliases: frozenset[str]) -> Iterator[str]:
    """Names before a bracket, in lower case, quoted ones too.

    The column list of an INSERT's target and of an alias looks the same: there the place tells.
    """
    for index in range(len(tokens) - 1):
        kind, text, _, keyword = tokens[index]
        if kind != NAME or keyword or tokens[index + 1][0] != OPEN or tokens[index + 1][1] != "(":
            continue
        before = tokens[index - 1] if index else None
        if before is not None and (before[3] == "INTO" or before[1] == "::"):
            continue
        name = text.casefold().replace('"', "").replace("`", "")
        if text.casefold() in _NO_FUNCTIONS or (name in column_aliases and _is_at_an_alias(before)):
            continue
        yield name


_NO_FUNCTIONS: Final = frozenset(
    {
        *("over", "filter", "within", "sets", "rollup", "cube", "grouping", "lateral", "conflict"),
        *("numeric", "decimal", "varchar", "char", "character", "bit", "varying", "precision", "float"),
        *("timestamp", "timestamptz", "time", "timetz", "interval", "coalesce", "greatest", "least"),
        *("nullif", "cast", "extract", "overlay", "position", "substring", "trim", "row", "rows"),
        *(
            "bernoulli",
            "system",
            "tablesample",
            "repeatable",
            "materialized",
            "exists",
            "do",
            "nothing",
            "xmlelement",
        ),
        *("any", "some", "all", "array", "values", "in", "on", "using", "and", "or", "not", "as"),
    }
)
"""Words of the grammar: none of them can be the name of somebody's function unless it is quoted."""


def _is_at_an_alias(before: Token | None) -> bool:
    if before is None:
        return False
    kind, _, _, keyword = before
    return kind in {CLOSE, NAME, COMMA} and keyword in {"", "AS", "WITH", "RECURSIVE"}


def _column_aliases(tree: exp.Expr) -> frozenset[str]:
    """Aliases with names for their columns: `t(a, b)`."""
    return frozenset(
        alias.name.casefold() for alias in tree.find_all(exp.TableAlias) if alias.args.get("columns")
    )


def _types(tree: exp.Expr, tokens: Sequence[Token]) -> Iterator[str]:
    for kind in tree.find_all(exp.DataType):
        if kind.this == exp.DataType.Type.USERDEFINED:
            written = kind.args.get("kind")
            name = written.name if isinstance(written, exp.Expr) else str(written or "?")
            yield name.casefold()
    for before, behind in pairwise(tokens):
        if before[0] == NAME and not before[3] and behind[0] == LITERAL and behind[1][-1:] in {"'", "$"}:
            yield before[1].casefold()


def _parameters(tokens: Sequence[Token], dialect: Dialect) -> int:
    placeholders = [text for kind, text, _, _ in tokens if kind == PLACEHOLDER]
    if dialect is not Dialect.POSTGRESQL:
        return len(placeholders)
    return max((int(text[1:]) for text in placeholders if text[1:].isdecimal()), default=0)


def _aliases(tree: exp.Expr, dialect: Dialect) -> dict[str, str]:
    return {table.alias_or_name: _written(table, dialect) for table in tree.find_all(exp.Table) if table.name}


def _relations(tree: exp.Expr, dialect: Dialect) -> tuple[str, ...]:
    defined = {cte.alias.casefold() for cte in tree.find_all(exp.CTE)}
    names = [
        _written(table, dialect)
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier)
    ]
    return tuple(dict.fromkeys(name for name in names if name.casefold() not in defined))


def _written(table: exp.Table, dialect: Dialect) -> str:
    """With its namespaces; PostgreSQL keeps names in lower case that are not quoted."""
    is_folded = dialect is Dialect.POSTGRESQL
    return ".".join(
        part.name.lower() if is_folded and not part.args.get("quoted") else part.name for part in table.parts
    )
