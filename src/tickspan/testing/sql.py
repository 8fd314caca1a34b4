"""SQL that is full of secrets, by seed: whatever reads statements can be shown to keep none of them.

Each statement tells which texts stand in its literals and comments. Whoever turns the statement into
telemetry, a file or a picture looks for them there:

    for statement in statements(seed=1, dialect="postgresql", count=500):
        assert statement.found_in(canonicalise(statement.sql, Dialect.POSTGRESQL).text) == ()

Only the standard library is needed. The same seed gives the same statements on every Python; a random source
of hypothesis can be given instead of a seed, which then makes a failing statement small.
"""

# ruff: noqa: S608 - what is written here is read, and never sent to a database

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

__all__ = ["DIALECTS", "GeneratedStatement", "Literal", "literal", "literals", "statement", "statements"]

DIALECTS: Final = ("postgresql", "mysql", "sqlite", "generic")
"""What can be generated. `generic` takes turns: standard SQL, and each of the others, unnamed."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as it is written in SQL."""

    sql: str
    secrets: tuple[str, ...]
    """What must not be seen again."""


@dataclass(frozen=True, slots=True)
class GeneratedStatement:
    """A text that an application could have sent, or the beginning of one."""

    sql: str
    secrets: tuple[str, ...]
    """Parts of its literals and comments; none of its names holds one of them."""
    tables: tuple[str, ...]
    """What it reads and writes, in the order of their first mention."""
    is_cut: bool = False
    """Whether its end is missing, inside a literal or a comment perhaps."""

    def found_in(self, text: str) -> tuple[str, ...]:
        """The secrets that can be read in `text`, in whatever case."""
        folded = text.casefold()
        return tuple(secret for secret in self.secrets if secret.casefold() in folded)


def literals(seed: int, dialect: str, count: int = 100) -> Iterator[Literal]:
    """Strings in every way of quoting that the dialect has, numbers, binary values; some of them odd.

    Raises:
        ValueError: the dialect is none of `DIALECTS`.
    """
    source = Random(seed)  # noqa: S311 - examples, no keys
    return (literal(source, dialect) for _ in range(count))


def literal(source: Random, dialect: str) -> Literal:
    """One of `literals`, from a source of randomness."""
    return _Author(source, dialect).value()


def statements(seed: int, dialect: str, count: int = 100) -> Iterator[GeneratedStatement]:
    """Queries, changes, definitions and utility statements with values, comments, casts and placeholders.

    One in five ends too early.

    Raises:
        ValueError: the dialect is none of `DIALECTS`.
    """
    source = Random(seed)  # noqa: S311 - examples, no keys
    return (statement(source, dialect) for _ in range(count))


def statement(source: Random, dialect: str, *, may_be_cut: bool = True) -> GeneratedStatement:
    """One of `statements`, from a source of randomness."""
    author = _Author(source, dialect)
    sql = author.statement()
    secrets = author.secrets_in(sql)
    is_cut = may_be_cut and source.randrange(5) == 0
    if is_cut:
        sql = sql[: source.randint(1, max(1, len(sql) - 1))]
    return GeneratedStatement(sql, secrets, tuple(dict.fromkeys(author.tables)), is_cut)


_TABLES: Final = ("orders", "fills", "public.trades", "accounts", "t1")
_COLUMNS: Final = ("id", "symbol", "price", "o.side", "created_at", "venue_order_id", "note")
_STANDARD: Final = "standard"
_STYLES: Final = {
    "postgresql": ("postgresql",),
    "mysql": ("mysql",),
    "sqlite": ("sqlite",),
    "generic": (_STANDARD, "postgresql", "mysql", "sqlite"),
}
_MARK: Final = "Secret"
_NUMBER: Final = "917235"
_ODD: Final = (
    *"aZ09 _%'\"`\\$?:;,()[]{}*/-#\n\té💰\x00\x1f",
    *("''", '""', "--", "/*", "*/", "$$", "$a$", "E'", "\\'", "' OR 1=1 --", "%s", ":x", "$1", "=", " FROM "),
)
"""What values are made of besides their mark: all that means something to a reader of SQL."""


