"""Files of rows: CSV by the byte at which a record begins, Parquet by row group and row."""

from __future__ import annotations

import codecs
import csv as csv_format
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, BinaryIO, Final, TypeAlias

from tickspan.lazy.making import Into, Make, checked, maker
from tickspan.lazy.source import Chunk, Dataset, MissingLibraryError, Position, Reader

FilePath: TypeAlias = str | os.PathLike[str]

_BOM: Final = codecs.BOM_UTF8
_WIDE: Final = ("utf-16", "utf-32", "utf_16", "utf_32", "utf16", "utf32")
_BATCH_ROWS: Final = 65_536


def csv(
    path: FilePath,
    *,
    header: bool = True,
    columns: Sequence[str] = (),
    encoding: str = "utf-8",
    delimiter: str = ",",
    quotechar: str = '"',
    into: Into = "tuple",
    name: str | None = None,
) -> Dataset[Any]:
    """The records of a CSV file, values as text. Lines may be broken inside quotes.

    A token is the byte at which the next record begins: what is appended to the file meanwhile is read, and a
    file that is rewritten is another one, which nothing notices. Tuples may differ in length; where values go
    by the names of columns, reading raises ValueError at a record that has too few or too many.

    Args:
        path: of the file.
        header: whether the first record names the columns.
        columns: their names, where no header does.
        encoding: one in which a line ends with the byte 10, such as UTF-8 or Latin-1.
        delimiter: between values.
        quotechar: around values.
        into: "tuple", "named", "dict", or a function of a record's values.
        name: of the dataset, in telemetry; the file's name when not given.

    Raises:
        ValueError: an encoding with wide characters, or `into` is none.
    """
    codec = codecs.lookup(encoding).name
    if codec.startswith(_WIDE):
        raise ValueError(f"expected an encoding in which a line ends with one byte, got {encoding}")
    form = _form(delimiter, quotechar)
    return _Csv(Path(path), header, tuple(columns), encoding, form, checked(into), name)


def parquet(
    path: FilePath | Iterable[FilePath],
    *,
    columns: Sequence[str] | None = None,
    into: Into = "tuple",
    name: str | None = None,
) -> Dataset[Any]:
    """The rows of one or more Parquet files, one file after the other.

    A token is file, row group and row: a resume decodes one row group from its start.

    Args:
        path: of the file, or paths in the order of reading.
        columns: to read; all when not given.
        into: "tuple", "named", "dict", or a function of a row's values.
        name: of the dataset, in telemetry; the first file's name when not given.

    Raises:
        MissingLibraryError: pyarrow is not installed.
        ValueError: no path, no columns, or `into` is none. Reading raises it for a column that is not there.
    """
    try:
        import pyarrow.parquet as _  # noqa: F401 - an optional library, asked for where the source is made
    except ImportError as error:
        raise MissingLibraryError("Parquet is read by pyarrow: pip install 'tickspan[parquet]'") from error
    paths = (path,) if isinstance(path, str | os.PathLike) else tuple(path)
    if not paths:
        raise ValueError("expected the path of a Parquet file, got none")
    if columns is not None and (not columns or isinstance(columns, str)):
        raise ValueError(f"columns: expected a list of names, got {columns!r}")
    return _Parquet(
        tuple(Path(one) for one in paths), None if columns is None else list(columns), checked(into), name
    )


def _form(delimiter_: str, quotechar_: str) -> type[csv_format.Dialect]:
    class Form(csv_format.Dialect):
        delimiter = delimiter_
        quotechar = quotechar_
        doublequote = True
        lineterminator = "\n"
        quoting = csv_format.QUOTE_MINIMAL
        strict = True

    return Form


