"""A process that walks through trades in a SQLite file, in one way after another, and tells the cost."""

from __future__ import annotations

import sqlite3
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.sidebyside.lines import answer, questions
from tickspan import lazy

RAW, OURS, OURS_ALONE = "raw fetchmany", "tickspan", "tickspan, no prefetch"
SELECTED, CORE, ORM, OFFSET = "tickspan, select", "Core yield_per", "ORM yield_per", "LIMIT and OFFSET"
_CHUNK: Final = 10_000
_PAGE: Final = 1_000
_IO_S: Final = 0.010
_WORK_S: Final = 0.008
_KIB: Final = 1024


class Base(DeclarativeBase):
    """Of the mapped class."""


class Trade(Base):
    """What the file holds."""

    __tablename__ = "trades"

    id: Mapped[int] = mapped_column(primary_key=True)
    ts: Mapped[int]
    symbol: Mapped[str]
    price: Mapped[float]
    quantity: Mapped[int]


Way = Callable[["Walk"], Iterable[Any]]


class Walk:
    """The file, and the ways through it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = sa.create_engine(f"sqlite:///{path}")
        self.source = lazy.table(self.engine, "trades")

    def raw(self) -> Iterable[Any]:
        """The driver's own cursor."""
        connection = sqlite3.connect(self.path)
        cursor = connection.execute("SELECT * FROM trades ORDER BY id")
        return chain.from_iterable(iter(lambda: cursor.fetchmany(_CHUNK), []))

    def ours(self) -> Iterable[Any]:
        """Keyset pages, fetched ahead."""
        return lazy.rows(self.source)

    def ours_alone(self) -> Iterable[Any]:
        """Keyset pages, fetched when asked for."""
        return lazy.rows(self.source, prefetch=0)

    def selected(self) -> Iterable[Any]:
        """A query in text as a subquery, whose keys are compared."""
        statement = "SELECT * FROM trades"
        return lazy.rows(lazy.select(self.engine, statement, key="id", not_null=True))

    def core(self) -> Iterator[Any]:
        """A cursor by SQLAlchemy Core."""
        statement = sa.text("SELECT * FROM trades ORDER BY id")
        with self.engine.connect() as connection:
            yield from connection.execution_options(yield_per=_CHUNK).execute(statement)

    def orm(self) -> Iterator[Any]:
        """Mapped objects."""
        with Session(self.engine) as session:
            ordered = sa.select(Trade).order_by(Trade.id)
            yield from session.scalars(ordered.execution_options(yield_per=_CHUNK))

    def offset(self) -> Iterable[Any]:
        """The last resort."""
        with warnings.catch_warnings(action="ignore"):
            source = lazy.offset(self.engine, "SELECT * FROM trades ORDER BY id")
        return lazy.rows(source)

    def page(self, where: str, values: tuple[int, ...]) -> float:
        """Seconds of a page of 1,000 rows, the best of several."""
        connection = sqlite3.connect(self.path)
        statement = f"SELECT * FROM trades {where}"  # noqa: S608 - from this module
        best = min(_timed(lambda: connection.execute(statement, values).fetchall()) for _ in range(5))
        connection.close()
        return best


WAYS: Final[Mapping[str, Way]] = {
    RAW: Walk.raw,
    OURS: Walk.ours,
    OURS_ALONE: Walk.ours_alone,
    SELECTED: Walk.selected,
    CORE: Walk.core,
    ORM: Walk.orm,
    OFFSET: Walk.offset,
}


def main(path: str) -> None:
    """Answer `{"way"}`, `{"depth"}` and `{"pages"}` with what they cost."""
    walk = Walk(Path(path))
    answer({"library": f"SQLAlchemy {version('sqlalchemy')}, SQLite {sqlite3.sqlite_version}"})
    for question in questions():
        if "way" in question:
            answer(_walked(WAYS[question["way"]], walk))
        elif "depth" in question:
            answer(_page_at(walk, question["depth"]))
        else:
            answer(_overlapped(question["pages"], question["prefetch"]))


def _walked(way: Way, walk: Walk) -> dict[str, float]:
    """Once through all rows: a digest of their ids, CPU and wall seconds, and by what memory has grown."""
    _forget_peak()
    before = _memory("VmRSS")
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    rows = digest = 0
    for row in way(walk):
        rows += 1
        digest ^= row.id if isinstance(row, Trade) else row[0]
    return {
        "rows": rows,
        "digest": digest,
        "cpu_s": time.process_time() - cpu_s,
        "wall_s": time.perf_counter() - wall_s,
        "grown": max(0, _memory("VmHWM") - before),
    }


def _page_at(walk: Walk, depth: int) -> dict[str, float]:
    """Seconds of a page after `depth` rows, by key and by OFFSET."""
    keyset = f"WHERE id > ? ORDER BY id LIMIT {_PAGE}"
    offset = f"ORDER BY id LIMIT {_PAGE} OFFSET ?"
    return {"keyset_s": walk.page(keyset, (depth,)), "offset_s": walk.page(offset, (depth,))}


def _overlapped(count: int, prefetch: int) -> dict[str, float]:
    """Wall seconds of pages that take 10 ms to come and 8 ms to be worked on."""

    def fetch(cursor: int | None, limit: int) -> tuple[list[int], int | None]:
        del limit
        time.sleep(_IO_S)
        page = cursor or 0
        return [page], page + 1 if page + 1 < count else None

    began = time.perf_counter()
    for _ in lazy.rows(lazy.pages(fetch), prefetch=prefetch):
        time.sleep(_WORK_S)
    return {"wall_s": time.perf_counter() - began}


def _timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def _forget_peak() -> None:
    """Let the kernel's high-water mark of this process's memory begin anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _memory(field: str) -> int:
    """Bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * _KIB
    raise LookupError(field)


if __name__ == "__main__":
    main(*sys.argv[1:])