class _Author:
    """Writes one statement, and notes its secrets and tables."""

    def __init__(self, source: Random, dialect: str) -> None:
        if dialect not in _STYLES:
            raise ValueError(f"expected one of {', '.join(DIALECTS)}, got {dialect!r}")
        self._random = source
        self._is_named = dialect != "generic"
        self._style = source.choice(_STYLES[dialect])
        self._numbers = itertools.count(source.randrange(10))
        self.secrets: list[str] = []
        self.tables: list[str] = []

    # --- values

    def value(self) -> Literal:
        """A literal of any sort."""
        known = len(self.secrets)
        sql = self._random.choice((self._string, self._string, self._string, self._number, self._binary))()
        return Literal(sql, tuple(self.secrets[known:]))

    def secrets_in(self, sql: str) -> tuple[str, ...]:
        """Those that were not left out again when a form was chosen."""
        return tuple(secret for secret in self.secrets if secret in sql)

    def _content(self) -> str:
        """A text that begins, ends and is interspersed with its mark."""
        secret = f"{_MARK}{next(self._numbers)}x"
        self.secrets.append(secret)
        odd = ("".join(self._choices(_ODD, 3)) for _ in range(self._random.randrange(3)))
        return secret + "".join(f"{part}{secret}" for part in odd)

    def _choices(self, among: tuple[str, ...], most: int) -> list[str]:
        return [self._random.choice(among) for _ in range(self._random.randint(0, most))]

    def _string(self) -> str:
        return self._random.choice(_QUOTINGS[self._style])(self._content())

    def _number(self) -> str:
        digits = f"{_NUMBER}{next(self._numbers)}"
        self.secrets.append(digits)
        forms = [
            f"{digits}",
            f"-{digits}",
            f"{digits}.5",
            f"1.{digits}",
            f".{digits}",
            f"{digits}e3",
            f"+{digits}",
        ]
        if self._style != _STANDARD:
            forms.append(f"0x{digits}")
        if self._style == "postgresql":
            forms += [f"{digits}_000", f"{digits}E-7", f"0b{digits}"]
        return self._random.choice(forms)

    def _binary(self) -> str:
        digits = f"{_NUMBER}{next(self._numbers)}".ljust(10, "f")
        self.secrets.append(digits)
        prefix = self._random.choice("xX")
        return f"{prefix}'{digits}'" if self._style != _STANDARD else f"'{digits}'"

    def _typed(self) -> str:
        """A value with its type, as the dialect has it."""
        string = self._string()
        casts = [f"CAST({string} AS varchar(20))"]
        if self._style == "postgresql":
            casts += [f"{string}::text", f"{string}::numeric(18, 8)::text"]
            casts += [f"ARRAY[{string}, {self._string()}]::text[]", f"jsonb {_standard(self._content())}"]
            casts += [f"interval {_standard(self._content())}"]
        if self._style == "mysql":
            casts += [
                f"DATE {_standard(self._content().replace(chr(92), ''))}",
                f"_utf8mb4{_escaped(self._content())}",
            ]
        return self._random.choice(casts)

    def _operand(self) -> str:
        return self._random.choice((self._any, self._any, self._typed, self._placeholder, self._call))()

    def _any(self) -> str:
        return self.value().sql

    def _call(self) -> str:
        return f"coalesce({self._any()}, {self._random.choice(_COLUMNS)}, {self._any()})"

    def _placeholder(self) -> str:
        return self._random.choice(_PLACEHOLDERS[self._style])

    # --- what stands between the words

    def _gap(self) -> str:
        return self._random.choice((" ", " ", " ", "  ", "\n", "\t ", self._comment()))

    def _comment(self) -> str:
        text = self._content()
        inside = text.replace("*/", "").replace("/*", "").replace("*", "").replace("/", "")
        line = text.replace("\n", " ")
        forms = [f" /* {inside} */ ", f"\n-- {line}\n"]
        if self._style == "postgresql" and self._is_named:
            forms += [f" /* a /* {inside} */ {inside} */ ", f"\n--{line}\n"]
        if self._style == "mysql" and self._is_named:
            forms += [f"\n# {line}\n", f"\n#{line}\n"]
        return self._random.choice(forms)

    # --- clauses

    def _table(self) -> str:
        table = self._random.choice(_TABLES)
        self.tables.append(table)
        return table

    def _condition(self) -> str:
        column, operand = self._random.choice(_COLUMNS), self._operand
        forms: list[Callable[[], str]] = [
            lambda: f"{column}{self._gap()}={self._gap()}{operand()}",
            lambda: f"{column} <> {operand()}",
            lambda: f"{column} IN ({', '.join(self._any() for _ in range(self._random.randint(1, 5)))})",
            lambda: f"{column} NOT IN({operand()},{operand()})",
            lambda: f"{column} BETWEEN {operand()} AND {operand()}",
            lambda: f"{column} LIKE {self._string()}",
            lambda: f"{column} LIKE {self._string()} || {operand()}",
            lambda: f"lower({column}) = lower({operand()})",
            lambda: (
                f"(CASE WHEN {column} = {operand()} THEN {self._any()} ELSE {self._any()} END) > {operand()}"
            ),
            lambda: f"({column}, id) IN (({self._any()}, {self._any()}), ({self._any()}, {self._any()}))",
            lambda: f"{column} IS NOT NULL",
        ]
        if self._style == "postgresql":
            forms += [
                lambda: f"note -> {_standard(self._content())} ->> {self._string()} = {operand()}",
                lambda: f"note @> {self._string()}",
                lambda: f"note ? {_standard(self._content())}",
                lambda: f"{column} = ANY(ARRAY[{self._any()}, {self._any()}])",
                lambda: f"created_at > now() - interval {_standard(self._content())}",
            ]
        if self._style == "mysql" and self._is_named:
            forms.append(lambda: f"id > 0 /*!50000 AND {column} = {self._string()} */")
        return self._random.choice(forms)()

    def _where(self) -> str:
        return " AND ".join(self._condition() for _ in range(self._random.randint(1, 3)))

    def _rows(self) -> str:
        return ", ".join(f"({self._operand()},{self._operand()})" for _ in range(self._random.randint(1, 3)))

    # --- statements

    def statement(self) -> str:
        """Any."""
        write = self._random.choice(_STATEMENTS)
        head = self._comment().lstrip() if self._random.randrange(8) == 0 else ""
        tail = f"{self._gap()};" if self._random.randrange(6) == 0 else ""
        return f"{head}{write(self)}{tail}"

    def _select(self) -> str:
        columns = ", ".join((self._random.choice(_COLUMNS), self._operand(), f"{self._operand()} AS named"))
        return f"SELECT {columns}{self._gap()}FROM {self._table()} o{self._gap()}WHERE {self._where()}"

    def _ordered(self) -> str:
        return f"{self._select()} ORDER BY id DESC LIMIT {self._any_number()} OFFSET {self._any_number()}"

    def _any_number(self) -> str:
        digits = f"{_NUMBER}{next(self._numbers)}"
        self.secrets.append(digits)
        return digits

    def _joined(self) -> str:
        return (
            f"SELECT * FROM {self._table()} o JOIN {self._table()} f ON f.id = o.id"
            f" AND f.side = {self._operand()}"
            f"{self._gap()}WHERE {self._where()} GROUP BY o.id HAVING count(*) > {self._operand()}"
        )

    def _nested(self) -> str:
        return f"SELECT * FROM ({self._select()}) AS s WHERE EXISTS ({self._select()})"

    def _united(self) -> str:
        return f"{self._select()} UNION ALL {self._select()}"

    def _common(self) -> str:
        return f"WITH recent AS ({self._select()}) SELECT * FROM recent WHERE price > {self._operand()}"

    def _insert(self) -> str:
        return f"INSERT INTO {self._table()} (id, note){self._gap()}VALUES {self._rows()}"

    def _update(self) -> str:
        table = self._table()
        return (
            f"UPDATE {table} SET note = {self._operand()}, price={self._operand()} WHERE {self._bare_where()}"
        )

    def _delete(self) -> str:
        return f"DELETE FROM {self._table()} WHERE {self._bare_where()}"

    def _bare_where(self) -> str:
        return self._where().replace("o.side", "side")

    def _definition(self) -> str:
        return f"CREATE TABLE {self._table()} (id int, note varchar(20) DEFAULT {self._string()})"

    def _utility(self) -> str:
        forms = {
            "postgresql": (
                "SET app.tenant = {}",
                "COMMENT ON TABLE orders IS {}",
                "NOTIFY fills, {}",
                "DO {}",
            ),
            "mysql": ("SET @tenant = {}", "CALL settle({})", "SET PASSWORD = {}"),
        }.get(self._style, ("CALL settle({})",))
        return self._random.choice(forms).format(self._string())