class _Csv(Dataset[Any]):
    def __init__(
        self,
        path: Path,
        header: bool,
        columns: tuple[str, ...],
        encoding: str,
        form: type[csv_format.Dialect],
        into: Into,
        name: str | None,
    ) -> None:
        self._path = path
        self._has_header = header
        self._columns = columns
        self._encoding = encoding
        self._form = form
        self._into: Into = into
        self._name = name or path.name

    def __repr__(self) -> str:
        return f"<csv {self._name}>"

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return repr(
            (
                "csv",
                self._path.name,
                self._has_header,
                self._encoding,
                self._form.delimiter,
                self._form.quotechar,
            )
        )

    def open(self) -> Reader[Any]:
        return _CsvReader(self)

    def read(self, file: BinaryIO) -> _Records:
        """The records from the file's beginning on, or from where its header ends."""
        records = _Records(file, self._encoding, self._form)
        if self._has_header:
            records.columns = tuple(next(records, ()))
        return records

    def make(self, columns: Sequence[str]) -> Make | None:
        """What makes rows of records."""
        return maker(self._into, self._name, columns)

    def columns(self, records: _Records, first: Sequence[Any]) -> Sequence[str]:
        """The names of a record's values."""
        return self._columns or records.columns or tuple(f"column_{place}" for place in range(len(first)))

    @property
    def goes_by_names(self) -> bool:
        """Whether each value of a record needs its column."""
        return self._into in {"named", "dict"}


class _Records(Iterator[list[str]]):
    """The records of a file, and the byte at which the next one begins."""

    def __init__(self, file: BinaryIO, encoding: str, form: type[csv_format.Dialect]) -> None:
        self.columns: tuple[str, ...] = ()
        self.position = file.tell()
        self._file = file
        self._encoding = encoding
        self._form = form
        if self.position == 0 and codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}:
            self.seek(len(_BOM) if file.read(len(_BOM)) == _BOM else 0)
        self._records = self._reader()

    def seek(self, position: int) -> None:
        """Go on at the record that begins at a byte."""
        self.position = position
        self._file.seek(position)
        self._records = self._reader()

    def _reader(self) -> Iterator[list[str]]:
        return csv_format.reader(self._lines(), self._form)

    def _lines(self) -> Iterator[str]:
        encoding = "utf-8" if codecs.lookup(self._encoding).name == "utf-8-sig" else self._encoding
        for line in self._file:
            self.position += len(line)
            yield line.decode(encoding)

    def __next__(self) -> list[str]:
        while not (record := next(self._records)):  # an empty line is no record
            pass
        return record


class _CsvReader(Reader[Any]):
    def __init__(self, source: _Csv) -> None:
        self._source = source
        self._file: BinaryIO | None = None
        self._records: _Records | None = None
        self._make: Make | None = None
        self._columns: Sequence[str] | None = None
        self._error: Exception | None = None

    def fetch(self, position: Position, limit: int) -> Chunk[Any]:
        if self._error is not None:
            raise self._error
        if self._records is None:
            self._file = self._source._path.open("rb")  # noqa: SLF001 - closed by `close`; same module
            self._records = self._source.read(self._file)
            if position is not None:
                self._records.seek(position)
        return self._read(self._records, limit)

    def _read(self, records: _Records, limit: int) -> Chunk[Any]:
        raw: list[list[str]] = []
        ends: list[int] = []
        try:
            for record in islice(records, limit):
                self._learn(records, record)
                raw.append(record)
                ends.append(records.position)
        except (csv_format.Error, ValueError, OSError) as error:  # raised after the records before it
            self._error = error
        began = perf_counter()
        rows = list(map(tuple, raw)) if self._make is None else self._make(raw)
        is_last = self._error is None and len(raw) < limit
        return Chunk(
            rows,
            None if is_last else records.position,
            position_at=lambda count: ends[count - 1],
            decode_s=perf_counter() - began,
        )

    def _learn(self, records: _Records, record: list[str]) -> None:
        """From the first record what rows become. Raises ValueError for one that does not fit its columns."""
        if self._columns is None:
            self._columns = self._source.columns(records, record)
            self._make = self._source.make(self._columns)
        if len(record) != len(self._columns) and self._source.goes_by_names:
            raise ValueError(
                f"{self._source.name}: the record that ends at byte {records.position:,} has {len(record)}"
                f" values, and there are {len(self._columns)} columns"
            )

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Parquet(Dataset[Any]):
    def __init__(
        self, paths: tuple[Path, ...], columns: list[str] | None, into: Into, name: str | None
    ) -> None:
        self._paths = paths
        self._columns = columns
        self._into: Into = into
        self._name = name or paths[0].name

    def __repr__(self) -> str:
        return f"<parquet {self._name}>"

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return repr(("parquet", [path.name for path in self._paths]))

    def open(self) -> Reader[Any]:
        return _ParquetReader(self._paths, self._columns, self._into, self._name)


