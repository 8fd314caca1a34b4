"""What a row becomes: a tuple, a named tuple, a dict, or what the caller makes of its values."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import partial
from itertools import starmap
from typing import Any, Literal, TypeAlias

Into: TypeAlias = Literal["tuple", "named", "dict"] | Callable[..., Any]
"""The shape of rows: tuples cost nothing; a function is called with a row's values, such as a dataclass."""
Make: TypeAlias = Callable[[Sequence[Any]], list[Any]]


def checked(into: Into) -> Into:
    """`into`, when it is one. Raises ValueError."""
    if callable(into) or into in {"tuple", "named", "dict"}:
        return into
    raise ValueError(f"into must be 'tuple', 'named', 'dict' or a function of a row's values, not {into!r}")


def maker(into: Into, name: str, columns: Sequence[str]) -> Make | None:
    """What makes a list of rows of that shape; None when they are to stay as they came."""
    if into == "tuple":
        return None
    if into == "named":
        title = "".join(part for part in name.title() if part.isalnum() and part.isascii()).lstrip(
            "0123456789"
        )
        make_type: Any = namedtuple  # noqa: PYI024 - columns are known at run time only
        row = make_type(title or "Row", columns, rename=True)
        return lambda rows: list(map(partial(tuple.__new__, row), rows))
    if into == "dict":
        return lambda rows: [dict(zip(columns, row, strict=True)) for row in rows]
    assert callable(into)
    return lambda rows: list(starmap(into, rows))