def _standard(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _escaped(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _doubled_and_escaped(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _double_quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _double_quoted_escaped(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escape_string(text: str) -> str:
    return "E" + _escaped(text)


def _national(text: str) -> str:
    return "N" + _standard(text)


def _national_escaped(text: str) -> str:
    return "n" + _escaped(text)


def _unicode_string(text: str) -> str:
    return "U&" + _standard(text.replace("\\", "\\\\"))


def _dollar_quoted(text: str) -> str:
    return f"$${text.replace('$', '')}$$"


def _dollar_quoted_with_tag(text: str) -> str:
    return f"$body$ {text.replace('$body$', '')} $body$"


def _without_backslashes(text: str) -> str:
    return _standard(text.replace("\\", ""))


_QUOTINGS: Final[dict[str, tuple[Callable[[str], str], ...]]] = {
    "postgresql": (
        _standard,
        _standard,
        _escape_string,
        _national,
        _unicode_string,
        _dollar_quoted,
        _dollar_quoted_with_tag,
    ),
    "mysql": (
        _escaped,
        _doubled_and_escaped,
        _double_quoted_escaped,
        _national_escaped,
    ),
    "sqlite": (_standard, _double_quoted),
    _STANDARD: (_without_backslashes,),
}

_PLACEHOLDERS: Final[dict[str, tuple[str, ...]]] = {
    "postgresql": ("$1", "$2::int", "%s", "%(name)s", ":name", "__[POSTCOMPILE_ids]"),
    "mysql": ("%s", "%(name)s", "?", ":name"),
    "sqlite": ("?", "?1", ":name", "@name", "$name"),
    _STANDARD: ("?", ":1", ":name", "@p1", "%s"),
}

_STATEMENTS: Final[tuple[Callable[[_Author], str], ...]] = (
    _Author._select,  # noqa: SLF001 - the table of what this class can write
    _Author._ordered,  # noqa: SLF001
    _Author._joined,  # noqa: SLF001
    _Author._nested,  # noqa: SLF001
    _Author._united,  # noqa: SLF001
    _Author._common,  # noqa: SLF001
    _Author._insert,  # noqa: SLF001
    _Author._update,  # noqa: SLF001
    _Author._delete,  # noqa: SLF001
    _Author._definition,  # noqa: SLF001
    _Author._utility,  # noqa: SLF001
)
