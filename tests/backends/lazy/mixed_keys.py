"""Keys of mixed directions with NULLs and ties, and readings that stop anywhere and go on in every way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from tickspan import lazy

MIXED = sa.Table(
    "mixed",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("a", sa.Integer, nullable=True),
    sa.Column("b", sa.String(4), nullable=True),
    sa.Column("c", sa.Integer, nullable=False),
)
COLUMNS = ("id", "a", "b", "c")


@dataclass(frozen=True)
class Reading:
    """What is read, and how.

    Attributes:
        rows: of the table, without ids.
        key: columns, `"-a"` for descending.
        chunk: rows of the first fetch.
        stops: after how many rows reading stops, again and again.
        is_new: whether it goes on by a token, again and again; else by the same object.
        columns: that are read; the key may hold others.
    """

    rows: Sequence[tuple[Any, ...]]
    key: tuple[str, ...]
    chunk: int
    stops: tuple[int, ...]
    is_new: tuple[bool, ...]
    columns: tuple[str, ...]

    def source(self, engine: Any, **arguments: Any) -> lazy.Dataset[Any]:
        """The table by this key."""
        return lazy.table(engine, "mixed", key=self.key, columns=self.columns, **arguments)

    def statement(self) -> sa.Select[Any]:
        """All rows in one statement, with the primary key behind the key."""
        terms = (
            [column for column in self.key if column.lstrip("-") != "id"]
            if "id" not in self.names
            else self.key
        )
        tail = () if "id" in self.names else (("-id",) if self.key[-1].startswith("-") else ("id",))
        order = [
            MIXED.c[term.lstrip("-")].desc() if term.startswith("-") else MIXED.c[term].asc()
            for term in (*terms, *tail)
        ]
        return sa.select(*(MIXED.c[name] for name in self.columns)).order_by(*order)

    @property
    def names(self) -> list[str]:
        """The key's columns."""
        return [column.lstrip("-") for column in self.key]

    def fill(self, connection: sa.Connection) -> None:
        """Put the rows in place of those that are there."""
        connection.execute(MIXED.delete())
        if self.rows:
            connection.execute(
                MIXED.insert(),
                [dict(zip(COLUMNS, (id_, *row), strict=True)) for id_, row in enumerate(self.rows, 1)],
            )


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Small tables full of ties and NULLs, and ways to read them."""
    few = st.one_of(st.none(), st.integers(-1, 1))
    texts = st.one_of(st.none(), st.sampled_from(["", "a", "b"]))
    rows = draw(st.lists(st.tuples(few, texts, st.integers(0, 2)), max_size=25))
    names = draw(st.lists(st.sampled_from(COLUMNS), unique=True, min_size=1, max_size=4))
    key = tuple(draw(st.sampled_from([name, f"-{name}"])) for name in names)
    columns = draw(st.lists(st.sampled_from(COLUMNS), unique=True, min_size=1, max_size=4))
    return Reading(
        rows,
        key,
        draw(st.integers(1, 6)),
        tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4))),
        tuple(draw(st.lists(st.booleans(), min_size=1, max_size=3))),
        tuple(columns),
    )


def interleaved(source: lazy.Dataset[Any], reading: Reading, prefetch: int) -> Iterator[Any]:
    """The rows, read with breaks."""
    rows = lazy.rows(source, chunk=reading.chunk, prefetch=prefetch)
    for stop, is_new in zip(cycle(reading.stops), cycle(reading.is_new), strict=False):
        some = list(islice(rows, stop))
        yield from some
        if len(some) < stop:
            return
        if is_new:
            rows = lazy.rows(source, chunk=reading.chunk, prefetch=prefetch, resume=rows.token)


async def interleaved_async(source: lazy.Dataset[Any], reading: Reading, prefetch: int) -> AsyncIterator[Any]:
    """The same by `async for`."""
    rows = lazy.rows(source, chunk=reading.chunk, prefetch=prefetch)
    for stop, is_new in zip(cycle(reading.stops), cycle(reading.is_new), strict=False):
        count = 0
        async for row in rows:
            yield row
            count += 1
            if count == stop:
                break
        if count < stop:
            return
        if is_new:
            rows = lazy.rows(source, chunk=reading.chunk, prefetch=prefetch, resume=rows.token)
