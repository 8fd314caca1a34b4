"""CSV and Parquet files are read row by row, and gone on with at any row."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickspan import lazy
from tickspan.lazy import TokenError

SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=6)


def interleaved(source: lazy.Dataset[Any], stops: list[int], chunk: int) -> list[Any]:
    """All rows, read with tokens from one stop to the next."""
    token, got = None, []
    for stop in stops:
        rows = lazy.rows(source, chunk=chunk, resume=token)
        got += islice(rows, stop)
        token = rows.token
    return [*got, *lazy.rows(source, chunk=chunk, resume=token)]


@SETTINGS
@given(
    records=st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=20),
    stops=st.lists(st.integers(1, 8), max_size=4),
    chunk=st.integers(1, 5),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_any_record_of_a_csv_file_can_be_gone_on_from(
    tmp_path: Path, records: list[list[str]], stops: list[int], chunk: int, encoding: str
) -> None:
    path = tmp_path / "trades.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["symbol", "note"], *records])
    source = lazy.csv(path, encoding=encoding)
    assert interleaved(source, stops, chunk) == [tuple(record) for record in records]


def test_a_csv_file_names_its_columns_and_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("symbol,price\nAAPL,1.5\n\nMSFT,2\n")
    source = lazy.csv(path, into="dict")
    rows = lazy.rows(source)
    assert list(rows) == [{"symbol": "AAPL", "price": "1.5"}, {"symbol": "MSFT", "price": "2"}]
    with path.open("a") as file:
        file.write("IBM,3\n")
    assert list(lazy.rows(source, resume=rows.token)) == [{"symbol": "IBM", "price": "3"}]


def test_a_csv_file_without_header_takes_names_from_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_bytes(b"AAPL;'1;5'\n\xe9;2\n")
    source = lazy.csv(
        path,
        header=False,
        columns=("symbol", "price"),
        encoding="latin-1",
        delimiter=";",
        quotechar="'",
        into="dict",
    )
    assert list(lazy.rows(source)) == [{"symbol": "AAPL", "price": "1;5"}, {"symbol": "é", "price": "2"}]
    unnamed = lazy.csv(path, header=False, encoding="latin-1", delimiter=";", quotechar="'", into="dict")
    assert next(iter(lazy.rows(unnamed))) == {"column_0": "AAPL", "column_1": "1;5"}


def test_a_damaged_line_is_an_error_after_the_records_before_it(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_bytes(b"a,b\n1,2\n3,4\n\xff\xff,5\n6,7\n")
    got: list[Any] = []
    with pytest.raises(UnicodeDecodeError):
        got.extend(iter(lazy.rows(lazy.csv(path), chunk=100)))
    assert got == [("1", "2"), ("3", "4")]


def test_an_empty_csv_file_has_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_bytes(b"")
    assert list(lazy.rows(lazy.csv(path))) == []


def test_wide_characters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected an encoding in which a line ends with one byte"):
        lazy.csv(tmp_path / "x.csv", encoding="UTF-16")


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(lazy.rows(lazy.csv(tmp_path / "nothing.csv")))
    with pytest.raises(FileNotFoundError):
        next(lazy.rows(lazy.parquet(tmp_path / "nothing.parquet")))


@SETTINGS
@given(
    counts=st.lists(st.integers(0, 20), min_size=1, max_size=3),
    group=st.integers(1, 7),
    stops=st.lists(st.integers(1, 8), max_size=4),
    chunk=st.integers(1, 5),
)
def test_any_row_of_parquet_files_can_be_gone_on_from(
    tmp_path: Path, counts: list[int], group: int, stops: list[int], chunk: int
) -> None:
    paths, wanted = [], []
    for number, count in enumerate(counts):
        rows = [(number, row, None if row % 3 else "x") for row in range(count)]
        table = pa.table(
            {name: [row[place] for row in rows] for place, name in enumerate(("file", "row", "note"))},
            schema=pa.schema([("file", pa.int64()), ("row", pa.int64()), ("note", pa.string())]),
        )
        paths.append(tmp_path / f"{number}.parquet")
        pq.write_table(table, paths[-1], row_group_size=group)
        wanted += rows
    assert interleaved(lazy.parquet(paths), stops, chunk) == wanted


def test_columns_of_a_parquet_file_are_chosen_and_its_rows_counted(tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    pq.write_table(pa.table({"symbol": ["A", "B"], "price": [1.5, 2.5]}), path)
    totals: list[int | None] = []
    source = lazy.parquet(str(path), columns=["price"], into="dict")
    rows = lazy.rows(source, progress=lambda one: totals.append(one.total_rows))
    assert (list(rows), totals) == ([{"price": 1.5}, {"price": 2.5}], [2])
    with pytest.raises(TokenError, match="another source"):
        lazy.rows(lazy.parquet(tmp_path / "orders.parquet"), resume=rows.token)


def test_no_parquet_file_is_refused() -> None:
    with pytest.raises(ValueError, match="expected the path of a Parquet file, got none"):
        lazy.parquet([])


@pytest.mark.parametrize("into", ["dict", "named"])
def test_a_record_that_does_not_fit_its_columns_is_named_after_the_rows_before_it(
    tmp_path: Path, into: Any
) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("symbol,price\nAAPL,1.5\nMSFT\n")
    rows = lazy.rows(lazy.csv(path, into=into))
    got: list[Any] = []
    with pytest.raises(ValueError, match="the record that ends at byte 27 has 1 values"):
        got.extend(rows)
    assert (len(got), list(lazy.rows(lazy.csv(path)))) == (1, [("AAPL", "1.5"), ("MSFT",)])


@pytest.mark.parametrize(
    ("columns", "message"), [(["b", "z"], "no column 'z'; there are a, b"), ([], "columns")]
)
def test_a_column_that_a_parquet_file_does_not_have_is_refused(
    tmp_path: Path, columns: list[str], message: str
) -> None:
    path = tmp_path / "trades.parquet"
    pq.write_table(pa.table({"a": [1], "b": [2]}), path)
    with pytest.raises(ValueError, match=message):
        list(lazy.rows(lazy.parquet(path, columns=columns)))


def test_columns_of_a_parquet_file_come_in_the_order_in_which_they_are_named(tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    pq.write_table(pa.table({"a": [1], "b": [2], "c": [3]}), path)
    assert list(lazy.rows(lazy.parquet(path, columns=["c", "a"]))) == [(3, 1)]