class _ParquetReader(Reader[Any]):
    """Decodes a row group in batches, and hands out slices of them. Positions are file, group, row."""

    def __init__(self, paths: tuple[Path, ...], columns: list[str] | None, into: Into, name: str) -> None:
        self._paths = paths
        self._columns = columns
        self._into: Into = into
        self._name = name
        self._file: Any = None
        self._place = (0, 0, 0)
        self._batches: Iterator[Any] = iter(())
        self._batch: Any = None
        self._make: Make | None = None

    def fetch(self, position: Position, limit: int) -> Chunk[Any]:
        if self._file is None:
            self._open_at(position or (0, 0, 0))
        batch = self._batch_here()
        if batch is None:
            return Chunk((), None)
        began = perf_counter()
        taken, self._batch = batch.slice(0, limit), batch.slice(limit)
        rows = list(zip(*(column.to_pylist() for column in taken.columns), strict=True))
        if self._make is not None:
            rows = self._make(rows)
        file, group, row = self._place
        self._place = (file, group, row + len(rows))
        return Chunk(
            rows,
            self._place,
            position_at=lambda count: (file, group, row + count),
            decode_s=perf_counter() - began,
        )

    def _open_at(self, place: tuple[int, int, int]) -> None:
        import pyarrow.parquet as pq  # an optional library

        file, group, row = self._place = place
        self._open(pq, file)
        self._batches = self._batches_of(group)
        skipped = 0
        while skipped < row:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._batch = batch.slice(row - skipped)
            skipped += batch.num_rows

    def _open(self, pq: Any, number: int) -> None:
        with suppress(AttributeError):
            self._file.close()
        self._file = pq.ParquetFile(self._paths[number], memory_map=False)
        there: list[str] = self._file.schema_arrow.names
        names = self._columns or there
        unknown = [name for name in names if name not in there and name.partition(".")[0] not in there]
        if unknown:
            raise ValueError(f"no column {', '.join(map(repr, unknown))}; there are {', '.join(there)}")
        self._make = maker(self._into, self._name, names)
        if len(self._paths) == 1:
            self.total_rows = self._file.metadata.num_rows

    def _batches_of(self, group: int) -> Iterator[Any]:
        if group >= self._file.num_row_groups:
            return iter(())
        return self._file.iter_batches(batch_size=_BATCH_ROWS, row_groups=[group], columns=self._columns)

    def _batch_here(self) -> Any:
        """A batch with rows, of this group, the next one, or the next file; None at the end."""
        while self._batch is None or not self._batch.num_rows:
            self._batch = next(self._batches, None)
            if self._batch is None and not self._go_on():
                return None
        return self._batch

    def _go_on(self) -> bool:
        import pyarrow.parquet as pq  # an optional library

        file, group, _ = self._place
        if group + 1 < self._file.num_row_groups:
            self._place = (file, group + 1, 0)
        elif file + 1 < len(self._paths):
            self._place = (file + 1, 0, 0)
            self._open(pq, file + 1)
        else:
            return False
        self._batches = self._batches_of(self._place[1])
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
