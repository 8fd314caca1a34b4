"""Keyset paging as SQL: the rows after a key, in the order of the key, in every dialect's order of NULLs.

A page's condition takes its key from bound parameters only. Its shape depends on which values of the key are
NULL, for NULL compares with nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tickspan.lazy.source import MissingLibraryError

try:
    import sqlalchemy as sa
    from sqlalchemy.sql.elements import ColumnElement
except ImportError as error:  # pragma: no cover - installed where this is tested
    raise MissingLibraryError("tables are read by SQLAlchemy: pip install 'tickspan[pools]'") from error

_NULLS_ARE_LARGE: Final = frozenset({"postgresql", "oracle", "cockroachdb", "redshift"})
"""Dialects in which NULL comes after everything in ascending order; in the others it comes first."""
_HAVE_ROW_VALUES: Final = frozenset({"postgresql", "sqlite"})
"""Dialects that compare `(a, b) > (x, y)` by an index; MariaDB knows the form and scans."""


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of a key; `"-ts"` is short for `KeyColumn("ts", is_descending=True)`."""

    name: str
    is_descending: bool = False

    @staticmethod
    def of(text: str | KeyColumn) -> KeyColumn:
        """The column that `"ts"` or `"-ts"` means."""
        if isinstance(text, KeyColumn):
            return text
        if not text.strip("-"):
            raise ValueError(f"expected the name of a column, got {text!r}")
        return KeyColumn(text.removeprefix("-"), text.startswith("-"))


@dataclass(frozen=True, slots=True)
class Ordered:
    """A column by which rows are ordered.

    Attributes:
        expression: the column.
        is_descending: its direction.
        is_nullable: whether it may be NULL.
        nulls_last: where its direction puts NULL.
        cast: the type that its value must be bound as; None where the driver's choice is right.
    """

    expression: ColumnElement[Any]
    is_descending: bool
    is_nullable: bool
    nulls_last: bool
    cast: sa.types.TypeEngine[Any] | None = None

    @property
    def hides_nulls(self) -> bool:
        """Whether a comparison would leave out rows that come later: those with NULL."""
        return self.is_nullable and self.nulls_last

    def reversed(self) -> Ordered:
        """The same column in the other direction."""
        return replace(self, is_descending=not self.is_descending, nulls_last=not self.nulls_last)

    def order(self) -> ColumnElement[Any]:
        """Its term of ORDER BY, with NULL where the dialect puts it."""
        return self.expression.desc() if self.is_descending else self.expression.asc()

    def bound(self, name: str) -> ColumnElement[Any]:
        """A parameter that holds a value of this column."""
        parameter = sa.bindparam(name, type_=self.expression.type)
        return parameter if self.cast is None else sa.cast(parameter, self.cast)


def nulls_are_large(dialect: str) -> bool:
    """Whether NULL comes last in ascending order."""
    return dialect in _NULLS_ARE_LARGE


def has_row_values(dialect: str) -> bool:
    """Whether `(a, b) > (x, y)` is a good way to page."""
    return dialect in _HAVE_ROW_VALUES


def beyond(
    columns: Sequence[Ordered],
    nulls: Sequence[bool],
    prefix: str,
    *,
    row_values: bool,
    is_inclusive: bool = False,
) -> ColumnElement[bool]:
    """The condition for rows after a key, whose values are the parameters `{prefix}0`, `{prefix}1`, ….

    Args:
        columns: of the key, in order.
        nulls: which of its values are NULL; those have no parameter.
        prefix: of the parameters' names.
        row_values: whether the dialect compares rows.
        is_inclusive: whether the row with the key itself belongs to it.
    """
    values = [
        None if is_null else column.bound(f"{prefix}{number}")
        for number, (column, is_null) in enumerate(zip(columns, nulls, strict=True))
    ]
    one_way = len({column.is_descending for column in columns}) == 1
    if row_values and one_way and not any(nulls) and not any(column.hides_nulls for column in columns):
        return _compared(columns, [value for value in values if value is not None], is_inclusive=is_inclusive)
    steps = _steps(columns, values, is_inclusive=is_inclusive)
    if len(columns) == 1:
        return steps
    return sa.and_(_from(columns[0], values[0]), steps)  # the first alone is what an index can start at


def _compared(
    columns: Sequence[Ordered], values: Sequence[ColumnElement[Any]], *, is_inclusive: bool
) -> ColumnElement[bool]:
    left: Any = columns[0].expression
    right: Any = values[0]
    if len(columns) > 1:
        left, right = sa.tuple_(*(column.expression for column in columns)), sa.tuple_(*values)
    if columns[0].is_descending:
        return left <= right if is_inclusive else left < right
    return left >= right if is_inclusive else left > right


def _steps(
    columns: Sequence[Ordered], values: Sequence[ColumnElement[Any] | None], *, is_inclusive: bool
) -> ColumnElement[bool]:
    column, value = columns[0], values[0]
    if len(columns) == 1:
        return _from(column, value) if is_inclusive else _after(column, value)
    rest = _steps(columns[1:], values[1:], is_inclusive=is_inclusive)
    return sa.or_(_after(column, value), sa.and_(_same(column, value), rest))


def _after(column: Ordered, value: ColumnElement[Any] | None) -> ColumnElement[bool]:
    expression = column.expression
    if value is None:
        return sa.false() if column.nulls_last else expression.is_not(None)
    later = expression < value if column.is_descending else expression > value
    return sa.or_(later, expression.is_(None)) if column.hides_nulls else later


def _same(column: Ordered, value: ColumnElement[Any] | None) -> ColumnElement[bool]:
    return column.expression.is_(None) if value is None else column.expression == value


def _from(column: Ordered, value: ColumnElement[Any] | None) -> ColumnElement[bool]:
    expression = column.expression
    if value is None:
        return expression.is_(None) if column.nulls_last else sa.true()
    later = expression <= value if column.is_descending else expression >= value
    return sa.or_(later, expression.is_(None)) if column.hides_nulls else later
