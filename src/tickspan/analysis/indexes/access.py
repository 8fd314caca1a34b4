"""What one statement asks of each table: the columns it compares, joins, sorts, groups and reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.normalize_identifiers import normalize_identifiers
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from tickspan.analysis.sql.dialect import Dialect
from tickspan.analysis.sql.parsed import MAX_CHARACTERS, Reason, parse, sqlglot_dialect
from tickspan.analysis.sql.schema import Schema, Table

__all__ = ["Access", "NotUnderstood", "Reading", "Write", "read"]

_MAX_BRANCHES: Final = 4
_KNOWN: Final = "known_table"


class NotUnderstood(Exception):  # noqa: N818 - an answer about a statement, told and passed over
    """A statement that cannot be read. The message holds no literal.

    Attributes:
        line: within the statement, from 1; 0 when that is not known.
        column: in that line, from 1; 0 when that is not known.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Access:
    """How a statement reaches the rows of one table, in one place, on one side of an OR.

    Attributes:
        table: as the schema names it; as the statement does, where the schema does not know it.
        equals: columns that equal something known before the table is read; IN with a list counts.
        joins: columns that equal columns of other tables.
        ranges: columns with a lower or upper bound.
        order: what the rows are wanted sorted by, ` DESC` behind a descending key.
        groups: columns of GROUP BY and DISTINCT.
        reads: every column that is used; None when whole rows are.
        constants: conditions with a constant in them, (column, text), usable as a partial index's predicate.
        expressions: of columns, compared as `equals` are, in the dialect's words.
        searched: columns with a LIKE that starts with a wildcard and has three letters or digits in a row.
        prefixed: columns with a LIKE that starts with text.
    """

    table: str
    equals: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    reads: tuple[str, ...] | None = None
    constants: tuple[tuple[str, str], ...] = ()
    expressions: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    prefixed: tuple[str, ...] = ()

    @property
    def is_idle(self) -> bool:
        """Whether no index could serve it."""
        return not (
            self.equals
            or self.joins
            or self.ranges
            or self.order
            or self.groups
            or self.expressions
            or self.prefixed
            or self.searched
        )


@dataclass(frozen=True, slots=True)
class Write:
    """What a statement changes: `columns` of an UPDATE, () when whole rows come or go."""

    table: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One statement, read.

    Attributes:
        accesses: in order of appearance, without repetition.
        tables: all that it names, as `Access.table`.
        write: what it changes; None for a SELECT.
    """

    accesses: tuple[Access, ...]
    tables: tuple[str, ...]
    write: Write | None = None


def read(sql: str, schema: Schema, dialect: Dialect) -> Reading:
    """Read one statement.

    Raises:
        NotUnderstood: it is no SELECT, INSERT, UPDATE or DELETE, or its syntax is not known.
    """
    statement = _parsed(sql, dialect)
    ctes = {cte.alias_or_name.casefold() for cte in statement.find_all(exp.CTE)}
    _mark(statement, schema, ctes)
    write = _write(statement, schema)
    tables = tuple(dict.fromkeys(_name(table) for table in statement.find_all(exp.Table)))
    query = _as_query(statement)
    if query is None:
        return Reading((), tables, write)
    accesses = _accesses(query, schema, dialect)
    if isinstance(statement, exp.Update | exp.Delete):
        accesses = (replace(access, reads=None) for access in accesses)
    return Reading(
        tuple(dict.fromkeys(access for access in accesses if not access.is_idle)),
        tuple(name for name in tables if name.casefold() not in ctes),
        write,
    )


def _parsed(sql: str, dialect: Dialect) -> exp.Expr:
    parsed = parse(sql, dialect)
    if parsed.problems:
        problem = parsed.problems[0]
        raise NotUnderstood(_WHY[problem.reason], problem.line, problem.column)
    if len(parsed.trees) != 1:
        raise NotUnderstood(f"{len(parsed.trees)} statements where one was expected")
    statement = parsed.trees[0]
    if not isinstance(statement, exp.Query | exp.Insert | exp.Update | exp.Delete | exp.Merge):
        raise NotUnderstood("no SELECT, INSERT, UPDATE or DELETE")
    return statement


_WHY: Final = {
    Reason.SIZE: f"longer than {MAX_CHARACTERS:,} characters",
    Reason.RECURSION: "nested too deep",
    Reason.SYNTAX: "syntax not understood",
    Reason.KIND: "no SELECT, INSERT, UPDATE or DELETE",
}


def _mark(statement: exp.Expr, schema: Schema, ctes: Collection[str]) -> None:
    """Remember the schema's names of tables, and give each that it knows a name without a namespace.

    Columns are looked up by such names, and several namespaces may have a table of one name.
    """
    tables = list(statement.find_all(exp.Table))
    names: dict[str, str] = {}
    unaliased = Counter(table.name for table in tables if not table.alias)
    for table in tables:
        written = ".".join(part.name for part in table.parts)
        known = None if _is_cte(table, ctes) else schema.table(written)
        table.meta[_KNOWN] = written if known is None else known.name
        if known is None:
            continue
        if not table.alias:
            table.set(
                "alias", exp.TableAlias(this=_alias(table, statement, is_only=unaliased[table.name] == 1))
            )
        table.set("this", exp.to_identifier(names.setdefault(known.name, f"table_{len(names)}")))
        table.set("db", None)
        table.set("catalog", None)


def _is_cte(table: exp.Table, ctes: Collection[str]) -> bool:
    """Whether it names a common table expression, from outside of that."""
    if table.args.get("db") is not None or table.name.casefold() not in ctes:
        return False
    around = table.find_ancestor(exp.CTE)
    is_own = around is not None and around.alias_or_name.casefold() == table.name.casefold()
    with_ = None if around is None else around.find_ancestor(exp.With)
    return not is_own or (with_ is not None and bool(with_.args.get("recursive")))


def _alias(table: exp.Table, statement: exp.Expr, *, is_only: bool) -> exp.Identifier:
    """What a table without an alias is called: by its name, or, beside another of that name, by all of it.

    `SELECT a.t.x FROM a.t, b.t` is one that says which.
    """
    if is_only or not table.db:
        return table.this.copy()
    alias = exp.to_identifier(f"{table.db}_{table.name}")
    for column in statement.find_all(exp.Column):
        if (column.db, column.table) == (table.db, table.name):
            column.set("table", alias.copy())
            column.set("db", None)
    return alias


def _name(table: exp.Table) -> str:
    return str(table.meta.get(_KNOWN, table.name))


def _write(statement: exp.Expr, schema: Schema) -> Write | None:
    if not isinstance(statement, exp.Insert | exp.Update | exp.Delete | exp.Merge):
        return None
    target = statement.find(exp.Table)
    if target is None:
        return None
    name = _name(target)
    if not isinstance(statement, exp.Update):
        return Write(name)
    columns = [_set_column(item) for item in statement.expressions]
    known = schema.table(name)
    return Write(name, tuple(_spelled(column, known) for column in columns if column))


def _set_column(item: exp.Expr) -> str:
    left = item.this if isinstance(item, exp.EQ) else item
    return left.name if isinstance(left, exp.Column) else ""


def _as_query(statement: exp.Expr) -> exp.Expr | None:
    """The reading part of a statement as a SELECT; None when it only writes."""
    if isinstance(statement, exp.Query):
        return statement
    if isinstance(statement, exp.Insert):
        source = statement.args.get("expression")
        return source if isinstance(source, exp.Query) else None
    if not isinstance(statement, exp.Update | exp.Delete) or not isinstance(statement.this, exp.Table):
        return None
    query = exp.select("*").from_(statement.this.copy())
    for other in _other_tables(statement):
        query = query.join(other.copy(), join_type="cross")
    where = statement.args.get("where")
    if where is not None:
        query.set("where", where.copy())
    if statement.args.get("with_") is not None:
        query.set("with_", statement.args["with_"].copy())
    return query


def _other_tables(statement: exp.Expr) -> Iterator[exp.Expr]:
    source = statement.args.get("from_")
    if source is not None:
        yield source.this
        for join in source.this.args.get("joins") or ():
            yield join.this
    yield from statement.args.get("using") or ()


def _accesses(query: exp.Expr, schema: Schema, dialect: Dialect) -> Iterator[Access]:
    columns: dict[str, object] = {
        table.name: {column.name: "text" for column in known.columns}
        for table in query.find_all(exp.Table)
        if (known := schema.table(_name(table))) is not None and known.columns
    }
    try:
        scopes = traverse_scope(_qualified(query, columns, dialect))
    except (SqlglotError, RecursionError, ValueError, KeyError, AttributeError) as error:
        raise NotUnderstood(f"names not resolved ({type(error).__name__})") from None
    for scope in scopes:
        if isinstance(scope.expression, exp.Select):
            yield from _ScopeReader(scope, scope.expression, schema, dialect).accesses()


def _qualified(query: exp.Expr, columns: dict[str, object], dialect: Dialect) -> exp.Expr:
    """With each column under its source; as it was written where the schema does not tell whose it is."""
    try:
        return qualify(
            query.copy(),
            dialect=sqlglot_dialect(dialect),
            schema=columns,
            validate_qualify_columns=False,
            quote_identifiers=False,
            identify=False,
        )
    except OptimizeError:
        return normalize_identifiers(query, dialect=sqlglot_dialect(dialect))


_Source: TypeAlias = str


@dataclass(slots=True)
class _Facts:
    """What a list of conditions says of one source."""

    equals: list[str] = field(default_factory=list[str])
    joins: list[str] = field(default_factory=list[str])
    ranges: list[str] = field(default_factory=list[str])
    constants: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    expressions: list[str] = field(default_factory=list[str])
    searched: list[str] = field(default_factory=list[str])
    prefixed: list[str] = field(default_factory=list[str])

    def joined(self, other: _Facts) -> _Facts:
        """Both."""
        return _Facts(
            self.equals + other.equals,
            self.joins + other.joins,
            self.ranges + other.ranges,
            self.constants + other.constants,
            self.expressions + other.expressions,
            self.searched + other.searched,
            self.prefixed + other.prefixed,
        )


_BySource: TypeAlias = dict[_Source, _Facts]

_RANGES: Final = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_LIKES: Final = (exp.Like, exp.ILike)
_TRIGRAM: Final = re.compile(r"[^\W_]{3}")
_STABLE_FUNCTIONS: Final = (exp.Lower, exp.Upper, exp.Abs, exp.Coalesce, exp.Left, exp.Right, exp.Substring)
_PLAIN_PARTS: Final = (exp.Column, exp.Identifier, exp.Literal, exp.Paren, *_STABLE_FUNCTIONS)


class _ScopeReader:
    """Reads one SELECT."""

    def __init__(self, scope: Scope, select: exp.Select, schema: Schema, dialect: Dialect) -> None:
        self._scope = scope
        self._select = select
        self._dialect = dialect
        self._tables: dict[_Source, exp.Table] = {
            alias: source
            for alias, (_node, source) in scope.selected_sources.items()
            if isinstance(source, exp.Table)
        }
        self._known = {alias: schema.table(_name(table)) for alias, table in self._tables.items()}
        self._only = next(iter(self._tables)) if len(scope.selected_sources) == len(self._tables) == 1 else ""

    def accesses(self) -> Iterator[Access]:
        base, branches = self._conditions()
        self._add_membership(base)
        order_source, order = self._order()
        groups = self._groups()
        reads = self._reads()
        for alias, table in self._tables.items():
            variants = [base.get(alias, _Facts())]
            variants += [
                variants[0].joined(branch[alias]) for branch in branches[:_MAX_BRANCHES] if alias in branch
            ]
            for facts in variants:
                yield Access(
                    table=_name(table),
                    equals=_once(facts.equals),
                    joins=_once(facts.joins, facts.equals),
                    ranges=_once(facts.ranges, facts.equals),
                    order=order if alias == order_source else (),
                    groups=_once(groups.get(alias, [])),
                    reads=reads.get(alias),
                    constants=tuple(dict.fromkeys(facts.constants)),
                    expressions=_once(facts.expressions),
                    searched=_once(facts.searched),
                    prefixed=_once(facts.prefixed, facts.equals),
                )

    # -- conditions

    def _conditions(self) -> tuple[_BySource, list[_BySource]]:
        """What always holds, and what holds on each side of an OR."""
        base: _BySource = {}
        branches: list[_BySource] = []
        for condition in self._conjuncts():
            if not isinstance(condition, exp.Or):
                self._read(condition, base)
                continue
            sides: list[_BySource] = []
            for side in condition.flatten():
                facts: _BySource = {}
                for part in _flat(side):
                    self._read(part, facts)
                sides.append(facts)
            if _is_one_list(sides):
                _merge(base, sides[0])
            else:
                _merge(base, _common(sides))
                branches += sides
        return base, branches

    def _conjuncts(self) -> Iterator[exp.Expr]:
        where = self._select.args.get("where")
        if where is not None:
            yield from _flat(where.this)
        for join in self._select.args.get("joins") or ():
            if join.args.get("on") is not None:
                yield from _flat(join.args["on"])

    def _read(self, condition: exp.Expr, into: _BySource) -> None:
        if isinstance(condition, exp.EQ | exp.NullSafeEQ):
            self._read_equality(condition, into)
        elif isinstance(condition, exp.In):
            self._read_in(condition, into)
        elif isinstance(condition, _RANGES):
            self._read_range(condition, into)
        elif isinstance(condition, exp.Between):
            self._read_between(condition, into)
        elif isinstance(condition, _LIKES):
            self._read_like(condition, into)
        elif isinstance(condition, exp.Is) and isinstance(condition.expression, exp.Null):
            self._note_equal(condition.this, condition, into)
        elif isinstance(condition, exp.Column):
            self._note_equal(condition, condition, into)
        elif isinstance(condition, exp.Not):
            self._read_negation(condition, into)

    def _read_negation(self, condition: exp.Not, into: _BySource) -> None:
        """`NOT is_open` compares a truth value; `closed_at IS NOT NULL` may be what a partial index holds."""
        inner = condition.this
        is_set = isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null)
        place = self._column(inner.this if is_set else inner)
        if place is None:
            return
        alias, column = place
        if is_set:
            text = self._text(exp.Is(this=inner.this.copy(), expression=exp.Null()))
            constant = (column, f"{text.removesuffix('NULL')}NOT NULL")
            into.setdefault(alias, _Facts()).constants.append(constant)
        elif self._is_truth_value(alias, column):
            self._note_equal(inner, condition, into)

    def _is_truth_value(self, alias: _Source, name: str) -> bool:
        table = self._known[alias]
        column = None if table is None else table.column(name)
        return column is not None and column.type == "boolean"

    def _read_equality(self, condition: exp.Binary, into: _BySource) -> None:
        for side, other in ((condition.left, condition.right), (condition.right, condition.left)):
            place = self._column(side)
            if place is None:
                if self._is_constant(other):
                    self._note_expression(side, into)
                continue
            alias, column = place
            sources = self._sources_of(other)
            if alias in sources:
                continue
            if sources:
                into.setdefault(alias, _Facts()).joins.append(column)
            else:
                self._note_equal(side, condition, into)

    def _read_in(self, condition: exp.In, into: _BySource) -> None:
        place = self._column(condition.this)
        if place is None:
            return
        alias, column = place
        if condition.args.get("query") is not None:
            into.setdefault(alias, _Facts()).joins.append(column)
        elif alias not in self._sources_of(condition):
            into.setdefault(alias, _Facts()).equals.append(column)
        elif all(self._is_constant(item) for item in condition.expressions):
            self._note_equal(condition.this, condition, into)

    def _read_range(self, condition: exp.Binary, into: _BySource) -> None:
        for side, other in ((condition.left, condition.right), (condition.right, condition.left)):
            place = self._column(side)
            if place is not None and place[0] not in self._sources_of(other):
                into.setdefault(place[0], _Facts()).ranges.append(place[1])

    def _read_between(self, condition: exp.Between, into: _BySource) -> None:
        place = self._column(condition.this)
        bounds = (condition.args["low"], condition.args["high"])
        if place is not None and all(place[0] not in self._sources_of(bound) for bound in bounds):
            into.setdefault(place[0], _Facts()).ranges.append(place[1])

    def _read_like(self, condition: exp.Binary, into: _BySource) -> None:
        place = self._column(condition.left)
        pattern = condition.right
        if place is None or not isinstance(pattern, exp.Literal):
            return
        facts = into.setdefault(place[0], _Facts())
        starts_free = pattern.name[:1] in {"%", "_"}
        if starts_free or isinstance(condition, exp.ILike):
            facts.searched += [place[1]] if _TRIGRAM.search(pattern.name) else []
        else:
            facts.prefixed.append(place[1])

    def _note_equal(self, side: exp.Expr, condition: exp.Expr, into: _BySource) -> None:
        place = self._column(side)
        if place is None:
            return
        alias, column = place
        facts = into.setdefault(alias, _Facts())
        facts.equals.append(column)
        if not isinstance(condition, exp.In) and _holds_its_constant(condition):
            facts.constants.append((column, self._text(condition)))

    def _note_expression(self, side: exp.Expr, into: _BySource) -> None:
        sources = self._sources_of(side)
        if len(sources) != 1 or not isinstance(side, _STABLE_FUNCTIONS):
            return
        (alias,) = sources
        if alias in self._tables and all(isinstance(part, _PLAIN_PARTS) for part in side.walk()):
            into.setdefault(alias, _Facts()).expressions.append(self._text(side))

    def _add_membership(self, base: _BySource) -> None:
        """The one column of a subquery behind IN is a join column."""
        parent = self._select.parent
        holder = parent.parent if isinstance(parent, exp.Subquery) else parent
        if not isinstance(holder, exp.In) or len(self._select.selects) != 1:
            return
        place = self._column(self._select.selects[0].unalias())
        if place is not None:
            base.setdefault(place[0], _Facts()).joins.append(place[1])

    # -- sorting, grouping, reading

    def _order(self) -> tuple[_Source, tuple[str, ...]]:
        """The source that ORDER BY starts with, and its keys up to the first of another source."""
        keys: list[str] = []
        first = ""
        for alias, column, is_descending in self._order_keys():
            if first not in {"", alias}:
                break
            first = alias
            keys.append(f"{column} DESC" if is_descending else column)
        return first, tuple(dict.fromkeys(keys))

    def _order_keys(self) -> Iterator[tuple[_Source, str, bool]]:
        if self._select.args.get("group") is not None:
            return
        yield from self._extreme()
        for order, partition in self._orders():
            for item in partition:
                place = self._column(item)
                if place is None:
                    return
                yield (*place, False)
            for item in order.expressions if order is not None else ():
                place = self._column(item.this)
                is_descending = bool(item.args.get("desc"))
                if place is None or not self._is_usual(item, is_descending=is_descending):
                    return
                yield (*place, is_descending)
            return

    def _orders(self) -> Iterator[tuple[exp.Order | None, Sequence[exp.Expr]]]:
        order = self._select.args.get("order")
        if order is not None:
            yield order, ()
        for window in self._scope.find_all(exp.Window):
            yield window.args.get("order"), window.args.get("partition_by") or ()

    def _is_usual(self, item: exp.Ordered, *, is_descending: bool) -> bool:
        """Whether NULLs stand where an index without further words has them."""
        if self._dialect is not Dialect.POSTGRESQL:
            return True
        return bool(item.args.get("nulls_first")) == is_descending

    def _extreme(self) -> Iterator[tuple[_Source, str, bool]]:
        """`SELECT max(x)` without groups reads one end of an index on x."""
        if len(self._select.selects) != 1 or self._select.args.get("order") is not None:
            return
        only = self._select.selects[0].unalias()
        if isinstance(only, exp.Max | exp.Min):
            place = self._column(only.this)
            if place is not None:
                yield (*place, isinstance(only, exp.Max))

    def _groups(self) -> dict[_Source, list[str]]:
        found: dict[_Source, list[str]] = {}
        group = self._select.args.get("group")
        items = list(group.expressions) if group is not None else []
        if self._select.args.get("distinct") is not None:
            items += [item.unalias() for item in self._select.selects]
        for item in items:
            place = self._column(item)
            if place is not None:
                found.setdefault(place[0], []).append(place[1])
        return found

    def _reads(self) -> dict[_Source, tuple[str, ...]]:
        """Columns of each source; a source of whole rows is left out."""
        if any(isinstance(item, exp.Star) for item in self._select.selects):
            return {}
        found: dict[_Source, list[str]] = {alias: [] for alias in self._tables}
        for column in self._scope.columns:
            place = self._column(column)
            if place is not None:
                found[place[0]].append(place[1])
        return {alias: tuple(sorted(set(columns))) for alias, columns in found.items() if "*" not in columns}

    # -- names

    def _column(self, node: exp.Expr) -> tuple[_Source, str] | None:
        """Source and name of a plain column of this SELECT's own tables."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not isinstance(node, exp.Column):
            return None
        alias = node.table or self._only
        if alias not in self._tables:
            return None
        return alias, _spelled(node.name, self._known[alias])

    def _sources_of(self, node: exp.Expr) -> set[_Source]:
        return {column.table or self._only for column in node.find_all(exp.Column)}

    def _is_constant(self, node: exp.Expr) -> bool:
        return not self._sources_of(node)

    def _text(self, node: exp.Expr) -> str:
        """In the dialect's words, without the names of sources."""
        bare = node.copy()
        for column in bare.find_all(exp.Column):
            column.set("table", None)
        return bare.sql(dialect=sqlglot_dialect(self._dialect))


def _flat(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts of a conjunction."""
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.And):
        yield from _flat(condition.left)
        yield from _flat(condition.right)
    else:
        yield condition


def _is_one_list(sides: Sequence[_BySource]) -> bool:
    """Whether an OR is an IN written out: one column, compared again and again."""
    first = sides[0]
    return all(
        side.keys() == first.keys() and len(side) == 1 and _sole(side) == _sole(first) != () for side in sides
    )


def _sole(side: _BySource) -> tuple[str, ...]:
    (facts,) = side.values()
    is_plain = len(facts.equals) == 1 and not (facts.joins or facts.ranges or facts.expressions)
    return tuple(facts.equals) if is_plain else ()


def _common(sides: Sequence[_BySource]) -> _BySource:
    """Join columns that every side names, as when a join's condition is written into each."""
    shared: _BySource = {}
    for alias, facts in sides[0].items():
        joins = [
            column
            for column in facts.joins
            if all(alias in side and column in side[alias].joins for side in sides[1:])
        ]
        if joins:
            shared[alias] = _Facts(joins=joins)
    return shared


def _merge(into: _BySource, more: _BySource) -> None:
    for alias, facts in more.items():
        into[alias] = into.get(alias, _Facts()).joined(
            _Facts(equals=facts.equals, joins=facts.joins, ranges=facts.ranges)
        )


def _holds_its_constant(condition: exp.Expr) -> bool:
    return not any(condition.find_all(exp.Placeholder, exp.Parameter, exp.Query))


def _spelled(name: str, table: Table | None) -> str:
    column = None if table is None else table.column(name)
    return name if column is None else column.name


def _once(columns: Sequence[str], without: Sequence[str] = ()) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for column in columns if column not in without))
